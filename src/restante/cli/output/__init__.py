"""What commands print.

`check_report` prints a check, `message_summary` a row of `ls`, `message_view` a message, `files`
saves parts, `headers_by_retr` replaces TOP, `version` is `--version`. `columns`, `units`,
`wrapping` and `progress` format; `terminal` makes the text of other people harmless.
"""
