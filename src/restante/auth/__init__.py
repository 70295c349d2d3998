"""Who may log in. `api` says what an authenticator is; `file` is one on a file of accounts."""
