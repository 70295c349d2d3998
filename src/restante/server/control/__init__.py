"""The control sockets: an administrator sees and ends the sessions of a running server.

Each serving process, of one or of several workers, has a Unix socket in the folder
`control.folder`. `messages` are what is said there: one line of JSON each way. `service` answers in
a server, `asking` asks all processes for the commands of the toolbox, such as `pop3 sessions`.
`holders` finds the session that holds a maildrop, `others` passes a request on to other nodes.

Always: only root, the user of the server and a named group can connect. Requests, answers and time
are bounded, and a process that hangs delays no command by more than some seconds.
"""
