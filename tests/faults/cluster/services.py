"""PostgreSQL and an S3 server, which all benches of a run share."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from obstore.store import from_url

from faults.cluster.wires import Streams
from support.other_user import public_folder
from support.postgresql import Database, need_postgresql
from support.s3 import S3, moto, secret_for


class Services(msgspec.Struct):
    """Where they are."""

    socket: str  # PostgreSQL's
    s3_port: int

    async def connect_postgresql(self) -> Streams:
        return await asyncio.open_unix_connection(self.socket, limit=2**26)

    async def connect_s3(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.s3_port, limit=2**26)

    def dsn(self, database: str, port: int = 0) -> str:
        """Return the address of a database: through the proxy at a port, or directly."""
        if port:
            return f"postgresql://restante@127.0.0.1:{port}/{database}"
        return f"postgresql://restante@/{database}?host={Path(self.socket).parent}"

    def s3_secret(self, port: int = 0) -> str:
        """Return the settings of the S3 server: through the proxy at a port, or directly."""
        return secret_for(port or self.s3_port).reveal().decode()

    def bucket(self, name: str) -> Any:
        """Make a bucket, and return it as obstore has it."""
        address = S3(self.s3_port).make_bucket(name)
        config: Any = tomllib.loads(self.s3_secret())
        return from_url(address, config=config, client_options={"allow_http": True})


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """Run both while the block runs."""
    need_postgresql()
    with public_folder() as folder, moto() as s3:
        database = Database(folder)
        database.start()
        try:
            yield Services(database.socket, s3.port)
        finally:
            database.stop()
