"""The configuration of a cluster, and of a server with Maildirs, in one folder."""

from __future__ import annotations

import os
from pathlib import Path

from support.passwords import quick_hash

MESSAGE = b"Subject: hello\n\nhello\n"


def write_configurations(folder: Path, dsn: bytes, second: bytes | None = None) -> None:
    """Write cluster.toml and maildir.toml."""
    (folder / "dsn").write_bytes(dsn)
    (folder / "users").write_bytes(b"ann:" + quick_hash(b"hunter2").encode() + b"\n")
    (folder / "users").chmod(0o600)
    (folder / "mail").mkdir()
    shard = ""
    if second is not None:
        (folder / "dsn2").write_bytes(second)
        shard = '[cluster.shards.second]\npostgresql_dsn_file = "dsn2"\n'
    (folder / "cluster.toml").write_text(
        '[mail]\nformat = "cluster"\n[cluster]\npostgresql_dsn_file = "dsn"\n'
        f'{shard}[accounts]\nusers = "users"\n'
    )
    (folder / "maildir.toml").write_text('[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n')


def put(folder: Path, owner: str, name: str, content: bytes = MESSAGE) -> Path:
    """Put a message into a Maildir."""
    for part in ("tmp", "new", "cur"):
        (folder / "mail" / owner / part).mkdir(parents=True, exist_ok=True)
    file = folder / "mail" / owner / "new" / name
    file.write_bytes(content)
    os.utime(file, (1, 1))
    return file
