"""The configuration file.

`schema` is a whole file. Its tables are in `server_sections`, `account_sections` and
`mail_sections`, each a class on the base in `section`: the source of
docs/reference/configuration.md. `loader` reads the file and reports every mistake at once, in the
words of `mistakes`. `addresses` parses those of listeners, `rendering` writes all settings for
`pop3 config show`.
"""
