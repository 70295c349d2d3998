"""Names, connections and greetings: everything before the POP3 session."""

from restante.diagnosis.explanations.explanation import Explanation

NETWORK = (
    Explanation(
        "dns-nxdomain", 3, "The name of the mail server does not exist.",
        why="No program can find the server by this name. Often it is misspelt.",
        admin="Publish an A or AAAA record for the name, or correct the SRV record or the "
        "autoconfig file that names it.",
        you="Compare the name with the provider's instructions. Run `pop3 discover ADDRESS` to "
        "find the server, or name it with --host NAME.",
    ),
    Explanation(
        "no-domain", 3, "The domain of the address does not exist.",
        why="The DNS does not have it. Often it is misspelt, or its registration has ended.",
        admin="Check the registration of the domain, and its name servers.",
        you="Compare the part after the @ with a message that you sent or received.",
    ),
    Explanation(
        "dns-alias", 3, "The name is an alias of a name that does not exist.",
        why="Its CNAME record has a target without an address. Often the service there has ended, "
        "or has moved.",
        admin="Correct the CNAME record, or publish an A or AAAA record for its target.",
        you="Report it to the provider. If you know the server's new name, use --host NAME.",
    ),
    Explanation(
        "no-mail", 3, "The domain of the address declares that it has no mail.",
        why='Its MX record has the target ".": RFC 7505. No address of this domain gets mail.',
        admin="If the domain has mail, publish the MX record of its server.",
        you="Compare the part after the @ with a message that you sent or received.",
    ),
    Explanation(
        "no-server", 3, "No POP3 server was found for the address's domain.",
        why="Its DNS and autoconfig name no server, and no usual name answers. The provider may "
        "not support POP3.",
        admin="Publish SRV records for _pop3s._tcp. Check them with `pop3 discover`.",
        you="Check the address. If you know the provider's server, name it with --host NAME.",
    ),
    Explanation(
        "other-domain", 5, "The discovered server is not in the address's domain.",
        why="Only the DNS or a third party names it. An attacker who can forge the answer would "
        "get the password, so nothing was sent.",
        admin="Name the server in https://autoconfig.DOMAIN/mail/config-v1.1.xml, or give it a "
        "name in the mail domain, with a certificate for that name.",
        you="Compare the name with the provider's instructions. If it is correct, use --host NAME.",
        more="On a terminal the program asks for confirmation each time. A server in the mail "
        "domain needs none, because TLS verifies its name.",
    ),
    Explanation(
        "looked-up-local", 3, "The name of the mail server leads to this machine.",
        why="An untrusted name could connect this machine to its own private services.",
        admin="Publish the server's public address.",
        you="If the server runs on this machine, use pop3s://user@localhost.",
    ),
    Explanation(
        "dns-noaddr", 3, "The name exists, but has no address.",
        why="There is nothing to connect to. A mail domain need not have a host of its name.",
        admin="Publish an A or AAAA record for the name.",
        you="Run `pop3 discover ADDRESS` to find the mail server of the domain.",
    ),
    Explanation(
        "dns-blocked", 3, "The name of the mail server is blocked.",
        why="Its address is 0.0.0.0 or ::, which no host has. Filters such as Pi-hole, and lists "
        "in the file hosts, give it to names that they block.",
        admin="If the domain itself publishes this address, correct its A or AAAA record.",
        you="Allow the name in the filter, or in the file hosts. Or try another network.",
    ),
    Explanation(
        "dns-temp", 3, "The name could not be looked up at this time.",
        why="A name server did not answer, or answered with an error: this machine's, or the "
        "domain's. Or the settings of this machine have none.",
        admin="Check that all name servers of the domain answer, and that its DNSSEC signatures "
        "are valid.",
        you="Try to look up another name on this machine. Then try again.",
    ),
    Explanation(
        "tcp-refused", 4, "The host is up, but refuses connections to this port.",
        why="The POP3 server is not running, or it listens on another port.",
        admin="Start the server, or let it listen on port 995 (TLS) as well.",
        you="Compare the host and the port with the provider's instructions.",
    ),
    Explanation(
        "tcp-timeout", 4, "The address does not answer.",
        why="A firewall drops the packets, or the host is down.",
        admin="Open port 995 in the firewall, and check that the host is up.",
        you="Try another network. Some networks block mail ports.",
    ),
    Explanation(
        "tcp-reset", 4, "The connection was accepted and closed at once.",
        why="A firewall or proxy closes it, or the server crashed.",
        admin="Check the log for access lists, connection limits and crashes.",
        you="Try again, and from another network.",
    ),
    Explanation(
        "tcp-unreachable", 4, "The network reports that the address cannot be reached.",
        why="This machine has no route to it, for example because it has no IPv6. If it has one, "
        "the host is down, or a router or a firewall rejects the connection.",
        admin="Check that the host is up, that firewalls admit its clients, and that the "
        "published addresses are correct.",
        you="Check your own network and firewall. If other hosts answer, try another network.",
    ),
    Explanation(
        "ipv6-broken", 1, "IPv6 does not work, IPv4 does.",
        why="Programs that try IPv6 first wait for a timeout at each connection.",
        admin="Let the server listen on its AAAA address, or remove the record.",
        you="The account works. Use `-4` to leave IPv6 out.",
    ),
    Explanation(
        "preferred-dead", 1, "A server that the domain prefers accepts no connections.",
        why="Mail programs that do not try the next server of the domain fail.",
        admin="Start the server. Or correct the SRV record or the autoconfig file that names it.",
        you="The account works at another server of the domain, which is shown above.",
    ),
    Explanation(
        "address-dead", 1, "An address of the server does not work, another one does.",
        why="Programs that try this address first wait, or fail at one time and work at another.",
        admin="Start the server at this address, or remove the address from the DNS.",
        you="The account works. If a mail program fails now and then, this is the cause.",
    ),
    Explanation(
        "greet-none", 4, "The server accepted the connection, but sent no greeting.",
        why="The server is overloaded, its back end hangs, or it looks up the client's name in the "
        "DNS (TLS on this port was ruled out). Behind a proxy it may wait for a PROXY header.",
        admin="Check the server's load, its back end and its name servers. Behind a proxy, check "
        "that both agree on the PROXY protocol.",
        you="Try again later, or allow more time with --timeout SECONDS.",
    ),
    Explanation(
        "greet-closed", 4, "The server closed the connection before its greeting.",
        why="Causes are an access list, a limit of connections from your address, or a proxy whose "
        "mail server is down. Without TLS, the port may also require it.",
        admin="Search the log for the client's address: access lists, limits, bans, or a PROXY "
        "header that the server expects. At a proxy, check the mail server.",
        you="Close other mail programs, wait a few minutes, and try again. Without TLS, try the "
        "TLS port 995.",
    ),
    Explanation(
        "greet-err", 8, "The server greets with an error: it accepts no logins now.",
        why="The server's reply is shown above. Most often it is too busy, or rejects this "
        "address.",
        admin="Find the reason in the server's log.",
        you="Try again later, or from another network. Your password is not the cause.",
    ),
    Explanation(
        "wrong-protocol", 6, "The service on this port is not a POP3 server.",
        why="The port number or the host is wrong. Or something on the way answers in its place, "
        "such as the sign-in page of a Wi-Fi.",
        admin="Find out which service uses the port.",
        you="Use port 995 (TLS) or 110 for POP3. IMAP uses 993 and 143, SMTP 25, 465 and 587. "
        "On a Wi-Fi with a sign-in page, sign in first.",
    ),
    Explanation(
        "tls-on-plain", 6, "The port requires TLS from the first octet, but TLS was not used.",
        why="Client and server each wait for the other.",
        admin="Nothing. The server works.",
        you='Choose "SSL/TLS" in the mail program, not "STARTTLS" or "none". For `pop3`, begin the '
        "account with pop3s://.",
    ),
    Explanation(
        "plain-on-tls", 6, "The port uses POP3 without TLS, but the client started TLS.",
        why="The server sends an unencrypted greeting, so the TLS handshake fails.",
        admin="If this is port 995, enable TLS on it and give the listener its certificate.",
        you='Choose "STARTTLS" with this port, or "SSL/TLS" with port 995. For `pop3`, begin the '
        "account with pop3:// or pop3s://.",
    ),
)  # fmt: skip
