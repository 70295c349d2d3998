"""Logging in by a file of accounts: rfc1939-s4/login."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

import pytest

from restante.auth.file import locks, passwd_file
from restante.auth.file.accounts import FileAuthenticator
from restante.auth.file.passwd_entry import replace_credentials
from restante.auth.file_reading import SETTLE
from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.protocol.secret import Secret
from restante.protocol.server.settings import Identity
from support.call_counter import SOURCES
from support.live import PATIENCE, wait_until

HASH = password_hashing.hash_password(Secret(b"secret"))
OTHER = password_hashing.hash_password(Secret(b"other"))
KEYS = scram.create_keys("SCRAM-SHA-256", Secret(b"secret"))


def made(file: Path, *lines: str) -> tuple[FileAuthenticator, list[str]]:
    file.touch(0o600)
    file.write_text("".join(f"{line}\n" for line in lines))
    warnings: list[str] = []
    return FileAuthenticator(file, warnings.append), warnings


def test_the_right_password_proves_who_it_is(tmp_path: Path) -> None:
    """The correct password authenticates its account, without a warning."""
    accounts, warnings = made(tmp_path / "users", f"ann:{HASH}")
    assert asyncio.run(accounts.verify("ann", Secret(b"secret"))) == Identity("ann")
    assert warnings == []


@pytest.mark.parametrize("fields", ["", "::::::login_delay=9"])
def test_spaces_belong_to_a_password_in_clear(tmp_path: Path, fields: str) -> None:
    """A password in clear keeps the spaces at its ends, and a hash has none."""
    lines = (f"ann:{{PLAIN}} secret {fields}", f"bob: {HASH} {fields}", "eve: {clear}secret\t")
    accounts, _ = made(tmp_path / "users", *lines)
    assert asyncio.run(accounts.verify("ann", Secret(b" secret "))).name == "ann"
    assert asyncio.run(accounts.verify("bob", Secret(b"secret"))).name == "bob"
    for name, password in (("ann", b" secret"), ("ann", b"secret"), ("eve", b"secret")):
        with pytest.raises(CredentialsError):
            asyncio.run(accounts.verify(name, Secret(password)))


@pytest.mark.parametrize(
    ("user", "password"),
    [("ann", b"wrong"), ("nobody", b"secret"), ("ann", b""), ("Ann", b"wrong"), ("", b"secret")],
)
def test_all_else_is_refused_alike(tmp_path: Path, user: str, password: bytes) -> None:
    """implied/no-user-enumeration, rfc3206-s6/auth-on-refusal."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}")
    with pytest.raises(CredentialsError) as caught:
        asyncio.run(accounts.verify(user, Secret(password)))
    assert str(caught.value) == "wrong name or password"


def test_unknown_name_costs_one_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """implied/no-user-enumeration: an unknown name costs one hash, as a known one does."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}", f"bob:{OTHER}")
    checked: list[str] = []

    def verify(stored: str, password: Secret) -> bool:
        checked.append(stored)
        return True  # not even a decoy that matches lets anybody in

    monkeypatch.setattr(password_hashing, "verify", verify)
    for user in ("nobody", "nobody", "someone"):
        with pytest.raises(CredentialsError):
            asyncio.run(accounts.verify(user, Secret(b"x")))
    assert len(checked) == 3
    assert set(checked) <= {HASH, OTHER}
    assert checked[0] == checked[1]


@pytest.mark.parametrize("user", ["nobody", "ann", "locked", "Ann"])
def test_the_work_for_a_name_does_not_grow_with_the_file(tmp_path: Path, user: str) -> None:
    """implied/no-user-enumeration: a refusal costs the event loop the same for every name."""
    few = count_steps(tmp_path / "few", user, accounts=4)
    assert count_steps(tmp_path / "many", user, accounts=400) == few
    assert abs(few - count_steps(tmp_path / "few", "ann", accounts=4)) < FEW_STEPS


FEW_STEPS = 100  # of Python's code: far less than a millisecond


def count_steps(file: Path, user: str, *, accounts: int) -> int:
    """Return how many opcodes of Restante the event loop's thread runs for a refused login."""
    names = (f"user{number}:{HASH}" for number in range(accounts))
    threads = Mock(run=AsyncMock(return_value=False))
    with patch.object(password_hashing, "threads", return_value=threads):
        directory, _ = made(file, f"ann:{HASH}", f"locked:!{HASH}", *names)
    steps = 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return count

    async def refused() -> None:
        """Log in with the file read before, traced but for the hash."""
        directory.refresh()
        frame = inspect.currentframe()
        assert frame is not None
        frame.f_trace_opcodes = True  # Python 3.12 counts none without it
        sys.settrace(count)
        try:
            await directory.verify(user, Secret(b"wrong"))
        finally:
            sys.settrace(None)

    with pytest.raises(CredentialsError):
        asyncio.run(refused())
    return steps


ALL = ("verify", "recall", "scram_keys", "shared_secret", "identify", "owner")


async def ask(accounts: FileAuthenticator, method: str, user: str = "ann") -> object:
    """Ask the accounts by one of their methods."""
    password = Secret(b"secret")
    match method:
        case "verify":
            return await accounts.verify(user, password)
        case "recall":
            return accounts.cached_login(user, password) or await accounts.verify(user, password)
        case "scram_keys":
            return await accounts.scram_keys("SCRAM-SHA-256", user)
    return await getattr(accounts, method)(user)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("lines", [[], ["# nobody"], ["ann:x"], ["ann"], ["../ann:" + HASH]])
def test_no_usable_line(tmp_path: Path, lines: list[str], method: str) -> None:
    """A file without a usable line proves nothing about anybody."""
    accounts, _ = made(tmp_path / "users", *lines)
    with pytest.raises(UnavailableError, match="it has no valid line"):
        asyncio.run(ask(accounts, method))


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("trouble", ["empty", "missing", "folder", "pipe", "loop", "link"])
def test_file_that_goes_wrong(tmp_path: Path, method: str, trouble: str) -> None:
    """A file that cannot be read any more is one alarm, and no wrong password."""
    file = tmp_path / "users"
    file.touch(0o600)
    file.write_text(f"ann:{HASH}\n")
    alarms: list[str] = []
    accounts = FileAuthenticator(file, lambda _: None, 60, alarm=alarms.append)
    asyncio.run(accounts.verify("ann", Secret(b"secret")))
    if trouble == "empty":
        file.write_text("")
    else:
        file.unlink()
    match trouble:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "loop":
            file.symlink_to("users")
        case "link":
            file.symlink_to("nothing")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            asyncio.run(ask(accounts, method))
    assert len(alarms) == 1


def test_file_half_written(tmp_path: Path) -> None:
    """A name that a change in place removes is unknown only after a while."""
    file, now = tmp_path / "users", 1000.0
    file.touch(0o600)
    file.write_text(f"ann:{HASH}\nbob:{HASH}\n")
    accounts = FileAuthenticator(file, lambda _: None, uptime=lambda: now)
    assert asyncio.run(accounts.owner("bob")) == "bob"
    file.write_text(f"ann:{HASH}\nbob:{HASH[:50]}")  # the rest is still to come
    for method in ("verify", "owner"):
        with pytest.raises(UnavailableError):
            asyncio.run(ask(accounts, method, "bob"))
    file.write_text(f"ann:{HASH}\n")
    now += 5
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.owner("nobody"))
    file.write_text(f"ann:{HASH}\nbob:{HASH}\n")
    assert asyncio.run(accounts.owner("bob")) == "bob"
    file.write_text(f"ann:{HASH}\n")
    with pytest.raises(UnavailableError, match="a moment ago"):
        asyncio.run(accounts.owner("bob"))
    now += SETTLE
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.owner("bob"))


@pytest.mark.parametrize("before", ["there", "empty", "replaced"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_lock_still_to_come(tmp_path: Path, before: str, end: str) -> None:
    """A last line without its end opens no account before the file has stayed the same."""
    file, now = tmp_path / "users", 1000.0
    file.touch(0o600)
    file.write_text(f"ann:{HASH}\nbob:{HASH}::::::nologin\n")
    accounts = FileAuthenticator(file, lambda _: None, uptime=lambda: now)
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("bob", Secret(b"secret")))
    if before == "empty":
        file.write_text("")
        with pytest.raises(UnavailableError):
            asyncio.run(accounts.verify("bob", Secret(b"secret")))
    elif before == "replaced":
        os.link(file, tmp_path / "old")  # its inode is not free
        file.unlink()
    file.write_text(f"ann:{HASH}\nbob:{HASH}{end}")
    if not end:
        for method in ("verify", "identify", "owner"):
            with pytest.raises(UnavailableError, match="a moment ago"):
                asyncio.run(ask(accounts, method, "bob"))
        assert asyncio.run(accounts.verify("ann", Secret(b"secret"))) == Identity("ann")
        now += SETTLE
    assert asyncio.run(accounts.verify("bob", Secret(b"secret"))) == Identity("bob")


def test_only_line_without_an_end(tmp_path: Path) -> None:
    """A file of one line without an end works at the start, and a while after a change."""
    file, now = tmp_path / "users", 1000.0
    file.touch(0o600)
    file.write_text(f"ann:{OTHER}")
    alarms: list[str] = []
    accounts = FileAuthenticator(file, lambda _: None, alarm=alarms.append, uptime=lambda: now)
    assert asyncio.run(accounts.verify("ann", Secret(b"other"))) == Identity("ann")
    file.write_text(f"ann:{HASH}")
    with pytest.raises(UnavailableError, match="no end yet"):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))
    now += SETTLE
    assert asyncio.run(accounts.verify("ann", Secret(b"secret"))) == Identity("ann")


def test_change_without_a_time(tmp_path: Path) -> None:
    """A change in place that keeps the size and the time of the file counts all the same."""
    file = tmp_path / "users"
    file.touch(0o600)
    file.write_text(f"ann:{HASH}\n")
    accounts = FileAuthenticator(file, lambda _: None)
    assert asyncio.run(accounts.verify("ann", Secret(b"secret"))) == Identity("ann")
    before = file.stat()
    while True:  # the clock of the file system has a grain of some milliseconds
        file.write_text(f"ann:!{HASH[1:]}\n")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        if file.stat().st_ctime_ns != before.st_ctime_ns:
            break
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))


def test_two_changes_in_one_tick(tmp_path: Path, one_tick: float) -> None:
    """The second of two passwords that a file's times do not tell apart counts after a while."""
    file, now = tmp_path / "users", 1000.0
    file.touch(0o600)
    file.write_text(f"ann:{HASH}\n")
    accounts = FileAuthenticator(
        file, lambda _: None, 60, clock=lambda: one_tick, uptime=lambda: now
    )
    assert asyncio.run(accounts.verify("ann", Secret(b"secret"))) == Identity("ann")
    file.write_text(f"ann:{OTHER}\n")
    now += SETTLE
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))
    assert accounts.cached_login("ann", Secret(b"secret")) is None
    assert asyncio.run(accounts.take_ended()) == {"ann"}


@pytest.mark.parametrize("first", ["empty", "part", "comment", "missing"])
def test_file_written_in_steps(tmp_path: Path, first: str) -> None:
    """A name that the first of many steps removes is unknown only a while after the last."""
    file, now = tmp_path / "users", 1000.0
    file.touch(0o600)
    file.write_text(f"ann:{HASH}\nbob:{HASH}\neve:{HASH}\n")
    accounts = FileAuthenticator(file, lambda _: None, uptime=lambda: now)
    assert asyncio.run(accounts.owner("eve")) == "eve"
    if first == "missing":
        os.link(file, tmp_path / "old")  # its inode is not free
        file.unlink()
    else:
        file.write_text({"empty": "", "part": f"ann:{HASH}\n", "comment": "# accounts\n"}[first])
    for text in (None, f"ann:{HASH}\n", f"ann:{HASH}\nbob:{HASH}\n"):
        if text is not None:
            file.write_text(text)
        with pytest.raises(UnavailableError):
            asyncio.run(accounts.owner("eve"))
        now += SETTLE - 1
    now += SETTLE
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.owner("eve"))


def test_account_removed_by_a_new_file(tmp_path: Path) -> None:
    """A file that replaces another is complete: users without a line are unknown at once."""
    file = tmp_path / "users"
    accounts, _ = made(file, f"ann:{HASH}", f"bob:{HASH}")
    assert asyncio.run(accounts.owner("bob")) == "bob"
    (tmp_path / "new").write_text(f"ann:{HASH}\n")
    (tmp_path / "new").rename(file)
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.owner("bob"))


@pytest.mark.parametrize(
    "line", ["bob:x", "bob:", "bob", " bob:" + HASH, "bob:{SSHA}abc", "bo\u0308b:" + HASH]
)
def test_mail_to_a_line_of_no_use_waits(tmp_path: Path, line: str) -> None:
    """Mail to a name whose line has a mistake is not refused for good."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}", line)
    name = "b\xf6b" if "\u0308" in line else "bob"
    with pytest.raises(UnavailableError, match="is invalid"):
        asyncio.run(accounts.owner(name))
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.owner("nobody"))


def test_bad_line_is_unknown(tmp_path: Path) -> None:
    """An account with a bad line counts as unknown."""
    accounts, warnings = made(tmp_path / "users", "ann:{OTP}secret", f"bob:{HASH}")
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))
    assert len(warnings) == 1


def why_not(accounts: FileAuthenticator, user: str, password: bytes = b"secret") -> str:
    """Return the log's reason for a login that fails."""
    with pytest.raises(CredentialsError) as caught:
        asyncio.run(accounts.verify(user, Secret(password)))
    assert str(caught.value) == "wrong name or password"
    return caught.value.reason


def test_the_administrator_is_told_why_a_login_fails(tmp_path: Path) -> None:
    """implied/no-user-enumeration: no other name is."""
    accounts, _ = made(
        tmp_path / "users",
        f"ann:{HASH}",
        "bad:{OTP}secret",
        f"locked:{HASH}::::::nologin=no",
        f"away:{HASH}::::::allow_nets=10.0.0.0/8,",
        f"old:{HASH}::::::secret=tanstaaf",
    )
    assert why_not(accounts, "ann", b"wrong") == "wrong password"
    assert why_not(accounts, "nobody") == "unknown name"
    assert why_not(accounts, "Bad") == "its line is invalid"
    assert why_not(accounts, "locked") == "locked by nologin"
    assert why_not(accounts, "away") == "locked by allow_nets"
    assert why_not(accounts, "old") == "the account logs in by its secret only"
    with pytest.raises(CredentialsError) as caught:
        asyncio.run(accounts.shared_secret("ann"))
    assert caught.value.reason == "no secret"


@pytest.mark.parametrize("word", [*locks.LOCKS, *locks.LIMITS])
def test_dovecot_lock_keeps_mail(tmp_path: Path, word: str) -> None:
    """Accounts that Dovecot locks are locked here too, but get mail."""
    line = f"ann:{HASH}::::::userdb_quota_rule=*:storage=1G {word}=y scram-sha-256={KEYS} secret=x"
    decoys = f"#decoys={'MDEy' * 10}MDE="
    accounts, warnings = made(tmp_path / "users", line, f"bob:{HASH}", decoys)
    assert why_not(accounts, "ann") == f"locked by {word}"
    for login in (accounts.identify("ann"), accounts.shared_secret("ann")):
        with pytest.raises(CredentialsError):
            asyncio.run(login)
    assert asyncio.run(accounts.owner("ann")) == "ann"
    assert [word in told for told in warnings] == [True] * (word in locks.LIMITS)


LOCKED = [
    ("{hash}:{word}", 3),
    ("{hash}::{word}", 4),
    ("{hash}:::{word}", 5),
    ("{hash}:::Ann {word}=y", 5),
    ("{hash}::::{word}", 6),
    ("{hash}:::::{word}", 7),
    ("{hash}:::::{word}:{keys}", 7),
    ("{hash}:1000:1000:Ann,Room=5:/home/ann:{word}=y:{keys}", 7),
    ("{hash}::::::{word}={keys}", 8),
    ("{hash}::::::{word},x=y {keys}", 8),
    ("{hash}::::::{word};{keys}", 8),
    ('{hash}::::::"{word}" {keys}', 8),
    ("{hash}:::::::{word}", 9),
    ("{hash}::::::::{word}", 9),
    ("{hash}::::::{keys} :{word}:", 9),
]


@pytest.mark.parametrize("word", ["nologin", "NOLOGIN", "fail", "allow_nets", "proxy", "host"])
@pytest.mark.parametrize(("form", "field"), LOCKED)
def test_lock_in_any_field(tmp_path: Path, form: str, field: int, word: str) -> None:
    """A lock in a field after the hash rejects every mechanism, and is reported."""
    rest = form.format(hash=HASH, word=word, keys=f"scram-sha-256={KEYS} secret=x")
    accounts, warnings = made(tmp_path / "users", f"ann:{rest}", f"bob:{HASH}")
    assert why_not(accounts, "ann") == f"locked by {word.lower()}"
    assert accounts.cached_login("ann", Secret(b"secret")) is None
    for method in ("identify", "shared_secret"):
        with pytest.raises(CredentialsError):
            asyncio.run(ask(accounts, method))
    assert asyncio.run(accounts.owner("ann")) == "ann"
    if f"::::::{word}=" not in form.format(hash="", word=word, keys=""):
        assert any(f"'ann' cannot log in: {word.lower()} " in told for told in warnings)


@pytest.mark.parametrize(
    "line",
    [
        "1000:1000:Ann:/home/ann:/usr/sbin/nologin",
        "1000:1000:Ann:/home/ann:/bin/false",
        "1000:1000:the proxy host may fail:/home/ann:/bin/sh",
        "1000:1000::/home/nologin:",
        ":::::reason=nologin",
        ":::::userdb_quota_rule=nologin",
        "19000:0:99999:7:::",
        "19000:0:99999:7::99999:",
        "19000:0:99999:7:99999:-1:",
        "1000:1000::0:0:Ann:/home/ann:/bin/sh",
        "1000:1000::0:99999999999:Ann:/home/ann:/bin/sh",
    ],
)
def test_no_lock(tmp_path: Path, line: str) -> None:
    """A shell, a person's name and a future date lock no account, and are not reported."""
    accounts, warnings = made(tmp_path / "users", f"ann:{HASH}:{line}")
    assert asyncio.run(accounts.verify("ann", Secret(b"secret"))).name == "ann"
    assert warnings == []


@pytest.mark.parametrize(
    "stored", ["*", "!", "!!", "!*", "*LK*", f"!{HASH}", f"*LOCKED*{HASH}", "{CRYPT}!"]
)
def test_hash_that_is_a_lock(tmp_path: Path, stored: str) -> None:
    """An account with a locked hash gets mail, but rejects all logins, even by its secret."""
    keys = f"scram-sha-256={KEYS} secret=x"
    decoys = f"#decoys={'MDEy' * 10}MDE="
    accounts, warnings = made(
        tmp_path / "users", f"ann:{stored}::::::{keys}", f"bob:{HASH}", decoys
    )
    assert why_not(accounts, "ann") == "locked by its hash"
    for method in ("identify", "shared_secret"):
        with pytest.raises(CredentialsError):
            asyncio.run(ask(accounts, method))
    assert asyncio.run(accounts.owner("ann")) == "ann"
    (warning,) = warnings
    assert warning.endswith("cannot log in: its hash is locked by '!' or '*'")


@pytest.mark.parametrize(
    "line",
    [
        "10:0:99999:7::20:",  # /etc/shadow: it expires on day 20
        "10:0:5:7:5::",  # its password is inactive from day 21 on
        "10:0:99999:7::20",
        "1000:1000::0:1728000:Ann:/home/ann:/bin/sh",  # BSD's master.passwd, in seconds
    ],
)
def test_account_that_expires(tmp_path: Path, line: str) -> None:
    """An account expires while the server runs, for remembered logins too."""
    now = 20 * 86_400 - 1.0
    (tmp_path / "users").touch(0o600)
    (tmp_path / "users").write_text(f"ann:{HASH}:{line}\n")
    accounts = FileAuthenticator(tmp_path / "users", lambda _: None, 1e9, clock=lambda: now)
    asyncio.run(accounts.verify("ann", Secret(b"secret")))
    assert accounts.cached_login("ann", Secret(b"secret"))
    now += 86_401
    assert accounts.cached_login("ann", Secret(b"secret")) is None
    assert why_not(accounts, "ann") == "expired"
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.identify("ann"))
    assert asyncio.run(accounts.owner("ann")) == "ann"


def test_lines_of_shadow_keep_their_dates(tmp_path: Path) -> None:
    """A new password keeps the dates in a line of /etc/shadow."""
    line = f"ann:{HASH}:10:0:99999:7::20:"
    assert (
        replace_credentials(line, OTHER, {"SCRAM-SHA-256": KEYS})
        == f"ann:{OTHER}:10:0:99999:7::20:"
    )


def test_mail_that_lies_elsewhere(tmp_path: Path) -> None:
    """Dovecot's place for the mail is reported if it is not the place here."""
    places = {
        "ann": f"userdb_mail=maildir:{tmp_path}/ann",
        "bob": f"userdb_mail=maildir:{tmp_path}/%n",
        "carl": "userdb_mail=maildir:~/here",
        "dora": f"userdb_mail=maildir:~/Maildir userdb_home={tmp_path}/dora",
        "eve": "userdb_mail=maildir:/var/vmail/eve",
        "fred": "userdb_mail_path=~/mail",
        "gus": f"userdb_mail=mbox:~/mail:INBOX={tmp_path}/gus",
        "hal": f"userdb_mail_driver=maildir userdb_mail_path={tmp_path}/%{{user|username}}",
        "ida": f"userdb_mail_path=~/mail userdb_mail_inbox_path={tmp_path}/%{{user}}",
    }
    here = {name: tmp_path / name for name in places} | {"dora": tmp_path / "dora/Maildir"}
    here["carl"] = tmp_path / "home/here"
    lines = [f"{name}:{HASH}::::{tmp_path}/home::{words}\n" for name, words in places.items()]
    (tmp_path / "users").touch(0o600)
    (tmp_path / "users").write_text("".join(lines))
    told: list[str] = []
    doubts = functools.partial(passwd_file.mail_doubts, mail_of=here.__getitem__)
    FileAuthenticator(tmp_path / "users", told.append, doubts=doubts).refresh()
    assert told == [
        f"{tmp_path}/users: {name!r}: {key}= has no effect: the mail lies in {tmp_path}/{name}"
        for name, key in (("eve", "userdb_mail"), ("fred", "userdb_mail_path"))
    ]


@pytest.mark.parametrize("user", ["ann", "nobody", "Ann", "bob"])
def test_scram_does_the_same_for_all_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """keys are made up for known names too."""
    made_up: list[str] = []
    decoy = scram.fake_keys

    def counted(mechanism: str, name: str, *rest: Any) -> scram.ScramKeys:
        made_up.append(name)
        return decoy(mechanism, name, *rest)

    monkeypatch.setattr(scram, "fake_keys", counted)
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}::::::scram-sha-256={KEYS}", f"bob:{HASH}")
    asyncio.run(accounts.scram_keys("SCRAM-SHA-256", user))
    assert made_up == [user.lower()]


def test_a_locked_account_needs_no_password_to_get_mail(tmp_path: Path) -> None:
    """A locked account cannot log in, but still receives mail."""
    accounts, warnings = made(tmp_path / "users", "ann:*::::::nologin", f"bob:{HASH}")
    assert why_not(accounts, "ann", b"*") == "locked by nologin"
    assert asyncio.run(accounts.owner("ann")) == "ann"
    assert warnings == []


def test_capitals_are_the_same_name(tmp_path: Path) -> None:
    """For each mechanism a name in capitals is the same account."""
    line = f"ann@example.com:{HASH}::::::scram-sha-256={KEYS}"
    accounts, _ = made(tmp_path / "users", line, f"old:{HASH}::::::secret=tanstaaf")
    said, known = "Ann@EXAMPLE.com", Identity("ann@example.com")
    assert asyncio.run(accounts.verify(said, Secret(b"secret"))) == known
    assert asyncio.run(accounts.identify(said)) == known
    assert asyncio.run(accounts.scram_keys("SCRAM-SHA-256", said)) == KEYS
    assert asyncio.run(accounts.shared_secret("OLD")).reveal() == b"tanstaaf"


def test_exact_name_first(tmp_path: Path) -> None:
    """The exact name is looked up first; a name in capitals in the file must be written so."""
    accounts, _ = made(tmp_path / "users", f"Ann:{HASH}", f"ann:{OTHER}", f"Bob:{HASH}")
    assert asyncio.run(accounts.verify("Ann", Secret(b"secret"))).name == "Ann"
    assert asyncio.run(accounts.verify("ANN", Secret(b"other"))).name == "ann"
    assert why_not(accounts, "bob") == "unknown name"


def test_letter_case_reveals_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """implied/no-user-enumeration: Bob is known, bob is not; both are checked against the same
    hash, and have one salt.
    """
    bob = f"Bob:{OTHER}::::::scram-sha-256={KEYS}"
    accounts, _ = made(tmp_path / "users", *(f"ann{n}:{HASH}" for n in range(9)), bob)
    checked: list[str] = []

    def verify(stored: str, password: Secret) -> bool:
        checked.append(stored)
        return False

    monkeypatch.setattr(password_hashing, "verify", verify)
    for user in ("Bob", "bob", "BOB", "nobody", "Nobody"):
        with pytest.raises(CredentialsError):
            asyncio.run(accounts.verify(user, Secret(b"x")))
    assert checked[:3] == [OTHER] * 3
    assert checked[3] == checked[4]

    def salt(user: str) -> bytes:
        return asyncio.run(accounts.scram_keys("SCRAM-SHA-256", user)).salt

    assert salt("Bob") == salt("bob") == KEYS.salt
    assert salt("nobody") == salt("Nobody") != KEYS.salt
    made_up = asyncio.run(accounts.scram_keys("SCRAM-SHA-256", "bob"))
    assert made_up.stored_key != KEYS.stored_key
    assert made_up.server_key != KEYS.server_key


def test_a_changed_file_holds_at_once(tmp_path: Path) -> None:
    """A changed file is in effect at the next login."""
    file = tmp_path / "users"
    accounts, _ = made(file, f"ann:{HASH}")
    asyncio.run(accounts.verify("ann", Secret(b"secret")))
    new = tmp_path / "new"
    new.write_text(f"ann:{OTHER}\n")
    os.rename(new, file)
    asyncio.run(accounts.verify("ann", Secret(b"other")))
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"ann:{HASH}::::::nologin", "locked by nologin"),
        (f"ann:{OTHER}", "wrong password"),
        (f"bob:{HASH}", "unknown name"),
        (f"ann:{HASH}::::::login_delay=5", ""),
    ],
)
def test_change_while_a_password_is_hashed(tmp_path: Path, line: str, reason: str) -> None:
    """A login holds for the account as it is at its end, which the end of sessions relies on."""
    file, new = tmp_path / "users", tmp_path / "new"
    accounts, _ = made(file, f"ann:{HASH}")
    real, begun, go_on = password_hashing.verify_normalised, threading.Event(), threading.Event()

    def verify(stored: str, password: Secret) -> bool:
        begun.set()
        assert go_on.wait(10)
        return real(stored, password)

    async def log_in() -> Identity:
        await accounts.take_ended()
        login = asyncio.create_task(accounts.verify("ann", Secret(b"secret")))
        await asyncio.to_thread(begun.wait)
        new.touch(0o600)
        new.write_text(f"{line}\n")
        new.rename(file)
        await accounts.take_ended()
        go_on.set()
        return await login

    with patch.object(password_hashing, "verify_normalised", verify):
        if not reason:
            assert asyncio.run(log_in()) == Identity("ann", 5)
            return
        with pytest.raises(CredentialsError) as caught:
            asyncio.run(log_in())
    assert caught.value.reason == reason


def test_a_missing_file_proves_nothing_about_a_password(tmp_path: Path) -> None:
    """If the file is missing, a login is a temporary failure and not a wrong password."""
    file = tmp_path / "users"
    accounts, _ = made(file, f"ann:{HASH}")
    file.unlink()
    with pytest.raises(UnavailableError, match="No such file"):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))


def test_hashing_in_few_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """policy/argon2: hashing leaves the event loop free, and few hashes run at a time."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}")
    at_once: list[int] = []
    running = 0
    lock = threading.Lock()
    gate = threading.Semaphore(0)

    def verify(stored: str, password: Secret) -> bool:
        nonlocal running
        with lock:
            running += 1
            at_once.append(running)
        assert gate.acquire(timeout=PATIENCE)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(password_hashing, "verify", verify)

    def wait_for(begun: int) -> None:
        wait_until(lambda: len(at_once) >= begun)

    async def log_in_often() -> None:
        logins = [asyncio.create_task(accounts.verify("ann", Secret(b"secret"))) for _ in range(8)]
        for begun in (2, 3, 4, 5, 6, 7, 8, 8):  # only a free loop gets to this
            await asyncio.to_thread(wait_for, begun)
            gate.release()
        await asyncio.gather(*logins)

    asyncio.run(log_in_often())
    assert len(at_once) == 8
    assert max(at_once) == password_hashing.AT_ONCE == 2


NFC = "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}".encode()
NFD = "A\N{COMBINING DIAERESIS}".encode()


@pytest.mark.parametrize(
    ("stored", "said", "right"),
    [
        (NFC, NFC, True),
        (NFC, NFD, True),
        (NFC, "\N{SOFT HYPHEN}Ä".encode(), True),
        (NFD, NFD, True),  # an old hash of what some client sends keeps working
        (NFD, NFC, False),
        ("אבג123".encode(), "אבג123".encode(), True),  # of both directions: as it is
        (NFC, b"A", False),
        ("\N{SOFT HYPHEN}".encode(), b"", False),
    ],
)
def test_a_password_is_right_as_it_was_sent_or_prepared(
    tmp_path: Path, stored: bytes, said: bytes, *, right: bool
) -> None:
    """rfc6856-s2/saslprep."""
    accounts, _ = made(tmp_path / "users", f"ann:{password_hashing.hash_password(Secret(stored))}")
    verify = accounts.verify("ann", Secret(said))
    if right:
        assert asyncio.run(verify) == Identity("ann")
    else:
        with pytest.raises(CredentialsError):
            asyncio.run(verify)


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_second_form_for_all_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """implied/no-user-enumeration, rfc6856-s2/saslprep: a second form of a password is checked for
    known and unknown names, even if the first was right.
    """
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}")
    tried: list[bytes] = []

    def verify(stored: str, password: Secret) -> bool:
        tried.append(password.reveal())
        return True

    monkeypatch.setattr(password_hashing, "verify", verify)
    with contextlib.suppress(CredentialsError):
        asyncio.run(accounts.verify(user, Secret(NFD)))
    assert tried == [NFD, NFC]


def test_a_form_is_remembered_as_it_was_sent(tmp_path: Path) -> None:
    """rfc6856-s2/saslprep: what would be wrong when it is hashed is not right when it is
    remembered.
    """
    file = tmp_path / "users"
    file.touch(0o600)
    file.write_text(f"ann:{password_hashing.hash_password(Secret(NFD))}\n")
    accounts = FileAuthenticator(file, pytest.fail, remember=300)
    asyncio.run(accounts.verify("ann", Secret(NFD)))
    assert accounts.cached_login("ann", Secret(NFD)) == Identity("ann")
    assert accounts.cached_login("ann", Secret(NFC)) is None
