"""TLS and certificates."""

from restante.diagnosis.explanations.explanation import Explanation

_RENEW = "see why the renewal did not run; then reload the server"

ENCRYPTION = (
    Explanation(
        "tls-expired", 5, "The server's certificate has expired.",
        why="mail programs refuse it, or ask a question that nobody should say yes to",
        admin=_RENEW,
        you="wait for the administrator; is this machine's clock right?",
        more="Some servers read a renewed file only when they are reloaded: compare the dates "
        "above with those of the file.",
    ),
    Explanation(
        "tls-soon", 1, "The server's certificate ends soon, and was not renewed yet.",
        why="from that hour on mail programs refuse the server",
        admin=_RENEW,
        you="nothing yet; tell the administrator the date",
        more="Told in its last 14 days; where it is made for days only, in the last third of them.",
    ),
    Explanation(
        "tls-notyet", 5, "The server's certificate is not valid yet.",
        why="it begins in the future: a clock is wrong, here or where it was made",
        admin="see the clock of the machine which made the certificate",
        you="see this machine's clock first",
    ),
    Explanation(
        "tls-selfsigned", 5, "The server's certificate certifies itself: nobody vouches for it.",
        why="nothing tells it from one that an attacker made",
        admin="get a certificate from an authority that clients know; many are free",
        you="if it is your own server, give its certificate with --cacert FILE",
    ),
    Explanation(
        "tls-unknown-ca", 5, "The server's certificate is from an authority not trusted here.",
        why="a company's own authority, a proxy that reads along, or an intermediate left out",
        admin="send the whole chain, or get a certificate from an authority that clients know",
        you="if it is your company's authority, give its certificate with --cacert FILE",
    ),
    Explanation(
        "tls-chain", 5, "The server does not send the intermediate certificate.",
        why="some programs find it elsewhere and work, others refuse: it works for some people",
        admin="send the full chain: the file is often called fullchain.pem",
        you="nothing; tell the administrator",
    ),
    Explanation(
        "tls-wronghost", 5, "The server is up, but its certificate has another name.",
        why="mail programs will warn, or refuse without a reason",
        admin="add the name to the certificate",
        you="compare the name that you typed with what the provider says",
        more="A name out of the certificate is suggested only if it is in the domain of the host "
        "or of the address: anybody can have a certificate for a name of their own.",
    ),
    Explanation(
        "tls-old", 5, "The server speaks only versions of TLS that are no longer safe.",
        why="TLS 1.0 and 1.1 are out of use since RFC 8996; new programs refuse them",
        admin="let the server speak TLS 1.2 and 1.3",
        you="nothing that is safe",
    ),
    Explanation(
        "tls-weak", 5, "The server's TLS is too weak: its keys, signatures or ciphers.",
        why="new programs refuse it, so it works only with old ones",
        admin="a key of 2048 bits (RSA) or P-256 at least, SHA-256, and ciphers of this decade",
        you="nothing that is safe",
    ),
    Explanation(
        "tls-failed", 5, "TLS could not be agreed upon.",
        why="the library's own words are above",
        admin="the server's log has its side of it",
        you="tell the administrator the words above",
    ),
    Explanation(
        "stls-missing", 5, "No TLS here: the password would travel in clear; it was not sent.",
        why="anybody on the way could read it, and the mail",
        admin="give the server a certificate and offer STLS, or TLS on port 995",
        you="try pop3s:// (port 995); --insecure-plaintext sends it all the same",
        more="Where STLS was there yesterday and is missing today, somebody on the way may have "
        "taken it out.",
    ),
    Explanation(
        "stls-refused", 5, "STLS is announced, but refused when it is used.",
        why="most often the server has no certificate it can read",
        admin="see the log: certificate and key readable, and of one pair?",
        you="try pop3s:// (port 995)",
    ),
    Explanation(
        "stls-injection", 5, "Something was sent in clear behind the answer to STLS: an attack.",
        why="words put there would be taken for the server's own, as if they came through TLS",
        admin="a server or proxy that does so must be mended: the CVE-2011-0411 kind of fault",
        you="do not log in from this network until it is explained",
    ),
)  # fmt: skip
