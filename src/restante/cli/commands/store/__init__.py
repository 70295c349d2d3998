"""The commands of `pop3 store`, one module each. `group` loads the one that runs.

`init_command`, `status_command`, `check_command` and `sweep_command` are for the whole cluster, and
`parts` gives them its databases. `import_command`, `export_command` and `move_command` transfer
mail; `transfer_report` prints their progress, and `owners` finds whose mail a name means.

Each has the option `-c FILE`, the configuration of the server, which `configuration` reads.
"""
