"""OAuth 2 for mail accounts: signing in, keeping tokens, and refreshing them.

`providers` knows the large providers, `metadata` finds the issuer of any other server, `flows` are
the ways to sign in, `token_endpoint` gets tokens and explains refusals, `token_store` keeps them,
`token_source` gives an access token that is fresh.

Always: a refresh token is durable before its access token is used. Network trouble forgets no
token. No token is in a log, a trace, an error or an argument.
"""
