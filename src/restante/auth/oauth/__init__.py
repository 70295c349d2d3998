"""Bearer tokens: `tokens` finds the user of a token, and `issuer` asks the issuer over HTTP.

RFC 6750, RFC 7519, RFC 7662.
"""
