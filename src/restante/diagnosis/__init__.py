"""The findings of `pop3 check` and `pop3 monitor`. Nothing here prints.

`run` goes through the `steps`; each step adds findings to a `report` or raises CheckAborted.
`context` is what the steps share, `request` what was asked for. `certificate` describes a server's
certificate, and `token_refusals` says why a token was refused.

For readers: `explanations` has the text of every id, `provider_advice` what is true for a large
provider, `suggestions` the command to run next, and `wording` formats values.

Always: the verdict is the first real cause, with the server's own words. A check changes nothing.

Not API, except for `restante.check` and its `Report`: any version may change the rest.
"""
