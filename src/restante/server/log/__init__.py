"""The log: one line an event.

`event_log` writes it into a `line_file`, or by `journal` with the fields of systemd's journal.
`rate` bounds what clients can make it write. `session_ids` tie the events of one connection, and
`removal_log` has one event for each removed message. `file_problems` logs what is wrong with a file
once for all processes, and `loggers` are those of an embedded server.

Always: no password and no content of mail gets into it, and a slow reader of it stops no client.
"""
