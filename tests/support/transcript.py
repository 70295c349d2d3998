"""Dialogs as text files, which read like an example in an RFC.

# RFC 1939 section 5, DELE: a marked message cannot be named again.
mailbox ann secret
  "Subject: a" "" "hello"      a message, a string a line; \\x escapes work
setting login_timeout 5        a field of ProtocolSettings
offer login_delay 60           a field of AuthOffer
S: +OK ...                     "..." at the end stands for any text
C: USER ann
C<"a\\x00b\\n"                 raw octets, as they are
C<"NOOP " "x" * 99 "\\n"       the same, in parts that may be repeated
by lmtp                        what the client speaks, where it is not POP3
closed                         the server hangs up, with nothing more to say
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restante.protocol.server.settings import AuthOffer, ProtocolSettings

FOLDER = Path(__file__).parent.parent / "transcripts"


@dataclass
class Transcript:
    """A parsed file."""

    mailboxes: dict[str, tuple[str, list[bytes]]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    offer: dict[str, Any] = field(default_factory=dict)
    by: str = ""
    steps: list[tuple[int, str, bytes]] = field(default_factory=list)  # line, kind, octets

    def make_settings(self) -> ProtocolSettings:
        return ProtocolSettings(**self.settings)

    def make_offer(self) -> AuthOffer:
        return AuthOffer(**self.offer)


def names(folder: Path = FOLDER) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.txt"))


def read(name: str, folder: Path = FOLDER) -> Transcript:
    transcript = Transcript()
    messages: list[bytes] = []
    for number, line in enumerate((folder / f"{name}.txt").read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("  "):
            messages.append(_message(line))
        elif line.startswith("mailbox "):
            _, user, password = line.split(" ", 2)
            messages = []
            transcript.mailboxes[user] = (password, messages)
        elif line.startswith(("setting ", "offer ")):
            kind, key, value = line.split(" ", 2)
            chosen = transcript.settings if kind == "setting" else transcript.offer
            chosen[key] = ast.literal_eval(value)
        elif line.startswith(("S: ", "C: ")) or line in ("S:", "C:"):
            said = "+ " if line == "S: +" else line[3:]  # an empty challenge: editors trim spaces
            transcript.steps.append((number, line[0], said.encode()))
        elif line.startswith("C<"):
            transcript.steps.append((number, "raw", _raw(line[2:])))
        elif line.startswith("by "):
            transcript.by = line[3:]
        elif line == "closed":
            transcript.steps.append((number, "closed", b""))
        else:
            raise AssertionError(f"{name}.txt:{number}: not understood: {line}")
    return transcript


def _raw(written: str) -> bytes:
    parts = re.findall(r'("(?:[^"\\]|\\.)*")(?: \* (\d+))?', written)
    return b"".join(ast.literal_eval("b" + part) * int(times or 1) for part, times in parts)


def _message(line: str) -> bytes:
    strings = re.findall(r'"(?:[^"\\]|\\.)*"', line)
    return b"".join(ast.literal_eval("b" + string) + b"\n" for string in strings)


def play(
    name: str,
    transcript: Transcript,
    send: Callable[[bytes], None],
    read_line: Callable[[], bytes],
) -> None:
    """Say the client's lines, and compare the server's; `read_line` gives b"" when it hung up."""
    for number, kind, octets in transcript.steps:
        where = f"{name}.txt:{number}"
        if kind == "C":
            send(octets + b"\r\n")
        elif kind == "raw":
            send(octets)
        elif kind == "closed":
            assert read_line() == b"", f"{where}: the server should have hung up"
        else:
            said = read_line()
            if octets.endswith(b"..."):
                start = octets.removesuffix(b"...")
                assert said.startswith(start), f"{where}: {said!r} does not begin with {start!r}"
                assert said.endswith(b"\r\n"), where
            else:
                assert said == octets + b"\r\n", f"{where}: {said!r}"
