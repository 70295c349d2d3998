"""The client's side: connecting, logging in, and a maildrop to read, blocking or under asyncio."""
