"""Collecting mail: from POP3 accounts into destinations, nothing lost and nothing twice.

`fetcher` runs one account, by one `session` or several. Each lists (`listing`), plans (`planner`,
in `batches`), retrieves (`retrieval`, with a `content_counter`) into a `group`, delivers and
deletes. `identity` compares messages, `known_contents` recognizes those with new unique-ids,
`precautions` avoid what broke a session, and `parked_messages` are those that could not be had. It
reports `events`, `notices`, `descriptions` of messages that stay, and `errors`. `journal` is its
memory, a database of SQLite (`journal_rows`), with an `account_journal` for each account;
`journal_clock` mends the times of a wrong clock. `account_lock` rejects a second run.

`destinations` is where mail goes: each is a Destination of `interfaces`. `spool` keeps a draft for
those that send a message in one piece, and `large_headers` replaces a message that is too large.
`imports` reads the state of other programs, `imported_messages` the Message-IDs of mailboxes.

Always: a message is deleted at its source only if all destinations have it and say so in the
journal. What may have been delivered is in the journal before it is delivered. No message is ever
whole in memory.
"""
