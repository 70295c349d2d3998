"""PgBouncer in transaction mode before PostgreSQL, in `make cluster-faults`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.protocol.secret import Secret
from restante.storage.cluster import ClusterSettings, ClusterStore
from restante.storage.errors import BusyError, LostError
from support.cluster import Cluster, execute
from support.other_user import public_folder
from support.process import free_port, wait_for_port
from support.programs import need

pytestmark = pytest.mark.skipif(
    "RESTANTE_CLUSTER_FAULTS" not in os.environ, reason="runs with make cluster-faults"
)

OWNERS = [f"user{number}" for number in range(40)]
SERVERS = 5  # connections of PgBouncer to PostgreSQL: far fewer than those of the nodes


@contextlib.contextmanager
def pooling(cluster: Cluster) -> Iterator[int]:
    """Run PgBouncer before a PostgreSQL while the block runs, and give its port."""
    command, nobody = need("pgbouncer"), need("setpriv")
    port = free_port()
    with public_folder() as folder:
        (folder / "users").write_text('"restante" ""\n')
        (folder / "ini").write_text(
            f"[databases]\n* = host={Path(cluster.server.socket).parent}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder}/users\n"
            f"pool_mode = transaction\ndefault_pool_size = {SERVERS}\nmax_client_conn = 200\n"
        )
        arguments = [command, "-q", str(folder / "ini")]
        if os.geteuid() == 0:  # it refuses to run as root
            arguments = [nobody, "--reuid=nobody", "--clear-groups", *arguments]
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for_port(port, process)
                yield port
            finally:
                process.send_signal(signal.SIGINT)


def address(dsn: Secret, port: int) -> Secret:
    name = dsn.reveal().decode().partition("?")[0].rpartition("/")[2]
    return Secret(f"postgresql://restante@127.0.0.1:{port}/{name}".encode())


def test_leases_behind_a_pooler(cluster: Cluster) -> None:
    """A lease holds between nodes that share connections, and none is left."""
    need("pgbouncer")
    dsn = cluster.new_database()

    async def use(stores: tuple[ClusterStore, ClusterStore], owner: str) -> None:
        one, other = stores
        uids = [await one.deliver(owner, b"Subject: %d\n\n" % number) for number in range(3)]
        maildrop = await one.acquire(owner, 5)
        with pytest.raises(BusyError):
            await other.acquire(owner, 0)
        assert list(maildrop.contents.uids) == uids
        await maildrop.remove([0])
        maildrop.release()
        again = await other.acquire(owner, 5)
        assert list(again.contents.uids) == uids[1:]
        await execute(dsn, TAKE, owner)
        with pytest.raises(LostError):
            await again.remove([0])
        again.release()

    async def run(port: int) -> None:
        settings = ClusterSettings(dsn=address(dsn, port), pooler=True, lease=60)
        stores = ClusterStore(settings), ClusterStore(settings)
        async with stores[0].open(), stores[1].open():
            await asyncio.gather(*(use(stores, owner) for owner in OWNERS))
        assert await execute(dsn, HELD) == []
        left = await execute(dsn, "select from message")
        assert len(left) == 2 * len(OWNERS)

    with pooling(cluster) as port:
        asyncio.run(run(port))
    cluster.drop(dsn)


TAKE = """
update lease set token = gen_random_uuid() from box where box.id = lease.box and owner = $1
"""
HELD = "select from lease join node on node.id = lease.node where until > clock_timestamp()"
