"""Messages that mail programs and servers have stumbled over, as they lie on the disk."""

from __future__ import annotations

from protocol import reference

HEADER = b"From: Ann <ann@example.com>\nTo: Bob <bob@example.com>\nSubject: Odd\n\n"

MESSAGES = {
    "UTF-8": "Subject: Grüße\n\nÄpfel — りんご\n".encode(),
    "latin-1": "Subject: café\n\né, ÿ and \xa0\n".encode("latin-1"),
    "dots": HEADER + b".\n..\n.x\n...\n. .\n\n.\n",
    "a dot first": b".Subject: Odd\n\nbody\n",
    "only a dot": b".\n",
    "no last line end": HEADER + b"last",
    "NUL": HEADER + b"a\0b\n\0\n\0\0x\n",
    "NUL in the header": b"Subject: a\0b\n\nbody\n",
    "a long line": HEADER + b"x" * 100_000 + b"\n.next\n",
    "a long header line": b"Subject: " + b"x" * 100_000 + b"\n\nbody\n",
    "empty": b"",
    "CRLF on disk": HEADER.replace(b"\n", b"\r\n") + b"one\r\n.two\r\n\r\n.\r\n",
    "CRLF here and there": HEADER + b"one\r\ntwo\n.three\r\n",
    "a lone CR": HEADER + b"a\rb\n\r.c\rd\n\re\n",
    "CR at line ends": HEADER + b"a\r\r\nb\r",
    "3 MB": HEADER + b"".join(b"." * (n % 3) + b"line %d\n" % n for n in range(250_000)),
    "a header alone": b"From: Ann <ann@example.com>\nSubject: Odd\n",
    "an empty line first": b"\nbody\n",
    "From lines": HEADER + b"From here\n>From there\n",
}


def on_the_wire(stored: bytes) -> bytes:
    """Return what a client must get, less dot-stuffing and the terminator: implied/line-ends."""
    return b"".join(line + b"\r\n" for line in reference.wire_lines(stored))


def difference(got: bytes, *accepted: bytes) -> str:
    """Return where octets differ from the first of what is accepted; nothing when one is equal."""
    if got in accepted:
        return ""
    wanted = accepted[0]
    pairs = enumerate(zip(got, wanted, strict=False))
    place = next((at for at, (a, b) in pairs if a != b), min(len(got), len(wanted)))
    around = slice(max(place - 20, 0), place + 40)
    return (
        f"{len(got)} octets, not {len(wanted)}; they differ from octet {place} on:"
        f" {got[around]!r}, not {wanted[around]!r}"
    )
