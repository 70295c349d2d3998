"""How mail gets in: LMTP and SMTP beside POP3, and the pipe command.

`recipients` says whose an address is, `trace` puts a delivery's lines on top of a message, `office`
puts a message into a maildrop and says how that went; `conversation` speaks LMTP and SMTP,
`listener` opens the sockets.
"""
