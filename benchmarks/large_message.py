"""How much memory `pop3 fetch` needs for a message of 2 GB: make bench-large-message.

The server makes the message as it goes, and the destinations over the network read it and keep
nothing, so that the memory is that of the program. The disk needs 5 GB.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import usage

from fetch.destinations import imap_double, smtp_double
from support import large_mail

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTES = int(os.environ.get("MEGABYTES", "2000"))
GOAL = 50 * 2**20  # octets of memory
POP3 = Path(sys.executable).parent / "pop3"


class ImapSink(imap_double.ImapHandler):
    """An IMAP server that reads a message and keeps nothing."""

    def answer(self, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        """Read what APPEND sends in pieces."""
        if word != b"APPEND":
            return super().answer(tag, word, command)
        left = int(command.rpartition(b"{")[2].rstrip(b"}"))
        self.say(b"+ go on")
        while left:
            left -= len(self.rfile.read(min(left, len(large_mail.PIECE))))
        self.rfile.readline()
        return b"OK [APPENDUID 7 4] done"


@contextlib.contextmanager
def destination(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of a destination that is there meanwhile."""
    if kind == "imap":
        with imap_double.serving(ImapSink) as (port, _):
            yield f"imap://ann@127.0.0.1:{port}"
    elif kind in ("lmtp", "smtp"):
        with smtp_double.smtp_double(lmtp=kind == "lmtp") as double:
            host = f"{kind}:" if kind == "lmtp" else f"{kind}://"
            yield f"{host}127.0.0.1:{double.port}?rcpt=ann@example.com"
    else:
        yield {
            "maildir": f"maildir:{folder}/Mail",
            "mbox": f"mbox:{folder}/mbox",
            "pipe": f"pipe:dd of={folder}/out bs=64k status=none",
        }[kind]


def fetch(port: int, url: str, home: Path) -> usage.Usage:
    """Fetch the message, and return what that used."""
    config = home / ".config/restante"
    config.mkdir(parents=True)
    (config / "accounts.toml").write_text(
        f'[work]\naccount = "pop3://ann@127.0.0.1:{port}"\npassword_command = "echo secret"\n'
        f"[work.fetch]\nto = '{url}'\nto_password_command = \"echo secret\"\n"
    )
    (config / "accounts.toml").chmod(0o600)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    return usage.run([POP3, "fetch", "work"], environment, home)


def main() -> None:
    """Print a line for each destination, and whether all reach the goal."""
    pieces = MEGABYTES * 1_000_000 // len(large_mail.PIECE) + 1
    print(f"one message of {large_mail.octets(pieces):,} octets")
    memories = []
    for kind in ("maildir", "mbox", "pipe", "lmtp", "smtp", "imap"):
        with (
            tempfile.TemporaryDirectory(prefix="restante-large-") as home,
            large_mail.serving(pieces) as port,
            destination(kind, Path(home)) as url,
        ):
            used = fetch(port, url, Path(home))
        memories.append(used.memory)
        text = f"{used.processor:6.1f} s of the processor, {used.memory / 2**20:5.1f} MiB"
        print(f"  {kind:8} {text}", flush=True)
    print("goal of 50 MiB:", "met" if max(memories) < GOAL else "missed")


if __name__ == "__main__":
    main()
