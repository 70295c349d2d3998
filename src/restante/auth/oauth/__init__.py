"""Bearer tokens: `tokens` finds for whom one was issued, `issuer` asks the issuer over HTTP.

RFC 6750, RFC 7519, RFC 7662.
"""
