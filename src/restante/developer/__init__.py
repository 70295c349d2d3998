"""The server of developer mode: mail in memory, and each conversation of its clients, live.

    with DeveloperServer(DeveloperOptions(any_account=True)) as server:
        ...  # programs send to server.smtp_port, and fetch from server.port
        server.mailboxes.mail("new@shop.example")
        server.sessions.all()
        server.feed.wait_for(lambda: server.mailboxes.mail(), timeout=5)

`feed` says what happens, to threads and to event loops. `mailboxes` is the mail store, in which any
address may exist, `maildrop` what a session gets of it, `kept_mail` its copy in a folder, and
`accounts` the users. `sessions` keeps what clients and server said; `pop3_recorder` and
`smtp_recorder` write it, from the conversation itself, with no I/O, so that they know what is
secret; `secrets` stars it. `pop3_connection` and `smtp_connection` are the connections,
`smtp_verbs` adds AUTH and STARTTLS to the SMTP of `restante.delivery`, `faults` has the faults that
are on, `tags` the tags of messages, and `hiding` hides capabilities. `server` puts all of it
together.

Always: a secret is starred before it is stored. What is kept is bounded in sum. Nothing of
`pop3 serve` imports this package, and no configuration file can switch it on.

Not API: `restante.testing` is its face for tests, `restante.web` for people.
"""
