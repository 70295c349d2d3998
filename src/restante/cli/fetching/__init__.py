"""The work of `pop3 fetch`, once its options are parsed.

`command` chooses what is asked for. `account` is one account with its destinations and journal,
`rules` makes a destination of the user's rules, and `destination_passwords` finds the passwords of
destinations. `runs` runs an account, `schedule` decides when, and `stopper` handles the signals.
`marking` changes the journal for the user, and `large_messages` deletes what is too large.

`report` prints a run, `message_log` logs each message, and `notify` runs the user's command.
`units` are those of systemd.
"""
