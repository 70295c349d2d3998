"""Stored passwords, and the cryptography that checks them.

`hashing` makes and verifies hashes, `hash_schemes` those of older programs. `scram` is the
server's side of SCRAM. `login_cache` remembers a login for a short while, so that the next one need
not be hashed.
"""
