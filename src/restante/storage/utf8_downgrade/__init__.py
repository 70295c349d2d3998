"""Maildrops for clients that did not ask for UTF-8 in headers. RFC 6856 section 2.

`ascii_header` writes a header in ASCII; `maildrop` serves the messages with such headers.
"""
