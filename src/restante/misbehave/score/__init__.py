"""The score of a POP3 client: it runs at every fault, and is judged by what it leaves behind.

`judge` is pure: from what was left to verdicts. `command` fills the placeholders of the client's
command, `sandbox` is the folder that a run has for its own, `client_process` runs it within limits,
and `runner` does so at each fault. `report` writes the card as text, JSON and JUnit's XML, and
`picture` as a page with a picture.

Always: what a client prints decides nothing, but terminal escapes and the traces of a crash. Each
message has BEGIN-n and END-n in it, so that a part is never taken for the whole.
"""
