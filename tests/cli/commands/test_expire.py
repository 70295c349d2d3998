"""`pop3 expire`, and the same by the server itself: rfc2449-s6.7/expire."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest
from structlog.typing import FilteringBoundLogger

from restante.server.composition import components
from restante.server.config import loader
from restante.server.tasks.background import background_tasks
from restante.server.tasks.steady_clock import AFTER_BOOT
from restante.storage.cluster import ClusterStore
from support.cluster import Cluster, execute, settings
from support.command import Ran, pop3
from support.process import POP3, serving
from support.rounds import Clocks, run_until

WEEK = 7 * 24 * 60 * 60


def put(mail: Path, user: str, name: str, age: float) -> Path:
    file = mail / user / "cur" / name
    for part in ("tmp", "new", "cur"):
        (mail / user / part).mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"Subject: a\n\n")
    os.utime(file, (time.time() - age, time.time() - age))
    return file


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "mail").mkdir()
    hash_ = "$6$saltsalt$" + "x" * 86
    (tmp_path / "users").write_text(f"ann:{hash_}\nbob:{hash_}::::::expire_days=30\n")
    (tmp_path / "users").chmod(0o600)
    file = tmp_path / "restante.toml"
    file.write_text('[mail]\nfolder = "mail"\nexpire_days = 7\n[accounts]\nusers = "users"\n')
    return file


def run(config: Path, *flags: str) -> Ran:
    return pop3("expire", "--config", config, *flags)


def expire(config: Path, *flags: str) -> str:
    ended = run(config, *flags)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def test_a_full_disk_of_the_output(config: Path) -> None:
    """A line that cannot be printed keeps no other maildrop from its turn."""
    mail = config.parent / "mail"
    files = [put(mail, user, "1.old", 9 * WEEK) for user in ("ann", "bob")]
    with open("/dev/full", "wb") as full:
        command: list[str | Path] = [POP3, "expire", "--config", config]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.DEVNULL, check=False)
    assert ended.returncode == 12
    assert not [file for file in files if file.exists()]


def test_what_would_go_can_be_listed_before_it_goes(config: Path) -> None:
    """`--dry-run` lists the messages that `pop3 expire` then removes."""
    mail = config.parent / "mail"
    anns = put(mail, "ann", "1.old", 2 * WEEK)
    bobs = put(mail, "bob", "1.old", 2 * WEEK)  # he has 30 days
    listed = "ann: would be removed: 1.old, 14 days, 12 octets\n1 message would be removed.\n"
    assert expire(config, "--dry-run") == listed
    assert anns.exists()
    assert expire(config) == "ann: removed: 1.old, 14 days, 12 octets\n1 message removed.\n"
    assert not anns.exists()
    assert bobs.exists()
    assert expire(config) == "0 messages removed.\n"


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_unreadable_maildrop_fails_expire(config: Path, flags: tuple[str, ...]) -> None:
    """A maildrop that cannot be opened makes the exit code 1, for cron; others are still expired."""
    mail = config.parent / "mail"
    (mail / "ann").mkdir()
    (mail / "ann" / "cur").touch()
    put(mail, "bob", "1.old", 5 * WEEK)
    ended = run(config, *flags)
    assert ended.code == 1
    assert ended.err == (
        f"ann: old mail cannot be removed: Not a directory: {mail}/ann/cur; "
        "replace it by a folder, or choose another path\n"
    )
    assert "bob: " in ended.out
    assert "\n1 message " in ended.out


def test_a_maildrop_in_use_is_left_without_complaint(config: Path) -> None:
    """A maildrop in use is skipped, and the exit code stays 0."""
    mail = config.parent / "mail"
    file = put(mail, "ann", "1.old", 2 * WEEK)
    with open(mail / "ann" / "restante.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = run(config)
    assert (ended.code, ended.out) == (0, "0 messages removed.\n")
    assert ended.err.startswith("ann: ")
    assert "event=" not in ended.err
    assert file.exists()


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_without_days_nothing_expires(config: Path, flags: tuple[str, ...]) -> None:
    """Without a number of days the command says that no mail expires."""
    config.write_text(config.read_text().replace("expire_days = 7\n", ""))
    put(config.parent / "mail", "ann", "1.old", 2 * WEEK)
    assert "0 messages " in expire(config, *flags)  # it is set for Bob
    users = config.parent / "users"
    users.write_text(users.read_text().replace("expire_days=30", ""))
    ended = run(config, *flags)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "Error: expire_days is not set, so no mail expires; set it in the section [mail],"
        " or for an account\n"
    )


def test_server_expires_mail(config: Path) -> None:
    """A server expires mail by itself, ten minutes after the boot."""
    file = put(config.parent / "mail", "ann", "1.old", 2 * WEEK)
    kept = put(config.parent / "mail", "ann", "2.young", WEEK / 2)
    clocks = Clocks()

    async def serve(log: FilteringBoundLogger) -> None:
        loaded = loader.load(config, {})
        context = components.build_context(loaded, log)
        expiry = components.build_expiry(loaded, context)
        async with background_tasks(context, expiry, [], clocks.steady(log)):
            await asyncio.Event().wait()

    run_until(serve, lambda text: "event=expired user=ann messages=1" in text)
    assert clocks.paused == AFTER_BOOT
    assert not file.exists()
    assert kept.exists()


def test_server_announces_the_days(config: Path) -> None:
    """CAPA has the days after which mail expires."""
    with serving(config.parent, "--config", config) as served, served.connect() as client:
        client.read_line()
        client.say("CAPA")
        assert b"EXPIRE 7 USER\r\n" in client.read_lines()


def test_mbox_expires_by_from_line(config: Path) -> None:
    """Mail in an mbox expires by the date of its From-line."""
    mbox = config.parent / "mail" / "ann"
    config.write_text(config.read_text().replace("[mail]", '[mail]\nformat = "mbox"'))
    old = f"From bob {time.ctime(time.time() - 2 * WEEK)}\nSubject: a\n\n\n"
    young = f"From bob {time.ctime()}\nSubject: b\n\n\n"
    mbox.write_text(old + young)
    assert "ann: would be removed: " in expire(config, "--dry-run")
    assert mbox.read_text() == old + young
    assert "14 days, 12 octets\n1 message removed." in expire(config)
    assert mbox.read_text() == young


def test_accounts_of_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """rfc2449-s6.7/expire: each account of a cluster has its days, or those of the server."""
    dsn = cluster.new_database()
    (tmp_path / "dsn").write_bytes(dsn.reveal())
    file = tmp_path / "cluster.toml"
    file.write_text(
        '[mail]\nformat = "cluster"\nexpire_days = 7\n[cluster]\npostgresql_dsn_file = "dsn"\n'
    )

    async def fill() -> None:
        for name, days in (("ann", None), ("bob", 30), ("cy", 9)):
            await execute(
                dsn, "insert into account (name, password, expire_days) values ($1, 'x', $2)",
                name, days,
            )  # fmt: skip
        store = ClusterStore(settings(dsn))
        async with store.open():
            for owner in ("ann", "bob", "cy", "nobody"):
                await store.deliver(owner, b"Subject: a\n\n")
        await execute(dsn, "update message set arrived = arrived - interval '8 days'")

    asyncio.run(fill())
    said = expire(file, "--dry-run")
    assert said.startswith("ann: would be removed: ")
    assert said.endswith(", 8 days, 12 octets\n1 message would be removed.\n")
    assert expire(file).endswith("1 message removed.\n")
    assert expire(file) == "0 messages removed.\n"
    cluster.drop(dsn)
