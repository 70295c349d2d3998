"""The client's side of POP3.

`operations` has one operation a command, `connection` reads the replies, `raw_command` sends what a
user typed, `sasl` runs AUTH, `noise` names the oddities of servers that are read with a warning.

Always: every reply is bounded. A reply that cannot be told from the next one is an error.
"""
