"""`pop3 misbehave`: servers with one thing wrong, to test clients against.

`group` loads the command that runs: `serve_command`, `list_command` or `score_command`.
"""
