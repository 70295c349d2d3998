"""The messages that other programs have fetched, read from their own files.

`records` is what all parsers yield. One module a program reads its format: `getmail`, `fetchmail`,
`mpop`, `fdm`, `thunderbird`. `programs` lists them, `files` finds their files, `choice` finds the
account in a file, `state` reads a whole file, and `comparison` compares it with what the server
lists.

Always: a line that is not certainly a fetched message is skipped and reported. A message that is
fetched again is a double; one that is wrongly noted as fetched is lost.
"""
