"""TLS and certificates."""

from restante.diagnosis.explanations.explanation import Explanation

_RENEW = "Find out why the certificate was not renewed. Then reload the server."

ENCRYPTION = (
    Explanation(
        "tls-expired", 5, "The server's certificate, or one of its chain, has expired.",
        why="Mail programs refuse it, or ask a question that users should answer with no.",
        admin=_RENEW,
        you="Wait for the administrator. Check this machine's clock.",
        more="Some servers read a renewed file only when they are reloaded. Compare the dates "
        "above with those in the file.",
    ),
    Explanation(
        "tls-soon", 1, "The server's certificate expires soon and has not been renewed.",
        why="Mail programs refuse the server as soon as the certificate expires.",
        admin=_RENEW,
        you="Nothing yet. Report the date to the administrator.",
        more="This is reported in the last 14 days of a certificate, or in the last third of its "
        "life if that is shorter.",
    ),
    Explanation(
        "tls-subject", 1, "The certificate has the server's name in an obsolete place only.",
        why="Browsers, phones and many mail programs ignore the common name of the subject (RFC "
        "9525). `pop3` accepts it if there is no other name.",
        admin="Get a certificate with the name in the extension subjectAltName.",
        you="Nothing. Report this to the administrator.",
    ),
    Explanation(
        "tls-notyet", 5, "The server's certificate is not valid yet.",
        why="Its first day is in the future. Either this clock is wrong, or the issuer's was.",
        admin="Check the clock of the machine that issued the certificate.",
        you="Check this machine's clock first.",
    ),
    Explanation(
        "tls-selfsigned", 5, "The server's certificate is self-signed: no authority confirms it.",
        why="Clients cannot distinguish it from an attacker's certificate. It may belong to "
        "something on the way, such as the sign-in page of a Wi-Fi.",
        admin="Get a certificate from a public authority. Many are free.",
        you="On a Wi-Fi with a sign-in page, sign in first. If it is your own server, trust its "
        "certificate with --cacert FILE.",
    ),
    Explanation(
        "tls-unknown-ca", 5, "The server's certificate is from an authority not trusted here.",
        why="Causes are a company's own authority, a proxy or an antivirus program that intercepts "
        "TLS, or a missing intermediate certificate.",
        admin="Send the whole chain, or get a certificate from a public authority.",
        you="If it is your company's authority, trust its certificate with --cacert FILE. If an "
        "antivirus program is the issuer, switch off its inspection of mail.",
    ),
    Explanation(
        "tls-no-authorities", 5, "This machine has no certificate authorities to trust.",
        why="No server's certificate can be judged. The package ca-certificates is missing, as "
        "in many containers, or SSL_CERT_FILE or SSL_CERT_DIR is wrong.",
        admin="Nothing on the server.",
        you="Install ca-certificates, correct these variables, or name a file with --cacert FILE.",
    ),
    Explanation(
        "tls-chain", 5, "The server does not send the intermediate certificate.",
        why="Some programs find it elsewhere and work. Others refuse the server.",
        admin="Send the full chain. The file is often called fullchain.pem.",
        you="Nothing. Report this to the administrator.",
    ),
    Explanation(
        "tls-invalid", 5, "The server's certificate may not be used for this server.",
        why="Its authority is not the cause: the certificate, or one in its chain, is for another "
        "purpose, is limited to other names, was revoked or is malformed. The reason is shown "
        "above.",
        admin="Get a certificate for a server (extended key usage serverAuth), and send the chain "
        "that came with it.",
        you="Nothing. Report the reason above to the administrator.",
        more="Revocation is checked only by programs that give the library a context with "
        "certificate revocation lists. `pop3 check` asks neither them nor OCSP.",
    ),
    Explanation(
        "tls-wronghost", 5, "A server answers, but its certificate has another name.",
        why="Mail programs warn users, or refuse to connect and do not say why.",
        admin="Add the name to the certificate.",
        you="Compare the name that you typed with the provider's instructions. On a Wi-Fi with a "
        "sign-in page, sign in first.",
        more="A name from the certificate is suggested only if it is in the domain of the host or "
        "of the address. Anyone can get a certificate for a domain of their own.",
    ),
    Explanation(
        "tls-old", 5, "The server supports only versions of TLS that are no longer safe.",
        why="RFC 8996 retired TLS 1.0 and 1.1. New programs refuse them.",
        admin="Enable TLS 1.2 and 1.3 on the server.",
        you="Ask the administrator to upgrade. No workaround is safe.",
    ),
    Explanation(
        "tls-weak", 5, "The server's TLS is too weak: its keys, signatures or ciphers.",
        why="New programs refuse it. Only old programs can connect.",
        admin="Use an RSA key of at least 2048 bits or a P-256 key, SHA-256, Diffie-Hellman "
        "parameters of at least 2048 bits, and modern ciphers.",
        you="Ask the administrator to upgrade. No workaround is safe.",
    ),
    Explanation(
        "tls-client-cert", 5, "The server requires a certificate of the client.",
        why="It accepts only clients with a certificate of their own, from an authority that "
        "the server trusts.",
        admin="Give the user a certificate, or let the server accept clients without one.",
        you="Choose your certificate in the mail program, or ask the administrator for one. `pop3` "
        "cannot send it; Python programs can, by a context with load_cert_chain.",
    ),
    Explanation(
        "tls-noreply", 4, "The server did not complete the TLS handshake.",
        why="It closed the connection or stopped answering. It may limit or ban your address, have "
        "no certificate that it can use, or wait for a PROXY header. A firewall may drop large "
        "packets.",
        admin="Search the log for the client's address, and for errors with certificate and key. "
        "Behind a proxy, check that both agree on the PROXY protocol.",
        you="Wait some minutes, and try again from another network.",
    ),
    Explanation(
        "tls-failed", 5, "The TLS handshake failed.",
        why="The server's alert, or the error of the TLS library, is shown above.",
        admin="Find the server's error in its log. Check that it can read its certificate and key.",
        you="Report the error above to the administrator.",
    ),
    Explanation(
        "stls-missing", 5, "The server offers no TLS here, so the password was not sent.",
        why="Without TLS, an attacker on the network can read the password and the mail.",
        admin="Give the server a certificate. Offer STLS, or TLS on port 995.",
        you="Try pop3s:// (port 995). --insecure-plaintext sends the password unencrypted.",
        more="If the server offered STLS yesterday and does not today, an attacker on the network "
        "may have removed it.",
    ),
    Explanation(
        "stls-refused", 5, "The server announces STLS, but does not start TLS.",
        why="Most often the server cannot read its certificate.",
        admin="Check the log: are certificate and key readable, and do they match?",
        you="Try pop3s:// (port 995).",
    ),
    Explanation(
        "stls-injection", 5, "Unencrypted data followed the reply to STLS: this may be an attack.",
        why="A client that accepts such data believes that it came from the server through TLS.",
        admin="Upgrade the server or proxy that sends it. The fault is like CVE-2011-0411.",
        you="Do not log in from this network until the cause is known.",
    ),
)  # fmt: skip
