"""The maildrop and its messages, and failures in the middle of a session."""

from restante.diagnosis.explanations.explanation import Explanation

MAIL = (
    Explanation(
        "stat-lie", 1, "STAT and LIST report different numbers of messages or octets.",
        why="Progress bars are wrong. Programs that trust STAT leave messages on the server.",
        admin="Rebuild the server's index of the mailbox.",
    ),
    Explanation(
        "list-size", 1, "LIST reports a size that the message does not have.",
        why="Many servers count wrongly. A program that trusts LIST truncates the message or "
        "waits for more.",
        admin="Rebuild the server's index. Sizes are counted with CR LF at the end of each line.",
    ),
    Explanation(
        "uidl-dup", 1, "Two messages have the same unique-id.",
        why="A program that leaves mail on the server fetches only one of the two messages.",
        admin="Rebuild the unique-ids. RFC 1939 section 7 requires them to differ.",
    ),
    Explanation(
        "uidl-missing", 1, "The server has no unique-ids, or not for every message.",
        why="A program that leaves mail on the server cannot recognise old messages. It fetches "
        "all of them again.",
        admin="Enable UIDL on the server.",
        you='Do not "leave messages on the server" with this account.',
    ),
    Explanation(
        "uidl-bad", 1, "A unique-id is invalid: RFC 1939 allows 1 to 70 printable characters.",
        why="Mail programs reject it or truncate it, and then mistake old mail for new mail.",
        admin="Check how the server creates unique-ids.",
    ),
    Explanation(
        "list-missing", 1, "UIDL has messages that LIST omits.",
        why="Most programs fetch what LIST has. The other messages stay at the server unseen.",
        admin="Rebuild the server's index of the mailbox.",
        you="Look for these messages in the web mail of the account.",
    ),
    Explanation(
        "list-empty", 1, "The server answers LIST or STAT incorrectly for an empty mailbox.",
        why="The reply is an error, or a list without its end. Some programs fail at each check "
        "without mail.",
        admin="Send +OK and an empty list: RFC 1939 section 5.",
        you="Nothing. The mailbox is empty.",
    ),
    Explanation(
        "odd-list", 1, "A line of LIST or UIDL does not have the form of RFC 1939.",
        why="This program accepted it. If it could not read a size, it counts 0 octets. Some mail "
        "programs stop there, or skip messages.",
        admin="Send one line for each message: its number, one space, its size or unique-id.",
    ),
    Explanation(
        "odd-reply", 1, "A reply does not have the form of RFC 1939.",
        why="This program accepted it. Some mail programs do not understand it.",
        admin='Begin the first line of each reply with "+OK" or "-ERR" and a space.',
    ),
    Explanation(
        "lf-ends", 1, "The server ends lines with LF alone.",
        why="This program accepted it. Many mail programs wait for CR LF until they time out.",
        admin="End every line with CR LF: RFC 1939 section 3.",
    ),
    Explanation(
        "top-body", 1, "The server sends the body although TOP asked for no body lines.",
        why="A list of messages takes as long as fetching all of them.",
        admin="End the reply to TOP n 0 at the empty line after the header: RFC 1939 section 7.",
    ),
    Explanation(
        "capa-lost", 1, "CAPA fails, but the connection works without CAPA.",
        why="The server, or a proxy before it, does not support CAPA, or its list has no end. Mail "
        "programs that send CAPA fail.",
        admin="Answer CAPA with -ERR at least, and keep the connection open.",
        you="Use --no-capa to save the first attempt.",
    ),
    Explanation(
        "quit-noreply", 1, "The server does not answer QUIT.",
        why="No message was marked, so nothing is lost. A program that deletes mail would wait, "
        "without knowing whether the mail is deleted.",
        admin="Find out why the server hangs at the end of a session.",
    ),
    Explanation(
        "top-missing", 11, "The server does not support TOP, or TOP fails.",
        why="Programs that show headers first must fetch every message completely.",
        admin="Enable TOP on the server: RFC 1939 section 7.",
    ),
    Explanation(
        "msg-truncated", 11, "The connection ended in the middle of a message.",
        why="The message is incomplete. Nothing was saved and nothing deleted.",
        admin="Check for a crash, a time limit or a damaged file at this message.",
        you="Try again. If it is always this message, report its number to the administrator.",
    ),
    Explanation(
        "not-stuffed", 11, "A reply continues after its end: the server did not double a dot.",
        why="Mail programs mistake the dot for the end. They lose the rest, or read it as replies.",
        admin="Upgrade the server: it violates RFC 1939 section 3. `pop3 verify` shows the fault.",
        you="Do not let a program delete mail that it fetched from this server.",
    ),
    Explanation(
        "msg-large", 1, "LIST reports a message too large for a deep check.",
        why="The size is wrong, or the message has more than 256 MB. Most mail programs cannot "
        "fetch such a message.",
        admin="Compare the size in LIST with the message in the store.",
    ),
    Explanation(
        "retr-refused", 11, "The server lists a message, but refuses to send it.",
        why="The file is missing, unreadable or damaged. Some mail programs never get past it.",
        admin="Check this message in the store.",
        you="Report the number and the server's reply above to the administrator.",
    ),
    Explanation(
        "conn-lost", 4, "The server closed the connection in the middle of the session.",
        why="Causes are a crash, a time limit or a firewall. The last command is shown above.",
        admin="Search the log for a crash at this time.",
        you="Try again.",
    ),
    Explanation(
        "stalled", 4, "The server stopped answering in the middle of the session.",
        why="Its disk or back end hangs, or a firewall dropped the connection.",
        admin="Find out why the server hangs at the command shown above.",
        you="Try again later, or allow more time with --timeout SECONDS. If the command was sent "
        "ahead, try --no-capa.",
    ),
    Explanation(
        "long-reply", 1, "The first line of a reply has more than 512 octets.",
        why="RFC 1939 section 3 forbids it. Some programs truncate the line and then misread the "
        "next replies.",
        admin="Shorten the text. Most often it is the greeting in the server's settings.",
    ),
    Explanation(
        "no-end", 6, "The server's reply has no line end.",
        why="The server does not use POP3, or it hung in the middle. Mail programs wait for the "
        "rest.",
        admin="End every line with CR LF: RFC 1939 section 3.",
        you="Report the reply above to the administrator.",
    ),
    Explanation(
        "out-of-time", 4, "The command exceeded its time limit (--max-time).",
        why="This limit is the client's, not the server's. The unfinished step is shown above.",
        admin="Check whether the server is slow at the command shown above.",
        you="Allow more time with -m SECONDS.",
    ),
    Explanation(
        "bad-reply", 6, "The server's reply is not POP3, or does not match the command.",
        why="Mail programs stop here, or misread the next replies.",
        admin="Check the server, and any proxy before it.",
        you="Report the reply above to the administrator.",
    ),
    Explanation(
        "refused", 6, "The server refused a command that POP3 requires.",
        why="The command and the server's reply are shown above. Mail programs stop here.",
        admin="Search the server's log for this mailbox.",
        you="Try again later. If it fails again, report the reply above to the administrator.",
    ),
    Explanation(
        "sys-temp", 8, "The server reports a temporary failure.",
        why="[SYS/TEMP] means that a disk, a lock or a back end is not available. The server's "
        "reply is shown above.",
        admin="Check the server's disk and its back end.",
        you="Try again later. Your password is not the cause.",
    ),
    Explanation(
        "sys-perm", 14, "The server reports a permanent failure, so waiting does not help.",
        why="[SYS/PERM] means that an administrator must mend it (RFC 3206). The reply is shown "
        "above.",
        admin="Check the server's log at this time: files, permissions, quota.",
        you="Report the reply above to the administrator. Your password is not the cause.",
    ),
    Explanation(
        "desync", 6, "The server sends more or fewer replies than there were commands.",
        why="Programs match replies to the wrong commands. They may delete the wrong message.",
        admin="Check the server, and any proxy before it.",
        you="Do not let a program delete mail on this server.",
    ),
    Explanation(
        "msg-nofinal", 1, "A message does not end with a line end before its terminator.",
        why="Some mail programs wait for the end until they time out.",
        admin="End the last line with CR LF: RFC 1939 section 3.",
    ),
    Explanation(
        "bare-lf", 1, "A message has lines that end with LF alone.",
        why="Signatures (DKIM) may fail, and programs split the lines differently.",
        admin="Send CR LF at the end of every line: RFC 1939 section 3.",
    ),
    Explanation(
        "long-line", 1, "A message has a line of more than 998 octets.",
        why="RFC 5322 forbids it. Some mail programs truncate the line, and old ones crash.",
        admin="Nothing. The sender's program is at fault, not the server.",
        you="If your mail program cannot show the message, read it in the web mail.",
    ),
    Explanation(
        "nul", 1, "A message contains NUL octets.",
        why="Programs written in C truncate the message at the first NUL.",
        admin="Check whether the file is damaged. A crash can leave NULs in a file.",
    ),
    Explanation(
        "quit-err", 13, "The server refused QUIT: the marked messages may still exist.",
        why="The server's reply is shown above.",
        admin="Check the disk space and the permissions of the mailbox.",
        you="Fetch again later. Duplicates are better than losses.",
        more="Some servers, such as GreenMail, answer QUIT with +OK, and then say that "
        "the removal failed. That is quit-err, too.",
    ),
    Explanation(
        "slow", 1, "The account works, but slowly.",
        why="The slow step is shown above.",
        admin="A login should take less than a second. Check name look-ups and the password store.",
    ),
)  # fmt: skip
