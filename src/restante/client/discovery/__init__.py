"""From a mail address to its POP3 server. RFC 6186.

`discover` asks all sources at once: SRV records, autoconfig files, MX, guesses. `sources` is the
network access of it, `autoconfig` parses a file, `lookup` returns the server that the client uses.

Always: one deadline covers a whole lookup. A server that was looked up is never this machine. Only
the mail domain itself can vouch for a server of another domain.
"""
