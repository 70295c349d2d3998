"""The commands of `pop3`, one module each, of the same name unless said otherwise here.

For an account: `check` (with probe), `discover`, `monitor`, `explain`, `ls` (with stat and uidl),
`show`, `rm`, `raw` (with top), `fetch`, `fetch_import`, `login` and `tokens` (token and logout).
For a server: `serve`, `config`, `user`, `app_password`, `control` (sessions, kick and status),
`deliver`, `expire`, `quota`, `undelete`, `store` and `verify`. For developers: `dev` and
`misbehave`. `completion` is for the shell. `package_group` loads the commands of a package.

Always: no command imports another, but a group its own. A command parses its arguments, calls
another package, and prints.
"""
