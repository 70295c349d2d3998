"""Collecting mail: from POP3 accounts into destinations, nothing lost and nothing twice.

`fetcher` runs one account: it lists, plans, retrieves, delivers and deletes. `journal` is its
memory, a database of SQLite; `account_lock` keeps a second run out. `destinations` is where mail
goes: each is a `interfaces.Destination`. `imports` reads the state of other programs.

Always: a message is deleted at its source only if all destinations have it and say so in the
journal. What may have been delivered is in the journal before it is delivered. No message is ever
whole in memory.
"""
