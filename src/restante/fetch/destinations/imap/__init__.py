"""An IMAP folder as a destination.

`address` parses it, `session` speaks IMAP over a `connection` that is bounded, and `destination`
delivers.
"""
