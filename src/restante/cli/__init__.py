"""The command `pop3`.

`program` is the process, `main` loads a command of `commands` when it runs. `fetching` is the work
of `pop3 fetch`. `options` has the options that commands share, `output` what they print, `shell`
the interactive session, `errors` the messages and exit codes. `event_queue` is what a command that
serves or repeats waits for.

Always: a command parses, calls and prints; what it knows stands in `diagnosis`, `client` or
`server`. Text of other people is printed through `output.terminal` only. Nothing heavy is imported
at module level, so that `pop3 --help` answers at once.

Not API: any version may change it.
"""
