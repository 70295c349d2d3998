"""Collecting mail: from POP3 accounts into destinations, nothing lost and nothing twice.

`fetcher` runs one account: it lists (`identity`), plans (`planner`), retrieves (`retrieval`) into
a `group`, delivers and deletes, and reports `events`. `journal` is its memory, a database of
SQLite, with an `account_journal` for each account. `account_lock` rejects a second run.
`destinations` is where mail goes: each is an `interfaces.Destination`. `imports` reads the state of
other programs.

Always: a message is deleted at its source only if all destinations have it and say so in the
journal. What may have been delivered is in the journal before it is delivered. No message is ever
whole in memory.
"""
