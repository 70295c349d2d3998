"""From a configuration to the parts of a server.

`components` is the composition root. `backends` builds the mail store and the accounts,
`account_sources` those in MySQL and LDAP, and `added_logins` adds app passwords, masters and junk
maildrops to accounts of any source. `services` run beside the listeners of a process.
`extra_listeners` are those beside POP3, and `extras` names libraries that are missing.
`account_doubts` warns of settings that have no effect for an account. `owners` and `usage_report`
list the owners of mail, and its amount, for the commands that need no server.
"""
