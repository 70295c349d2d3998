"""Faults of SMTP, for `pop3 dev` and tests of programs that send mail.

They have the form of the faults of POP3: a function from conversation to conversation, so that they
add up, and a rule language for one-line faults. `conversation` has a session of SMTP in parts, with
no I/O. `fault` is the form of a fault, `catalogue` the faults with a name, `rules` those of one
line, and `finding` goes from a text to a fault.

A refused command changes nothing: the sender, the recipient or the login is not there, and a
refused message is not stored.
"""
