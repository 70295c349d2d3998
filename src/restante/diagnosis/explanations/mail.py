"""The maildrop and its messages, and whatever breaks in between."""

from restante.diagnosis.explanations.explanation import Explanation

MAIL = (
    Explanation(
        "stat-lie", 1, "STAT counts other messages or octets than LIST.",
        why="progress bars are wrong; programs that trust STAT leave messages behind",
        admin="rebuild the server's index of the mailbox",
    ),
    Explanation(
        "list-size", 1, "LIST says another size than the message has.",
        why="many servers count wrongly; a fetcher that trusts LIST cuts the message or waits",
        admin="rebuild the server's index; sizes are counted with CR LF at the ends of lines",
    ),
    Explanation(
        "uidl-dup", 1, "Two messages have one unique-id.",
        why="a fetcher that keeps mail on the server takes one for the other, and never fetches it",
        admin="rebuild the unique-ids; RFC 1939 section 7 wants them to differ",
    ),
    Explanation(
        "uidl-missing", 1, "The server has no unique-ids, or not for every message.",
        why="a fetcher that leaves mail on the server cannot tell old from new: all comes again",
        admin="let the server offer UIDL",
        you='do not "leave messages on the server" with this account',
    ),
    Explanation(
        "uidl-bad", 1, "A unique-id is not what RFC 1939 allows: 1 to 70 printable characters.",
        why="fetchers reject it or cut it off, and take mail for new",
        admin="see how the server makes unique-ids",
    ),
    Explanation(
        "list-empty", 1, "The server answers LIST or STAT of an empty mailbox in its own way.",
        why="a refusal or a list without its end: some programs fail, each time there is no mail",
        admin="answer +OK and an empty list: RFC 1939 section 5",
        you="nothing: the mailbox is empty",
    ),
    Explanation(
        "odd-list", 1, "A line of LIST or UIDL is not written as RFC 1939 has it.",
        why="it was read all the same; some programs stop there, or leave messages out",
        admin="one message a line, a number, one space, the size or the unique-id",
    ),
    Explanation(
        "odd-reply", 1, "A reply is not written as RFC 1939 has it.",
        why="it was read all the same; some mail programs do not understand it",
        admin='each reply is one line that begins with "+OK" or "-ERR" and a space',
    ),
    Explanation(
        "lf-ends", 1, "The server ends lines with LF alone.",
        why="it was read all the same; many programs wait for CR LF until their time is over",
        admin="end every line with CR LF: RFC 1939 section 3",
    ),
    Explanation(
        "top-body", 1, "The server sends the body where TOP asked for no line of it.",
        why="a list of messages takes as long as fetching all of them",
        admin="let TOP n 0 end at the empty line behind the header: RFC 1939 section 7",
    ),
    Explanation(
        "capa-lost", 1, "The server breaks off at CAPA; without CAPA it works.",
        why="CAPA came after the server, or something before the server does not let it through; "
        "mail programs that ask for it fail",
        admin="answer CAPA by -ERR at least, and go on",
        you="--no-capa leaves it out, which saves the first try",
    ),
    Explanation(
        "quit-noreply", 1, "The server does not answer QUIT.",
        why="nothing was to be removed, so nothing is lost; a program that deletes mail waits, and "
        "does not learn whether it is gone",
        admin="see what the server waits for at the end of a session",
    ),
    Explanation(
        "top-missing", 11, "The server has no TOP, or TOP fails.",
        why="programs that show headers first must fetch every message whole",
        admin="let the server offer TOP; RFC 1939 section 7",
    ),
    Explanation(
        "msg-truncated", 11, "The connection ended in the middle of a message.",
        why="what came is not the message: nothing was saved and nothing deleted",
        admin="look for a crash, a time limit or a damaged file at this message",
        you="try again; if it is always this message, tell the administrator its number",
    ),
    Explanation(
        "not-stuffed", 11, "A reply goes on behind its end: the server forgot to double a dot.",
        why="fetchers take the dot for the end, lose the rest, and may take it for replies",
        admin="this is a fault of the server's program: RFC 1939 section 3; `pop3 verify` shows it",
        you="do not let a program delete mail fetched from here",
    ),
    Explanation(
        "msg-large", 1, "LIST names more octets than a deep check fetches of a message.",
        why="a wrong size, or a message of over 256 MB: most mail programs give up on it",
        admin="compare LIST's size with the message in the store",
    ),
    Explanation(
        "retr-refused", 11, "The server lists a message, but does not give it out.",
        why="the file is gone, unreadable or damaged; some fetchers stop there for ever",
        admin="look at this message in the store",
        you="tell the administrator the number and the server's words above",
    ),
    Explanation(
        "conn-lost", 4, "The server hung up in the middle.",
        why="a crash, a limit of time or a firewall; the last command is named above",
        admin="look in the log for a crash at this time",
        you="try again",
    ),
    Explanation(
        "stalled", 4, "The server fell silent in the middle.",
        why="its disk or back end hangs, or a firewall lost the connection",
        admin="look at what the command named above waits for",
        you="try again later, or with a longer -m SECONDS",
    ),
    Explanation(
        "long-reply", 1, "The first line of a reply has more than 512 octets.",
        why="RFC 1939 section 3 allows no more; some programs cut it, and are out of step then",
        admin="shorten the text, most often the greeting in the server's settings",
    ),
    Explanation(
        "no-end", 6, "The server's reply has no line end: everybody waits for the rest of it.",
        why="a program that answers in its own way, or that hung in the middle; mail programs wait",
        admin="end every line with CR LF: RFC 1939 section 3",
        you="tell the administrator what came, above",
    ),
    Explanation(
        "out-of-time", 4, "It took longer than the time that was set for all of it.",
        why="the limit is of whoever asks, not of the server; what was being done is named above",
        admin="see whether the server is slow at the command named above",
        you="give it more time: -m SECONDS",
    ),
    Explanation(
        "bad-reply", 6, "The server's answer is no POP3, or no answer to what was asked.",
        why="mail programs stop here, or go on out of step",
        admin="this is a fault of the server or of a proxy before it",
        you="tell the administrator the words above",
    ),
    Explanation(
        "refused", 6, "The server refused a command that it must carry out.",
        why="the command and its own words are above; mail programs stop here",
        admin="look at this mailbox in the server's log",
        you="try again later; if it stays so, tell the administrator the words above",
    ),
    Explanation(
        "sys-temp", 8, "The server cannot do this just now; it says that it will pass.",
        why="[SYS/TEMP] is for what waits for a disk, a lock or a back end; the words are above",
        admin="look at the server's disk and at what it waits for",
        you="try again later; this is not about your password",
    ),
    Explanation(
        "sys-perm", 14, "Something at the server is broken; it will not pass by itself.",
        why="[SYS/PERM] says that somebody must mend it (RFC 3206); its own words are above",
        admin="look in the server's log at this time: files, permissions, quota",
        you="tell the administrator the words above; your password is not the matter",
    ),
    Explanation(
        "desync", 6, "The server gives more or fewer replies than there were commands.",
        why="each reply is taken for that of another command: a delete may hit the wrong message",
        admin="this is a fault of the server or of a proxy before it",
        you="do not let a program delete mail here",
    ),
    Explanation(
        "msg-nofinal", 1, "A message ends without a line end before its terminator.",
        why="some fetchers wait for ever for the end",
        admin="the server must end the last line: RFC 1939 section 3",
    ),
    Explanation(
        "bare-lf", 1, "A message has lines that end with LF alone.",
        why="signatures (DKIM) may fail, and programs see different lines",
        admin="send CR LF at the end of every line: RFC 1939 section 3",
    ),
    Explanation(
        "long-line", 1, "A message has a line of over 998 octets.",
        why="RFC 5322 forbids it; some fetchers cut it, and old ones break",
        admin="whoever wrote the message is at fault, not the server",
    ),
    Explanation(
        "nul", 1, "A message holds NUL octets.",
        why="programs written in C cut the message there",
        admin="see whether the file is damaged: NULs are what a crash leaves behind",
    ),
    Explanation(
        "quit-err", 13, "QUIT was refused: what was marked may still be there.",
        why="the server's own words are above",
        admin="look at disk space and permissions of the mailbox",
        you="fetch again later; duplicates are better than losses",
    ),
    Explanation(
        "slow", 1, "It works, but slowly.",
        why="the phase that took long is named above",
        admin="a login should take under a second: see name look-ups and the store of passwords",
    ),
)  # fmt: skip
