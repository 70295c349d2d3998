"""`pop3 shell`: a session by hand, as with telnet, but with TLS, help, and a question at the end.

command     the subcommand: which account, which password
loop        line after line: what went wrong is told, and the session goes on
table       the words one may type, and what they do
messages    ls, show, raw, save
marks       rm, undo, commit, quit
typed       the article's own commands
desk        the connection, and what is known of the messages
heads       sender, subject and date of a message
letter      a message as a person reads it
screen      what is printed, and how it is asked
prompt      the line editor: marks in the prompt, idle time, hidden passwords
completer   what Tab offers
history     lines kept for the next time, without secrets
secrets     where in a line a secret begins
units       sizes, dates and columns
"""
