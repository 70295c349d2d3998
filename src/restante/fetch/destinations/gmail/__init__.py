"""A Gmail mailbox as a destination, by the API of Google.

`address` parses it, `api` sends the requests with `stored_tokens`, and `destination` delivers.
"""
