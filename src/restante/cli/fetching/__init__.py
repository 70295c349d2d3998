"""The work of `pop3 fetch`, once its options are parsed.

`command` chooses what is asked for. `reader` reads the accounts, and `account` is one of them with
its destinations and journal. `rules` makes a destination of the user's rules, and
`destination_passwords` finds the passwords of destinations. `runs` runs an account, `schedule`
decides when, and `stopper` handles the signals. `bugs` keeps the traceback of an error that no code
expects.

`preparation` does what is asked for before a run: `marking` changes the journal for the user, and
`large_messages` deletes what is too large.

`report` prints a run, `message_log` logs each message, and `notify` runs the user's command.
`units` are those of systemd.
"""
