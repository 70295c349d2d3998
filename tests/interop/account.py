"""One user's account at the server under test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """The settings of a client, and the folder of its mail."""

    port: int
    user: str
    password: str
    maildir: Path

    def mail(self) -> dict[Path, bytes]:
        """Return all message files with what is in them."""
        files = [file for part in ("new", "cur") for file in (self.maildir / part).iterdir()]
        return {file: file.read_bytes() for file in files}

    def deliver(self, name: str, message: bytes) -> None:
        (self.maildir / "tmp" / name).write_bytes(message)
        (self.maildir / "tmp" / name).rename(self.maildir / "new" / name)

    def mark_all_as_seen(self) -> None:
        """Do what a mail program does that reads the Maildir beside the server."""
        for file in (self.maildir / "new").iterdir():
            file.rename(self.maildir / "cur" / f"{file.name}:2,S")
