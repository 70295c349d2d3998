"""What `pop3 check` and `pop3 monitor` know. Nothing here prints.

`run` goes through the `steps`; each step adds findings to a `report` or raises CheckAborted.
`context` is what the steps share, `request` what was asked for. `explanations` has the text of
every id. `port_probe` identifies what answers on a port, `suggestions` writes the command to run
next.

Always: the verdict is the first real cause, with the server's own words. A check changes nothing.

Not API, except for `restante.check` and its `Report`: any version may change the rest.
"""
