"""Accounts in an LDAP directory, such as OpenLDAP or Active Directory. A bind proves a password.

`accounts` is the authenticator, `directory` the searches and binds, which block in threads of their
own, and `replies` says what the replies of servers to a bind mean.

Always: a name is escaped in filters and in distinguished names. Passwords cross a network by TLS
only, unless `ldap.start_tls` is "never".
"""
