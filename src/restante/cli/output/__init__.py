"""The output of commands.

`check_report` prints a check, `message_table` what `ls` lists, `message_summary` has a row of it.
`message_view` prints a message, `account_list`, `session_table` and `deleted_table` what
administrators list, and `sign_in` the steps of `pop3 login`. `files` saves parts, `headers_by_retr`
replaces TOP, `version` is `--version`. `results` prints beside work that goes on. `units`,
`wrapping` and `progress` format.

Always: `terminal` makes the text of other people harmless before it is printed.
"""
