"""`pop3 shell`: an interactive session with TLS, completion and help.

`command` is the entry, `loop` runs line after line, `dispatch` has the table of commands. `listing`
shows messages, `deletions` stages and commits deletes, `raw_commands` sends POP3 commands as typed.
`session` is the connection and the headers that it has fetched. `prompt`, `completer` and `history`
are the line editor, `screen` prints.

Always: nothing is deleted before the user has confirmed it, and no secret is stored or shown.
"""
