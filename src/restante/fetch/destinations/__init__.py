"""Where fetched mail goes: each kind by itself, and `urls`, which chooses by the URL.

Always: octets arrive as the server sent them. Only Maildir, mbox and commands have LF in place of
CR LF.
"""
