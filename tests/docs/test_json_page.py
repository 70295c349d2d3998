"""The page of JSON has each field that the commands print, with its type, and no other."""

from __future__ import annotations

import inspect
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from restante.cli.output.account_list import AccountSummary
from restante.client.discovery.discover import Candidate, Discovery, DiscoveryNote
from restante.misbehave import find
from restante.misbehave.score.judge import ScoreFinding
from restante.misbehave.score.report import as_json
from restante.misbehave.score.runner import Card, Outcome
from restante.protocol.text import to_json
from restante.server.connection.administered import SessionFacts
from restante.server.control.messages import CertificateEnd, ListenerAddress, ProcessStatus
from restante.storage.cluster.check.problems import Problem
from restante.storage.cluster.status import ClusterStatus, MoveStatus, NodeStatus, ReplicaStatus
from restante.storage.cluster.sweep import Swept
from restante.storage.cluster.transfer.transfer import TransferCounts
from restante.storage.maildir.deleted import DELETED_FOLDER
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server
from support.passwords import quick_hash

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/json.md").read_text()
NOW = int(time.time())
MESSAGES = [
    b"From: ann@example.com\r\nSubject: a\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n\r\na\r\n",
    b"From: ann@example.com\r\nSubject: b\r\n\r\n" + b"b" * 4000 + b"\r\n",
    b"From: ann@example.com\r\nSubject: c\r\n\r\nc\r\n",
]
CONFIG = """\
[mail]
folder = "mail"
keep_deleted = 7
quota_octets = 1000
[accounts]
users = "users"
app_passwords = "app-passwords"
"""
TYPES = {
    bool: "boolean", str: "text", int: "number", float: "number", dict: "object",
    type(None): "null",
}  # fmt: skip


class Field(NamedTuple):
    """A row of the page."""

    path: str
    type: str
    meaning: str

    @property
    def listed(self) -> list[str]:
        """The texts of the field, if the meaning is the list of them."""
        is_list = re.fullmatch(r'("[^"]+", )*"[^"]+" or "[^"]+"', self.meaning)
        return re.findall(r'"([^"]+)"', self.meaning) if is_list else []


def sections() -> dict[str, list[Field]]:
    """Return the rows of the page by its headings."""
    found: dict[str, list[Field]] = {}
    for text in PAGE.split("\n## ")[1:]:
        rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (.+) \|$", text, re.MULTILINE)
        found[text.partition("\n")[0]] = [Field(*row) for row in rows]
    return found


SECTIONS = sections()


class Leaf(NamedTuple):
    """A place in a document, the type of its value, "" for a list, and the value."""

    path: str
    kind: str
    value: Any = None


def leaves(value: Any, path: str = "") -> Iterator[Leaf]:
    """Yield the places in a document."""
    if isinstance(value, list | tuple):
        yield Leaf(f"{path}[]", "")
        for each in value:
            yield from leaves(each, f"{path}[]")
        return
    if path:
        yield Leaf(path, TYPES[type(value)], value)
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, f"{path}.{name}".removeprefix("."))


def fields_of(*structs: tuple[str, Any]) -> set[str]:
    """Return the names of fields, each below a path."""
    found = set()
    for path, struct in structs:
        for base in struct.__mro__:
            found |= {f"{path}{name}" for name in inspect.get_annotations(base)}
    return found


PROCESS = {"worker", "node"}
STRUCTS = {
    "pop3 user list": fields_of(("", AccountSummary)),
    "pop3 sessions": fields_of(("", SessionFacts)) | PROCESS,
    "pop3 status": PROCESS | fields_of(
        ("", ProcessStatus), ("listeners[].", ListenerAddress), ("certificates[].", CertificateEnd)
    ),
    "pop3 store import": fields_of(("", TransferCounts)),
    "pop3 store check": fields_of(("", Problem)) | {"database"},
    "pop3 store sweep": fields_of(("", Swept)) | {"database"},
    "pop3 store status": {"database"} | fields_of(
        ("", ClusterStatus), ("replicas[].", ReplicaStatus), ("nodes[].", NodeStatus),
        ("moves[].", MoveStatus),
    ),
    "pop3 discover": {"schema"} | fields_of(
        ("", Discovery), ("findings[].", DiscoveryNote), ("winner.", Candidate)
    ),
}  # fmt: skip
"""What is printed as it is in the code."""


@pytest.mark.parametrize("name", STRUCTS)
def test_structs(name: str) -> None:
    """The fields of the structs that a command prints are those of its table."""
    written = {row.path.removesuffix("[]") for row in SECTIONS[name]}
    parents = {path.partition("[]")[0] for path in STRUCTS[name] if "[]" in path}
    assert STRUCTS[name] - parents == written - parents


def run(*words: str | Path, **more: Any) -> Any:
    """Return the document, or the list of the lines, that a command prints."""
    ran = pop3(*words, **more)
    try:
        return json.loads(ran.out)
    except ValueError:
        assert ran.out, ran
        return [json.loads(line) for line in ran.out.splitlines()]


def printed_at_a_mailbox(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield what the commands on mail print, by the headings of the page."""
    rules = ("TOP 3: -ERR later", "RETR 3: -ERR later")
    with faulty_server(*rules, messages=MESSAGES, tls=True) as running:
        where = ("--cacert", running.authority or "", "--json")
        account = f"pop3s://{running.user}@127.0.0.1:{running.tls_port}"
        for word in ("stat", "uidl", "ls"):
            yield f"pop3 {word}", run(word, account, *where, password=PASSWORD)
        yield "pop3 check", run("check", account, *where, password=PASSWORD)
        yield "pop3 check", run("check", account, *where, password="wrong")
        yield "pop3 check", run("check", account, "--json", password=PASSWORD)
        yield "pop3 verify", run("verify", account, *where, "--only", "greeting", password=PASSWORD)
        state = ("--state", folder / "fetch.db", "--max-size", "1k", *where)
        fetched = ("fetch", account, "--to", f"maildir:{folder}/to", *state)
        yield "pop3 fetch --dry-run", run(*fetched, "--dry-run", password=PASSWORD)
        yield "pop3 fetch", run(*fetched, password=PASSWORD)
        yield "pop3 fetch", run(*fetched, password=PASSWORD)
        yield "pop3 fetch --status", run(*fetched, "--status", password=None)


def printed_here(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield what other commands print."""
    for part in ("tmp", "new", "cur", DELETED_FOLDER):
        (folder / "mail/ann" / part).mkdir(parents=True)
    removed = folder / "mail/ann" / DELETED_FOLDER / f"1.a:~{NOW - 60}"
    removed.write_bytes(MESSAGES[0])
    (folder / "users").write_text(f"ann:{quick_hash(b'secret')}\n")
    (folder / "users").chmod(0o600)
    config = folder / "restante.toml"
    config.write_text(CONFIG)
    pop3("user", "app-password", "add", "ann", "phone", "-c", config)
    for words in ("quota", "user list", "user app-password list"):
        yield f"pop3 {words}", run(*words.split(), "-c", config, "--json")
    listed = run("undelete", "ann", "-c", config, "--json", "--list")
    yield "pop3 undelete", {"restored": listed, "left": []}
    yield "pop3 undelete", run("undelete", "ann", "-c", config, "--json")
    yield "pop3 misbehave list", run("misbehave", "list", "--json")
    wrong = Outcome(find("retr-cut"), (ScoreFinding("LOST", "removed a message"),), 1.0, None)
    card = Card(["client"], [wrong], [find("tls-expired")])
    yield "pop3 misbehave score", json.loads(to_json(as_json(card)))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Leaf]]:
    """What the commands print, by the headings of the page."""
    found: dict[str, list[Leaf]] = {}
    folder = tmp_path_factory.mktemp("json")
    for name, value in (*printed_at_a_mailbox(folder), *printed_here(folder)):
        is_list = SECTIONS[name][0].path.startswith("[]")
        for each in [value] if is_list or not isinstance(value, list) else value:
            found.setdefault(name, []).extend(leaves(each))
    return found


@pytest.mark.parametrize("name", [name for name in SECTIONS if name not in STRUCTS])
def test_fields(name: str, printed: dict[str, list[Leaf]]) -> None:
    """What a command prints is in its table, with its type, and the table has nothing else.

    An object without rows for its fields is described in words.
    """
    rows = {row.path: row for row in SECTIONS[name]}
    open_ended = [
        path for path, row in rows.items()
        if row.type == "object" and not any(each.startswith(f"{path}.") for each in rows)
    ]  # fmt: skip
    unknown, wrong = set(), set()
    for path, kind, _ in printed[name]:
        if any(path.startswith((f"{each}.", f"{each}[")) for each in open_ended):
            continue
        parent = any(each.startswith(f"{path}.") for each in rows)
        if path not in rows:
            unknown |= set() if parent or not kind else {path}
        elif kind not in rows[path].type:
            wrong.add((path, kind))
    unseen = set(rows) - {leaf.path for leaf in printed[name]}
    assert (unknown, wrong, unseen) == (set(), set(), set())


@pytest.mark.parametrize("name", [name for name in SECTIONS if name not in STRUCTS])
def test_values(name: str, printed: dict[str, list[Leaf]]) -> None:
    """If a row lists the texts of a field, a command prints no other."""
    listed = {row.path: row.listed for row in SECTIONS[name] if row.listed}
    found = {(leaf.path, leaf.value) for leaf in printed[name] if leaf.path in listed}
    assert {(path, value) for path, value in found if value not in listed[path]} == set()
