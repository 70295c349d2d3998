"""Logging in."""

from restante.diagnosis.explanations.explanation import Explanation

LOGIN = (
    Explanation(
        "auth-plain-refused", 10, "Passwords only under TLS: the server refuses them in clear.",
        why="that is right of it",
        admin="nothing, if clients are meant to use TLS",
        you="use pop3s:// (port 995), or STLS on port 110",
    ),
    Explanation(
        "auth-failed", 7, "Name or password wrong; the server does not say which.",
        why="also a locked or unknown account is answered so, on purpose",
        admin="the server's log knows which it was",
        you="type the password by hand; try the whole address, and the part before the @",
    ),
    Explanation(
        "auth-unproven", 5, "The server could not prove that it is the real one: no password sent.",
        why="with SCRAM the server proves that it knows your password; who puts themselves in "
        "between, to get it and the mail, does not",
        admin="see which machine answers here; if it is yours, renew the account's SCRAM keys, and "
        "see whether something in front of the server ends TLS",
        you="do not log in from this network until it is explained; try from another one",
        more="It is told, too, where the server's part of SCRAM is malformed, or too weak: less "
        "than 4096 iterations. A mail program that goes on with the bare password after this gives "
        "it away.",
    ),
    Explanation(
        "auth-unsent", 7, "This name or password cannot be sent in this way; nothing was sent.",
        why="it is missing, too long, or has characters that the protocol or the mechanism forbids",
        admin="give the account a password that every mail program can send: ASCII, without a tab",
        you="type both by hand: a line end or a tab may have been copied along",
    ),
    Explanation(
        "auth-apppw", 7, "The provider wants an app password, not the account's own.",
        why="with two-step login the account's password is not taken from mail programs",
        admin="nothing",
        you="make an app password in the provider's security settings and use that",
    ),
    Explanation(
        "auth-oauth", 10, "This provider ended passwords for POP; it wants OAuth2.",
        why="it offers XOAUTH2 or OAUTHBEARER and refused the password",
        admin="with your own server: check the password too, for it may just be wrong",
        you='choose "OAuth2" as the login method in the mail program, or make an '
        "app password if the provider has them; then check again with --oauth",
    ),
    Explanation(
        "auth-pop-disabled", 10, "POP is switched off for this account.",
        why="the server says so in its own words, above",
        admin="allow POP for the account",
        you="switch POP on in the provider's web mail: settings, forwarding and POP/IMAP",
    ),
    Explanation(
        "auth-expired", 7, "The password has expired: the server wants a new one.",
        why="the server says so in its own words, above; until then no program can log in",
        admin="tell people before it happens, and where to change it",
        you="change the password, in web mail or where the server's words lead, and check again",
    ),
    Explanation(
        "auth-locked", 7, "The account is locked or closed; that is not about this password.",
        why="the server says so in its own words, above: too many failed logins, or by decision",
        admin="see why it was locked, and which program still tries an old password",
        you="end programs that have an old password; then ask the provider to unlock it, or wait",
    ),
    Explanation(
        "auth-toomany", 8, "Too many logins were tried: the server takes none from you for now.",
        why="right passwords are refused as well until some minutes have passed",
        admin="see the server's limits, and which program or address tries so often",
        you="end programs that look too often or have an old password; wait, then try once",
    ),
    Explanation(
        "auth-temp", 8, "The server cannot check logins now; it says nothing about the password.",
        why="its back end, a database or a directory, does not answer",
        admin="look at what the server asks for accounts, and at its disk",
        you="do not change the password; try again later",
    ),
    Explanation(
        "auth-noreply", 8, "The server hung up or fell silent in the login.",
        why="its back end hangs, or it bans your address after failed logins; the command is above",
        admin="look for the address in fail2ban and the server's log",
        you="wait, then try once; many tries make a ban longer",
    ),
    Explanation(
        "locked", 9, "Another session holds the mailbox; the password is right.",
        why="a program fetches just now, or one died and the server keeps its lock",
        admin="end the stale session",
        you="close other mail programs and phones, or let the check wait: --wait 60",
    ),
    Explanation(
        "login-delay", 8, "The password is right, but this login comes too soon after the last.",
        why="the server allows one login in so many seconds",
        admin="nothing, if that is meant",
        you="let the mail program look less often",
    ),
)  # fmt: skip
