"""The file of accounts: one line each, `name:hash`, as in a passwd-file of Dovecot or Apache.

Further fields are passwd's own and not used, but for the eighth, which holds words `key=value` as
Dovecot has them: `scram-sha-256=` and `scram-sha-1=` (keys, made by `pop3 user`), `secret=` (for
APOP and CRAM-MD5), `login_delay=` (seconds), `expire_days=` and `tls=required`. A field of
Dovecot's that restricts logins locks the account, in any place (`locks`). Others are
kept and not used, and reported where they may be mistakes. Empty lines and lines that begin with
"#" are skipped, but for `#decoys=`: the key by which the answers for unknown names are made up,
the same in every process.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import fcntl
import os
import secrets
import stat
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.auth.file import dovecot_fields, locks
from restante.auth.file.locks import EXTRAS
from restante.auth.file.passwd_entry import PasswdEntry
from restante.auth.passwords.hash_schemes import strip_spaces
from restante.auth.usernames import saslprep_or_same
from restante.durable_folders import sync_folder
from restante.input_files import LARGEST_ACCOUNTS, read_text
from restante.protocol.saslprep import LONGEST, saslprep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from restante.auth.file.locks import FieldKey

NOBODY = "it has no account that can log in; `pop3 user add` adds one"
FAKE_SALT_KEY = "#decoys="
KEY = 32  # octets


@dataclass(frozen=True, slots=True)
class PasswdFile:
    """The contents of a file: its accounts by name, and in words what is wrong with it."""

    by_name: dict[str, PasswdEntry]
    problems: list[str]
    useless: frozenset[str]  # names whose lines were left out, also as they were perhaps meant
    key: bytes | None  # for what is made up for unknown names
    cut: str | None = None  # the name in a last line that was left out, "" for no name


def read(path: Path, *, trust_last_line: bool = True) -> PasswdFile:
    """Read a password file, and skip and report invalid lines. Raises OSError.

    A last line without an end may be the first half of one, without the word that locks it. It is
    left out unless `trust_last_line` holds.
    """
    accounts: dict[str, PasswdEntry] = {}
    useless = set()
    problems = list(_openness(path))
    text = _read_text(path)
    lines = _split(text)
    cut = None if trust_last_line or not text or text.endswith("\n") else name_of(lines.pop())
    for place, line in enumerate(lines, 1):
        name = name_of(line)
        if not name:
            continue
        location = f"{path}:{place}: {name[:LONGEST]!r}"
        try:
            _check(name, accounts)
            accounts[name] = PasswdEntry.parse(line if ":" in line else f"{line}:")
        except ValueError as problem:
            useless |= {name, saslprep_or_same(name).strip()}
            problems.append(f"{location} cannot log in: {problem}")
            continue
        others = line.split(":", EXTRAS)[2:]
        problems += [f"{location} {reason}" for reason in _lock_reason(accounts[name], others)]
        problems += [f"{location}: {doubt}" for doubt in dovecot_fields.field_warnings(others)]
    if all(account.lock for account in accounts.values()):
        problems.append(f"{path}: {NOBODY}")
    return PasswdFile(accounts, problems, frozenset(useless), _key(lines), cut)


def _lock_reason(account: PasswdEntry, others: list[str]) -> Iterator[str]:
    """Return why an account is locked, unless the administrator clearly intends it."""
    restriction = locks.login_restriction(others)
    reason = "" if restriction is None else _describe_restriction(restriction, others)
    if reason:
        yield f"cannot log in: {reason}"
    elif account.lock == locks.HASH:
        yield "cannot log in: its hash is locked by '!' or '*'"
    elif account.end is not None and account.end <= time.time():
        yield f"cannot log in: it expired on {time.strftime('%Y-%m-%d', time.gmtime(account.end))}"


def _describe_restriction(restriction: FieldKey, others: list[str]) -> str:
    """Return what is unclear about a field that locks its account, "" for a clear one."""
    key, field = restriction.key, restriction.field
    if field != EXTRAS + 1:
        return f"{key} in field {field} locks it; its place is the eighth field"
    if key == locks.NETWORKS:
        return f"{key} locks it, since it is not one list of networks"
    if key in locks.LIMITS:
        return f"{key} restricts logins in a way that is not supported"
    if key not in dovecot_fields.parse_extra_fields(others):
        return f"{key} locks it, although it is written differently"
    return ""


def mail_doubts(
    accounts: Iterable[PasswdEntry], mail_of: Callable[[str], Path | None] = lambda _: None
) -> Iterator[str]:
    """Say whose `userdb_mail=` names another place than the one where `mail_of` finds the mail."""
    for account in accounts:
        doubt = account.mail.describe_mismatch(mail_of(account.name)) if account.mail else None
        if doubt:
            yield f"{account.name!r}: {doubt}"


def name_problem(name: str) -> str | None:
    """Return why no account can have this name, in words; None for a good one.

    A name becomes part of a path in the mail store, so names that are unsafe in a path are refused.
    """
    if not name or len(name.encode(errors="replace")) > LONGEST:
        return f"a name must have 1 to {LONGEST} octets"
    if not name.isprintable() or ":" in name or "/" in name:
        return "a name must not contain control characters, ':' or '/'"
    try:
        prepared = saslprep(name)
    except ValueError:
        return "a name must not contain characters that SASLprep (RFC 4013) prohibits"
    if prepared != name:
        return f"the name must be in the form of SASLprep; use {prepared!r}"
    if name[0] in ".#" or name != name.strip():
        return "a name must not begin with '.' or '#', or begin or end with a space"
    return None


class ChangedError(OSError):
    """Another program has changed the file meanwhile, without its lock; nothing was written."""


@contextlib.contextmanager
def edit(path: Path, *, create: bool = True) -> Iterator[list[str]]:
    """Edit a file of accounts as `edit_lines` does. The first keys for SCRAM bring one for decoys.

    Raises OSError.
    """
    with edit_lines(path, create=create) as lines:
        old_lines = list(lines)
        yield lines
        if lines != old_lines and any("scram-" in line for line in lines) and _key(lines) is None:
            lines.append(FAKE_SALT_KEY + base64.b64encode(secrets.token_bytes(KEY)).decode())


@contextlib.contextmanager
def edit_lines(path: Path, *, create: bool = True) -> Iterator[list[str]]:
    """Lock a file, made when missing, and hand out its lines to be changed in place.

    The lines are written back when the block ends well: to a new file, moved over the old one, so
    that no reader ever sees half of it. Owner and mode stay. Raises OSError, and ChangedError for a
    change by an editor, which knows no lock.
    """
    with _lock_file(path, create=create) as file:
        status = os.fstat(file)
        lines = read_lines(path)
        old_lines = list(lines)
        yield lines
        if lines != old_lines:
            _replace(path, lines, status)


def index_of(lines: list[str], name: str) -> int | None:
    """Return the place of an account's line; comments and empty lines have no name."""
    return next((i for i, line in enumerate(lines) if name and name_of(line) == name), None)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file of accounts, without their ends. Raises OSError."""
    return _split(_read_text(path))


def _read_text(path: Path) -> str:
    return read_text(path, LARGEST_ACCOUNTS, errors="surrogateescape")


def _split(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _key(lines: list[str]) -> bytes | None:
    for line in lines:
        if line.startswith(FAKE_SALT_KEY):
            with contextlib.suppress(ValueError):
                key = binascii.a2b_base64(line.removeprefix(FAKE_SALT_KEY), strict_mode=True)
                if len(key) >= KEY:
                    return key
    return None


def _openness(path: Path) -> Iterator[str]:
    """Return whether all local users can read the file, and so attack its hashes offline."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        verb = "change" if mode & stat.S_IWOTH else "read"
        yield (
            f"{path}: all users of this machine can {verb} it (mode {mode:04o}); allow only the"
            f" user of the server: chmod 600 {path}"
        )


def name_of(line: str) -> str:
    """Return the name of the account in a line, "" for a comment."""
    return "" if line.startswith("#") else line.partition(":")[0]


def replace_hash(line: str, old: str, new: str) -> str | None:
    """Return a line with another hash; None if it has another one than the old hash."""
    name, _, after_name = line.partition(":")
    stored, colon, after_hash = after_name.partition(":")
    return f"{name}:{new}{colon}{after_hash}" if strip_spaces(stored) == old else None


def _require_same(path: Path, status: os.stat_result) -> None:
    """Raise ChangedError: a file is no longer as it was read."""
    if _stamp(path.stat()) != _stamp(status):
        raise ChangedError(errno.EAGAIN, "another program changes it; try again", str(path))


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _check(name: str, accounts: dict[str, PasswdEntry]) -> None:
    problem = name_problem(name)
    if name in accounts:
        problem = "duplicate account name (first seen on an earlier line)"
    if problem:
        raise ValueError(problem)


@contextlib.contextmanager
def _lock_file(path: Path, *, create: bool) -> Iterator[int]:
    """Hold a lock on the file that has this name now: it may be replaced while we wait."""
    while True:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        file = os.open(path, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file), path.stat()):
                yield file
                return
        finally:
            os.close(file)


def _replace(path: Path, lines: list[str], status: os.stat_result) -> None:
    path = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", errors="surrogateescape") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fchmod(handle, status.st_mode & 0o7777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(handle, status.st_uid, status.st_gid)
            os.fsync(handle)
        _require_same(path, status)
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise
    sync_folder(path.parent)  # else a power cut could unlock an account
