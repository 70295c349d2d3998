"""Logins for other programs: a Unix socket at which Postfix or Exim has its clients authenticated.

`protocol` is Dovecot's authentication protocol without I/O. `listener` opens the socket,
`connection` reads its lines, and `login` is one login of a client of that program, by the accounts
and under the limits of POP3. `client` is that client.

Always: a login here counts, waits and is logged as one by POP3. docs/explanation/operations.md has
the design and its reasons.

Not API: any version may change it.
"""
