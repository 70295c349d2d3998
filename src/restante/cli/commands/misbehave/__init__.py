"""`pop3 misbehave`: servers with one thing wrong, to test clients against."""
