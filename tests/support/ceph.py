"""Ceph's S3 server on this machine: a monitor, a disk in memory, and radosgw."""

from __future__ import annotations

import contextlib
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.live import wait_until
from support.process import free_port, wait_for_port
from support.programs import need
from support.s3 import HIDDEN, KEY, S3

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")

# Without keys, connections must not be encrypted: ceph would wait for the keys for minutes.
# Without tcp_nodelay, each GET below 75 kB takes 40 ms, because of Nagle and delayed ACK.
CONFIG = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{monitor}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms mon service mode = crc
ms mon cluster mode = crc
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
run dir = {folder}
admin socket = {folder}/$name.asok
pid file = {folder}/$name.pid
log file = {folder}/$name.log
crash dir = {folder}
mon data = {folder}/mon
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
"""


class RadosGateway(S3):
    """A running radosgw."""

    def make_bucket(self, name: str) -> str:
        client: Any = _client(self.port)
        client.create_bucket(Bucket=name)
        return f"s3://{name}"


def _client(port: int) -> Any:
    import boto3  # type: ignore[import-untyped]  # moto brings it
    from botocore.config import Config  # type: ignore[import-untyped]

    return boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="default",
        aws_access_key_id=KEY, aws_secret_access_key=HIDDEN,
        config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip


@contextlib.contextmanager
def radosgw(folder: Path) -> Iterator[RadosGateway]:
    """Run radosgw while the block runs. It keeps all in memory."""
    for program in PROGRAMS:
        need(program)
    config, fsid, monitor, port = folder / "ceph.conf", uuid.uuid4(), free_port(), free_port()
    config.write_text(CONFIG.format(fsid=fsid, folder=folder, monitor=monitor, port=port))
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()

    def run(*command: str) -> bytes:
        """Run a command of Ceph, and return its output."""
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, (command, done.stderr[-2000:])
        return done.stdout

    def is_up() -> bool:
        """Return whether radosgw-admin can make its pools; it would hang before that."""
        try:
            disks = json.loads(run("ceph", *chosen, "osd", "stat", "--format", "json"))
        except AssertionError:  # a monitor that has just started rejects commands
            return False
        return bool(disks["num_up_osds"])

    with contextlib.ExitStack() as stack:

        def start(*command: str) -> subprocess.Popen[bytes]:
            """Start a part of Ceph, which ends with the block."""
            output = stack.enter_context((folder / f"{command[0]}.out").open("wb"))
            process = subprocess.Popen([*command, "-f", *chosen], stdout=output, stderr=output)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        chosen = ("-c", str(config))
        monmap, disk = str(folder / "monmap"), str(uuid.uuid4())
        address = f"[v1:127.0.0.1:{monitor}]"
        run("monmaptool", "--create", "--addv", "a", address, "--fsid", str(fsid), monmap)
        run("ceph-mon", *chosen, "--mkfs", "-i", "a", "--monmap", monmap)
        start("ceph-mon", "-i", "a")
        run("ceph", *chosen, "osd", "new", disk)
        run("ceph-osd", *chosen, "-i", "0", "--mkfs", "--osd-uuid", disk)
        start("ceph-osd", "-i", "0")
        wait_until(is_up)
        keys = ("--access-key", KEY, "--secret-key", HIDDEN)
        names = ("--uid", "restante", "--display-name", "restante")
        run("radosgw-admin", *chosen, "user", "create", *names, *keys)
        gateway = start("radosgw", "-n", "client.rgw")
        wait_for_port(port, gateway)
        yield RadosGateway(port, gateway.pid)
