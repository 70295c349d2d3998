"""What `check` and `verify` know: steps, verdicts and their texts as data. Nothing here prints."""
