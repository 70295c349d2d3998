"""The protocols other than POP3, by their first octets."""

from __future__ import annotations

from restante.protocol.text import decode_text

_OTHER_PROTOCOLS = (
    (b"421", "SMTP"),
    (b"554", "SMTP"),
    (b"* ", "IMAP"),
    (b"HTTP/", "HTTP"),
    (b"<", "HTTP"),
    (b"SSH-", "SSH"),
    (b"200 ", "NNTP"),
    (b"201 ", "NNTP"),
    (b'"IMPLEMENTATION"', "ManageSieve"),
    (b"\x15\x03", "TLS"),
    (b"\x16\x03", "TLS"),
    (b"RFB ", "VNC"),
)


def describe_server(banner: bytes) -> str:
    """Return a server of another protocol in words, with its greeting."""
    line = decode_text(banner[:200].partition(b"\n")[0]).rstrip("\r")
    kind = protocol_of(banner)
    if kind == "unknown":
        return f'this is not a POP3 server: its greeting is "{line[:100]}"'
    article = "a" if kind in ("ManageSieve", "VNC") else "an"
    return f'this is {article} {kind} server with the greeting "{line[:100]}"'


def protocol_of(octets: bytes) -> str:
    """Return the protocol of a greeting, or "unknown"."""
    if octets.startswith(b"220"):
        text = octets[:200].upper()
        return "FTP" if b"FTP" in text and b"SMTP" not in text else "SMTP"
    names = (name for start, name in _OTHER_PROTOCOLS if octets.startswith(start))
    return next(names, "unknown")
