"""Accounts in a file, as in a passwd-file of Dovecot or Apache: one line each.

`accounts` is the authenticator, which reads a changed file again, in a thread, into an
`account_table`. `passwd_file` reads and edits the file, `passwd_entry` one line, `dovecot_fields`
and `quota_fields` the words `key=value` of its eighth field. `locks`, `shadow_dates` and
`allowed_networks` restrict logins, `line_locks` changes a lock, and `mail_location` finds the mail.
`account_changes` finds the accounts whose sessions must end, and `hash_upgrade` replaces weak
hashes.

Always: a line that is not understood locks its account and no other, and an edit never loses a
line that it did not change.
"""
