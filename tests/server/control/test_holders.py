"""The session that holds a maildrop, and a login that ends it."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from restante.junk import SUFFIX, junk_of, without_suffix
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from restante.server.config import loader
from restante.server.connection.administered import AdministeredConnection
from restante.storage.memory import MemoryStore
from support.live import Live, serving, wait_until
from support.passwords import Passwords
from support.workers import log_in, working

LETTER = b"Subject: a\n\nhello\n"


def test_in_use_is_explained() -> None:
    """The log says which session holds the maildrop, from where and since when."""
    with serving(lock_timeout=0) as live:
        live.add("ann", "secret", LETTER)
        with live.connect() as first, live.connect() as second:
            first.log_in("ann", "secret")
            second.read_line()
            assert log_in(second, "ann").startswith(b"-ERR [IN-USE]")
        live.wait_for_log(" held_by=", " held_from=127.0.0.1 held_since=20")


def test_take_over() -> None:
    """A login ends an idle session of its user; what that had marked stays."""
    with serving(lock_timeout=10, take_over=True) as live:
        live.add("ann", "secret", LETTER)
        with live.connect() as first, live.connect() as second:
            first.log_in("ann", "secret")
            first.say("DELE 1")
            second.log_in("ann", "secret")
            assert second.say("STAT") == b"+OK 1 21\r\n"
            assert first.read_all() == b""
        live.wait_for_log('end="a new login of the user"', "deleted=0")


def test_take_over_from_another_program() -> None:
    """A maildrop that no session holds stays with the program that holds it."""
    with serving(lock_timeout=0, take_over=True) as live:
        live.add("ann", "secret", LETTER)
        held = live.call(live.context.store.acquire("ann", 0))
        with live.connect() as client:
            client.read_line()
            assert log_in(client, "ann").startswith(b"-ERR [IN-USE]")
        live.loop.call_soon_threadsafe(held.release)


class JunkPasswords(Passwords):
    """Opens the junk maildrop for a name with its suffix."""

    async def verify(self, user: str, password: Secret) -> Identity:
        name = without_suffix(user, SUFFIX)
        identity = await super().verify(name, password)
        return identity if name == user else replace(identity, maildrop=junk_of(name))


def test_take_over_of_the_junk_maildrop() -> None:
    """A login to the junk maildrop ends the idle session there, and not the one of the inbox."""
    passwords, store, junk = JunkPasswords(), MemoryStore(), "ann" + SUFFIX
    passwords.known["ann"] = "secret"
    asyncio.run(store.deliver(junk_of("ann"), LETTER))
    with serving(store, authenticator=passwords, lock_timeout=10, take_over=True) as live:
        with live.connect() as inbox, live.connect() as first, live.connect() as second:
            inbox.log_in("ann", "secret")
            first.log_in(junk, "secret")
            first.say("DELE 1")
            second.log_in(junk, "secret")
            assert second.say("STAT") == b"+OK 1 21\r\n"
            assert first.read_all() == b""
            assert inbox.say("STAT") == b"+OK 0 0\r\n"


def wait_for_octets(live: Live, octets: int) -> None:
    """Wait until a session has read a number of octets."""
    wait_until(
        lambda: any(
            each.describe().octets_in == octets
            for each in live.context.connections
            if isinstance(each, AdministeredConnection)
        )
    )


def test_half_a_command_is_not_interrupted() -> None:
    """A session in the middle of a command stays, and the login gets [IN-USE]."""
    with serving(lock_timeout=0, take_over=True) as live:
        live.add("ann", "secret", LETTER)
        with live.connect() as first, live.connect() as second:
            first.log_in("ann", "secret")
            first.say("DELE 1")
            first.send(b"QU")
            wait_for_octets(live, len("USER ann\r\nPASS secret\r\nDELE 1\r\nQU"))
            second.read_line()
            assert log_in(second, "ann").startswith(b"-ERR [IN-USE]")
            assert first.say("IT").startswith(b"+OK")
            assert log_in(second, "ann").startswith(b"+OK")
            assert second.say("STAT") == b"+OK 0 0\r\n"


def test_take_over_at_another_worker(tmp_path: Path) -> None:
    """A login ends an idle session at another worker."""
    config = "[control]\nfolder = 'control'\n[login]\ntake_over = true\n[timeouts]\nlock = 30\n"
    with working(tmp_path, config) as two, ExitStack() as stack:
        two.served.add("ann", "secret", LETTER)
        first, second = two.at_each(stack, two.greeted).values()
        log_in(first, "ann")
        assert log_in(second, "ann").startswith(b"+OK")
        assert first.read_all() == b""


def test_in_use_at_another_worker(tmp_path: Path) -> None:
    """The log names a session at another worker, and so does the reply, to its user alone."""
    config = "[control]\nfolder = 'control'\n[timeouts]\nlock = 0\n[login]\nname_holder = true\n"
    with working(tmp_path, config) as two, ExitStack() as stack:
        two.served.add("ann", "secret", LETTER)
        first, second = two.at_each(stack, two.greeted).values()
        log_in(first, "ann")
        said = log_in(second, "ann")
        named = rb"-ERR \[IN-USE\] A session from 127\.0\.0\.1 holds this maildrop since 2.* UTC\."
        assert re.match(named, said), said
        assert b"127.0.0.1" not in log_in(second, "ann", "guess")
        two.wait_for("login_refused")
        assert " held_from=127.0.0.1 " in two.events("login_refused")[0]


def test_workers_need_control_sockets(tmp_path: Path) -> None:
    """With workers, the configuration must have control sockets for a take-over."""
    file = tmp_path / "restante.toml"
    file.write_text(
        "[mail]\nfolder = 'm'\n[accounts]\nusers = 'u'\n[login]\ntake_over = true\n"
        "[server]\nworkers = 2\n"
    )
    with pytest.raises(loader.ConfigError, match=r"requires control\.folder"):
        loader.load(file, {})


def test_nodes_need_no_control_sockets(tmp_path: Path) -> None:
    """The workers of a cluster's node ask each other through the database."""
    file = tmp_path / "restante.toml"
    file.write_text(
        "[mail]\nformat = 'cluster'\n[cluster]\npostgresql_dsn_file = 'dsn'\n"
        "[login]\ntake_over = true\n[server]\nworkers = 2\n"
    )
    assert loader.load(file, {}).login.take_over
