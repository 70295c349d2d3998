"""The commands of `pop3 store`, one module each. `group` loads the one that runs.

Each has the option `-c FILE`, the configuration of the server, which `configuration` reads.
"""
