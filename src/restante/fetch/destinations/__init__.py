"""Where fetched mail goes: each kind by itself, and `urls`, which chooses by the URL.

`url_settings` parses what follows "?" in it. Files: `maildir` and `mbox`, with `unix_lines`,
`sync_threads` and `disk_errors`. Servers: `smtp`, `imap` and `gmail`, with `certificate_errors`.
Commands: `pipe`, on `commands`. `rules` choose among several, and may use `filters`. `trace` adds
fields on top, and `message_digest` recognizes a message.

Always: octets arrive as the server sent them. Only Maildir, mbox and commands have LF in place of
CR LF.
"""
