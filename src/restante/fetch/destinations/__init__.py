"""Where fetched mail goes: a module for each kind, and `urls`, which chooses by the URL.

Always: octets arrive as the server sent them. Only Maildir, mbox and commands have LF in place of
CR LF.
"""
