"""POP3 as pure Python: no I/O, no clock, no logging.

A conversation is a generator that yields effects (`effects`): requests to the driver, which alone
touches sockets, files and clocks. `answer = yield from effect` is typed by the effect. The server's
effects are its needs (`server.needs`), such as the next line or a lock; the client's are in
`client.effects`, such as more octets or TLS.

Read `server` first: `session` (what a session knows), `needs`, `commands` (the table), `handlers`
(one function for each command), `serve` (from greeting to QUIT). `client` has one operation for
each command. Both sides share `errors`, `effects`, `lines`, `message_header` and `text`, and
`line_forms`, which makes line ends and dots in C, or by `line_ends` in Python. Here the server
alone uses `status` (status lines), `stuffing` (the octets of a message), `saslprep`, `secret` and
`translations` (its replies in other languages), and the client alone `unstuffing` and `unique_id`.

`errors` is one tree, also for what fails before POP3 begins, such as the look-up of a server.

Always: a driver does all that a conversation asks for, in order. Closing a generator removes no
mail. `server` and `client` do not import each other.

Not API, except for the names that `restante`, `restante.auth` and `restante.storage` export: any
version may change the rest.
"""
