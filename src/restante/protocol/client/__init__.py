"""The client's side of POP3.

`effects` are the requests to a driver, `connection` is what is known of the server and reads its
replies, `replies` parses status lines, `tables` keep LIST and UIDL. `operations` has one operation
for each command, `sasl` runs AUTH, `raw_command` sends a line that a user typed. `pipeline` carries
operations out, one after the other or ahead of their replies. `hidden_secrets` removes the secrets
that a server repeats.

Always: every reply is bounded. A reply that could belong to another command is an error. No error
or trace shows a secret.
"""
