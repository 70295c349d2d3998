"""An IMAP folder as a destination.

`address` parses it, `session` speaks IMAP, and `destination` delivers.
"""
