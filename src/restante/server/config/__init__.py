"""The configuration file.

`schema` has a class for each table, and is the source of docs/reference/configuration.md. `loader`
reads the file and reports every mistake at once.
"""
