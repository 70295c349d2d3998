"""Names, connections, greetings: before anybody speaks POP3."""

from restante.diagnosis.explanations.explanation import Explanation

NETWORK = (
    Explanation(
        "dns-nxdomain", 3, "The name of the mail server does not exist.",
        why="no program can find the server under this name; often a letter is wrong",
        admin="publish an A or AAAA record for the name",
        you="compare the name with what the provider says; `pop3 discover ADDRESS` asks the "
        "domain, --host NAME names another server",
    ),
    Explanation(
        "no-server", 3, "Nothing names a POP3 server for the address's domain.",
        why="its DNS and autoconfig say none, and no usual name answers; or it has no POP3 at all",
        admin="publish SRV records, _pop3s._tcp: `pop3 discover` asks for them",
        you="see whether the address is right; the provider's server is named by --host NAME",
    ),
    Explanation(
        "other-domain", 5, "The server that was found is not in the address's domain.",
        why="the DNS or a third party alone names it; whoever can forge that gets the password, "
        "so nothing was sent",
        admin="name the server in https://autoconfig.DOMAIN/mail/config-v1.1.xml, or give it a "
        "name in the mail domain, with a certificate for it",
        you="compare the name with what the provider says; if it is right, name it by --host NAME",
        more="At a terminal you are asked, and nothing is remembered. A server in the mail domain "
        "needs no question, for TLS proves that it is there.",
    ),
    Explanation(
        "looked-up-local", 3, "The name of the mail server leads to this machine.",
        why="a name that was looked up could make this machine talk to what listens here alone",
        admin="publish the server's public address",
        you="if the server runs on this machine, name it: pop3s://user@localhost",
    ),
    Explanation(
        "dns-noaddr", 3, "The name exists, but has no address.",
        why="there is nothing to connect to: it may be a domain that has mail but no such host",
        admin="publish an A or AAAA record for the name",
        you="`pop3 discover ADDRESS` asks the domain for its mail server",
    ),
    Explanation(
        "dns-temp", 3, "The name could not be looked up just now.",
        why="this machine's name server did not answer: the network here, or the domain's servers",
        admin="see whether all of the domain's name servers answer",
        you="try another name first: does anything resolve here? Then try again",
    ),
    Explanation(
        "tcp-refused", 4, "Nobody listens on this port: the host is up and refuses it.",
        why="the POP3 server is not running, or it listens on another port",
        admin="start the server, or let it listen on 995 (TLS) as well",
        you="compare the host and the port with what the provider says",
    ),
    Explanation(
        "tcp-timeout", 4, "The address does not answer at all.",
        why="a firewall drops the packets on the way, or the host is down",
        admin="open port 995 in the firewall, and see whether the host is up",
        you="try another network: some block mail ports",
    ),
    Explanation(
        "tcp-reset", 4, "The connection was taken and cut off at once.",
        why="a firewall or proxy ends it, or the server crashed while it took it",
        admin="look for access lists, connection limits and crashes in the log",
        you="try again, and from another network",
    ),
    Explanation(
        "tcp-unreachable", 4, "There is no way to this address from here.",
        why="no route: this machine's network, or IPv6 without a way out",
        admin="see that the published addresses are the right ones",
        you="check your own network; `-4` or `-6` tries only one kind of address",
    ),
    Explanation(
        "ipv6-broken", 1, "IPv6 does not work, IPv4 does.",
        why="programs that try IPv6 first wait for its time-out at each connection",
        admin="let the server listen on its AAAA address, or withdraw the record",
        you="nothing is wrong with the account; `-4` leaves IPv6 out",
    ),
    Explanation(
        "greet-none", 4, "The connection was taken, and then nothing was said.",
        why="the server is overloaded or its back end hangs; the port was found to speak no TLS",
        admin="look at the server's load and at what it waits for",
        you="try again later",
    ),
    Explanation(
        "greet-closed", 4, "The server hung up before its greeting.",
        why="an access list, a limit of connections from your address, or a port for TLS only",
        admin="look for the client's address in the log: access lists, limits, bans",
        you="end other mail programs, wait a few minutes, and try the TLS port 995",
    ),
    Explanation(
        "greet-err", 8, "The server greets with an error: it takes no logins now.",
        why="its own words are above; most often it is too busy, or does not want this address",
        admin="the server's log has the reason",
        you="try again later; this is not about your password",
    ),
    Explanation(
        "wrong-protocol", 6, "What answers here is not a POP3 server.",
        why="another service listens on this port: a wrong port number, or a wrong host",
        admin="see which service has the port",
        you="POP3 is on port 995 with TLS, or 110: IMAP has 993 and 143, SMTP 25, 465 and 587",
    ),
    Explanation(
        "tls-on-plain", 6, "The port speaks TLS from the first octet; you spoke to it in clear.",
        why="both sides wait for the other for ever",
        admin="nothing is wrong with the server",
        you='choose "SSL/TLS" in the mail program, not "STARTTLS" or "none"',
    ),
    Explanation(
        "plain-on-tls", 6, "The port speaks POP3 in clear; you spoke TLS to it.",
        why="the server's greeting is no TLS, so the handshake fails",
        admin="port 995 is for TLS from the first octet: give the listener its certificate",
        you='choose "STARTTLS" with this port, or "SSL/TLS" with port 995',
    ),
)  # fmt: skip
