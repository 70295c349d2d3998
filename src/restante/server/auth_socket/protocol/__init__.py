"""Dovecot's authentication protocol, the server's side: no I/O, no clock, no logging.

`messages` parses what a client says, and writes what the server says. `conversation` is the login
of one user: it says what it needs of its driver, and uses the SASL mechanisms of POP3.

Source: https://doc.dovecot.org/2.3/developer_manual/design/auth_protocol/
"""
