"""The command `pop3`. A module a subcommand; each only parses, calls and prints.

Nothing heavy is imported here at module level: `pop3 --help` answers at once.
"""
