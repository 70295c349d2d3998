"""POP3 as pure Python: no I/O, no clock, no logging.

A conversation is a generator that yields effects (`effects`): requests to the driver, which alone
touches sockets, files and clocks. `answer = yield from effect` is typed by the effect. The server's
effects are its needs (`server.needs`), such as the next line or a lock; the client's are in
`client.effects`, such as more octets or TLS.

Read `server` first: `session` (what a session knows), `needs`, `commands` (the table), `handlers`
(one function for each command), `serve` (from greeting to QUIT). `client` has one operation for
each command. Both sides share `errors` (one tree), `lines`, `status` (status lines), `stuffing` and
`unstuffing` (the octets of a message), `message_header`, `unique_id`, `saslprep`, `secret` and
`text`. `line_forms` makes line ends and dots in C, or in Python by `line_ends`. `translations` are
the server's replies in other languages.

Always: a driver does all that a conversation asks for, in order. Closing a generator removes no
mail. `server` and `client` do not import each other.

Not API, except for the names that `restante`, `restante.auth` and `restante.storage` export: any
version may change the rest.
"""
