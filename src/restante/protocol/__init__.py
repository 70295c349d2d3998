"""POP3 as pure Python: no I/O, no clock, no logging.

This is the only folder one must read to know POP3. Read it in this order: `state` (what a session
knows), `needs` (what it may ask of the world), `commands` (the table), `handlers` (one function a
command), `server` (from greeting to goodbye).
"""
