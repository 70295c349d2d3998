"""Logging in."""

from restante.diagnosis.explanations.explanation import Explanation

LOGIN = (
    Explanation(
        "auth-plain-refused", 10, "The server rejects passwords without TLS.",
        why="This is the correct behaviour: a password must not travel unencrypted.",
        admin="Nothing, if clients are meant to use TLS. If a proxy ends their TLS, let the server "
        "trust the proxy: it does not know of that TLS.",
        you="Use pop3s:// (port 995), or STLS on port 110. If the connection has TLS, report the "
        "reply above to the administrator.",
    ),
    Explanation(
        "auth-failed", 7, "The name or the password is wrong. The server does not say which.",
        why="Servers give the same answer for an unknown or locked account, on purpose.",
        admin="Find the reason in the server's log.",
        you="Type the password by hand. Try the whole address, then only the part before the @.",
    ),
    Explanation(
        "auth-refused", 7, "The server rejected the login. Only its own text can say why.",
        why="It gives no cause, or several. Most often the name or the password is wrong. But the "
        "account may be locked, POP switched off, or the server in trouble.",
        admin="Find the reason in the server's log. Servers should send [AUTH] for a wrong "
        "password, and [SYS/TEMP] for trouble of their own: RFC 3206.",
        you="Read the server's text, or translate it. If it names no other cause, type the "
        "password by hand. Try the whole address, then only the part before the @.",
    ),
    Explanation(
        "auth-unproven", 5, "The server could not prove its identity: no password was sent.",
        why="With SCRAM the server must prove that it knows the password. A man-in-the-middle "
        "cannot.",
        admin="Find out which machine answers here. If it is yours, renew the account's SCRAM "
        "keys, and check whether a proxy ends TLS before the server.",
        you="Do not log in from this network until the cause is known. Try another network.",
        more="This is also reported if the server's SCRAM data is malformed or uses fewer than "
        "4096 iterations. A mail program that falls back to PLAIN after this error reveals the "
        "password.",
    ),
    Explanation(
        "auth-unsent", 7, "This name or password cannot be sent by this mechanism: nothing sent.",
        why="It is missing, too long, or has characters that POP3 or the mechanism forbids.",
        admin="Give the account a password that every mail program can send: ASCII without tabs.",
        you="Type both by hand. A copied text may contain a line end or a tab.",
        more="With --mechanism, the mechanism itself may be impossible here: APOP requires a "
        "timestamp in the greeting, and the mechanisms with -PLUS require TLS 1.2.",
    ),
    Explanation(
        "auth-apppw", 7, "The provider requires an app password, not the account's password.",
        why="With two-step login the provider rejects the account's password in mail programs.",
        admin="Nothing.",
        you="Create an app password in the provider's security settings and use it.",
    ),
    Explanation(
        "auth-oauth", 10, "The provider probably requires OAuth2 instead of a password.",
        why="Many providers that offer OAuth2 (XOAUTH2 or OAUTHBEARER) accept no password any "
        "more. If yours still does, the password is wrong.",
        admin="On your own server, find the reason in its log. The password may be wrong.",
        you='Type the password by hand once more. If it fails again, choose "OAuth2" as the login '
        "method in the mail program, or create an app password if the provider supports them. "
        "Then check again with --oauth.",
    ),
    Explanation(
        "auth-pop-disabled", 10, "POP is switched off for this account.",
        why="The server's reply, shown above, says so.",
        admin="Allow POP for the account.",
        you="Switch POP on in the provider's web mail: settings, forwarding and POP/IMAP.",
    ),
    Explanation(
        "auth-expired", 7, "The password has expired: the server requires a new one.",
        why="The server's reply, shown above, says so. Every login fails until it is changed.",
        admin="Warn users before passwords expire, and say where to change them.",
        you="Change the password in web mail, or as the server's reply says. Then check again.",
    ),
    Explanation(
        "auth-locked", 7, "The account is locked or closed. The password is not the cause.",
        why="The server's reply, shown above, says so. The cause may be too many failed logins, "
        "or a decision of the administrator.",
        admin="Find out why the account was locked, and which program still uses an old password.",
        you="Stop programs that use an old password. Then wait, or ask the provider to unlock it.",
    ),
    Explanation(
        "auth-place", 10, "The server accepts no logins from this country or network.",
        why="The server's reply, shown above, says so. The password is not the cause.",
        admin="Allow the country or the network of this address, if it is the user's.",
        you="Log in from another network without a VPN, or allow the place in the provider's "
        "security settings.",
    ),
    Explanation(
        "auth-nomech", 10, "The server offers no login for passwords that `pop3` knows.",
        why="It offers only other mechanisms, such as GSSAPI (Kerberos) or EXTERNAL (a client "
        "certificate). They are shown at capa.",
        admin="Offer SCRAM-SHA-256 or PLAIN within TLS.",
        you="Ask the administrator which mail programs can log in here.",
    ),
    Explanation(
        "auth-mechanism", 10, "The server does not offer the login mechanism that was requested.",
        why="CAPA does not list it, and the server refused it before it had a password.",
        admin="Nothing, unless clients need this mechanism.",
        you="Leave out --mechanism or --oauth. The line capa shows what the server offers.",
    ),
    Explanation(
        "auth-toomany", 8, "Too many logins or commands: the server rejects your logins for now.",
        why="For some minutes the server rejects correct passwords as well.",
        admin="Check the server's limits, and which program or address tries so often.",
        you="Stop programs that check too often or use an old password. Wait, then try once.",
    ),
    Explanation(
        "auth-temp", 8, "The server cannot check logins now. The password may be correct.",
        why="The server cannot use its accounts or the mailbox: a database, a directory or a disk. "
        "Or it is a proxy, and the mail server does not answer it.",
        admin="Check the back end that stores the accounts, the server's disk and, at a proxy, the "
        "mail server.",
        you="Do not change the password. Try again later.",
    ),
    Explanation(
        "auth-noreply", 8, "The server closed the connection or stopped answering in the login.",
        why="Its back end hangs, it bans your address after failed logins, or it disconnects at a "
        "wrong password without a reply. The command is shown above.",
        admin="Search for the address in fail2ban and in the server's log.",
        you="Wait, then try once. Repeated attempts make a ban longer.",
    ),
    Explanation(
        "locked", 9, "Another session has locked the mailbox. The password is correct.",
        why="Another program is fetching mail, or it crashed and its lock remains. Some servers "
        "also say so for too many sessions of one user.",
        admin="End the stale session, or check the limit of sessions for a user.",
        you="Close other mail programs and phones, or let the check wait: --wait 60.",
    ),
    Explanation(
        "login-delay", 8, "This login is too soon after the last one. The server accepts it later.",
        why="The server limits how often an account may log in. Most servers say so only after a "
        "correct password, but not all.",
        admin="Nothing, if the limit is intended.",
        you="Let the mail program check for mail less often.",
    ),
)  # fmt: skip
