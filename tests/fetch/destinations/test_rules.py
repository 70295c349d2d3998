"""Rules, which choose the destination of a message, and filters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, OTHER, deliver, opened, prepare, settle, write
from restante.fetch.destinations import filters
from restante.fetch.destinations.maildir import MaildirDestination
from restante.fetch.destinations.mbox.destination import MboxDestination
from restante.fetch.destinations.rules import Condition, Rule, RulesDestination
from restante.fetch.interfaces import (
    DestinationUnavailableError,
    MessageRefusedError,
    Settled,
)
from restante.fetch.spool import Spool

LIST = b"List-Id: Developers <dev.example.org>\r\nSubject: c\r\n\r\nhello\r\n"


class RulesPlace:
    """Two Maildirs: messages with List-Id go to one, all others to the other."""

    exact = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def maildir(self, name: str) -> MaildirDestination:
        return MaildirDestination(str(self.folder / name))

    def destination(self, *rules: Rule) -> RulesDestination:
        chosen = rules or (Rule(Condition("List-Id", "dev"), self.maildir("lists")),)
        return RulesDestination(chosen, self.maildir("inbox"), str(self.folder / "state"))

    def of(self, name: str) -> list[bytes]:
        folder = self.folder / name / "new"
        files = [*folder.iterdir()] if folder.exists() else []
        files.sort(key=lambda path: [int(part) for part in re.findall("[0-9]+", path.name)])
        return [re.sub(rb"(?<!\r)\n", b"\r\n", path.read_bytes()) for path in files]

    def messages(self) -> list[bytes]:
        return self.of("inbox") + self.of("lists")

    def remove_all(self) -> None:
        for name in ("inbox", "lists"):
            for path in (self.folder / name / "new").iterdir():
                path.unlink()

    def carries(self, message: bytes) -> bool:
        return True


@pytest.fixture
def place(tmp_path: Path) -> RulesPlace:
    return RulesPlace(tmp_path)


def _only(destination: RulesDestination, *messages: bytes) -> list[str]:
    destination.open()
    try:
        return deliver(destination, *messages)
    finally:
        destination.close()


def test_messages_are_sorted(place: RulesPlace) -> None:
    """A message that matches a rule goes to its destination, and others to the account's."""
    _only(place.destination(), LETTER, LIST, OTHER)
    assert (place.of("inbox"), place.of("lists")) == ([LETTER, OTHER], [LIST])


@pytest.mark.parametrize(
    ("condition", "header", "expected"),
    [
        (Condition("List-Id", "dev"), b"list-id: DEV", True),
        (Condition("List-Id", "dev"), b"List-Id: users", False),
        (Condition("List-Id", "dev"), b"X-List-Id: dev", False),
        (Condition("List-Id", "dev"), b"Subject: a\r\n\r\nList-Id: dev", False),
        (Condition("Subject", "grüße"), b"Subject: =?utf-8?q?Viele_Gr=C3=BC=C3=9Fe?=", True),
        (Condition("Subject", "one two"), b"Subject: one\r\n two", True),
        (Condition("To", "bob"), b"To: ann\r\nTo: bob", True),
        (Condition("X-Spam-Flag", equals="yes"), b"X-Spam-Flag: YES ", True),
        (Condition("X-Spam-Flag", equals="yes"), b"X-Spam-Flag: yes no", False),
        (Condition("X-Spam-Flag"), b"X-Spam-Flag:", True),
        (Condition("X-Spam-Flag"), b"Subject: a", False),
        (Condition(), b"Subject: a", True),
    ],
)
def test_conditions(condition: Condition, header: bytes, *, expected: bool) -> None:
    """A condition reads the decoded values of all fields of a name, without regard to case."""
    assert condition.matches(header) is expected


def test_the_first_rule_decides(place: RulesPlace) -> None:
    """Rules are tried in order, and two of them may have one destination."""
    lists, other = place.maildir("lists"), place.maildir("other")
    rules = [
        Rule(Condition("Subject", "c"), lists),
        Rule(Condition("List-Id", "dev"), other),
        Rule(Condition("Subject", "b"), place.maildir("lists")),
    ]
    _only(place.destination(*rules), LIST, OTHER)
    assert (place.of("lists"), place.of("other")) == ([LIST, OTHER], [])


def test_a_rule_that_is_gone(place: RulesPlace) -> None:
    """A token of a destination that no rule names any more leaves a doubt."""
    [token] = _only(place.destination(), LIST)
    destination = RulesDestination([], place.maildir("inbox"), str(place.folder / "state"))
    destination.open()
    assert destination.settle(token) is Settled.UNKNOWN
    destination.close()


def test_rules_that_come_and_go(place: RulesPlace) -> None:
    """A message for the account's own destination is settled there, with rules and without."""
    inbox, destination = place.maildir("inbox"), place.destination()
    for before, after in ((destination, inbox), (inbox, destination)):
        before.open()
        _, [token] = prepare(before, LETTER)
        before.close()
        after.open()
        assert after.settle(token) is Settled.HERE
        after.close()
    assert place.of("inbox") == [LETTER, LETTER]


def _filter(script: str, *, allow_drop: bool = False, header: str = "") -> Rule:
    command = ["sh", "-c", script]
    return Rule(Condition(header), filter=command, allow_drop=allow_drop)


def test_a_filter_replaces_the_message(place: RulesPlace) -> None:
    """The output of a filter replaces the message, and later rules read that."""
    rules = [_filter("echo X-Spam-Flag: YES; cat")]
    rules.append(Rule(Condition("X-Spam-Flag", equals="yes"), place.maildir("lists")))
    _only(place.destination(*rules), LETTER)
    assert place.of("lists") == [b"X-Spam-Flag: YES\r\n" + LETTER]


def test_a_silent_filter_changes_nothing(place: RulesPlace) -> None:
    """A filter that writes nothing keeps the message octet for octet; it reads LF ends."""
    odd = b"Subject: a\r\n\r\nlone\rCR\r\nno end"
    _only(place.destination(_filter(f"cat > {place.folder}/seen")), odd)
    assert place.of("inbox") == [odd]
    assert (place.folder / "seen").read_bytes() == odd.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("ends", [r"\n", r"\r\n"])
def test_line_ends_of_a_filter(place: RulesPlace, ends: str) -> None:
    """A filter may write LF or CR LF, in any pieces."""
    pieces = f"printf 'Subject: a{ends}'; printf '{ends}text'; printf '{ends[:2]}'"
    pieces += f"; sleep 0.05; printf '{ends[2:]}'"
    _only(place.destination(_filter(pieces)), LETTER)
    assert place.of("inbox") == [b"Subject: a\r\n\r\ntext\r\n"]


def test_a_filter_drops(place: RulesPlace) -> None:
    """Exit code 99 drops a message where the rule allows it, and counts as delivered."""
    tokens = _only(place.destination(_filter("exit 99", allow_drop=True)), LETTER)
    assert place.messages() == []
    assert settle(place, tokens[0]) is Settled.HERE


def test_a_filter_that_may_drop(place: RulesPlace) -> None:
    """A rule that allows a drop keeps each message whose filter exits with another code."""
    _only(place.destination(_filter("cat", allow_drop=True)), LETTER)
    assert place.of("inbox") == [LETTER]


@pytest.mark.parametrize(
    ("script", "error", "text"),
    [
        ("exit 99", MessageRefusedError, "allow_drop = true would drop"),
        ("echo bad >&2; exit 1", MessageRefusedError, "the filter sh ended with exit code 1: bad"),
        ("cat; exit 1", MessageRefusedError, "exit code 1$"),
        ("exit 75", DestinationUnavailableError, "exit code 75"),
        ("kill -9 $$", DestinationUnavailableError, "killed by SIGKILL"),
        ("sleep 60", DestinationUnavailableError, "did not end in time"),
        ("yes", MessageRefusedError, "wrote over"),
    ],
)
def test_a_filter_fails(
    place: RulesPlace,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    error: type[Exception],
    text: str,
) -> None:
    """A filter that fails never loses a message: it stays at the server."""
    monkeypatch.setattr(filters, "SECONDS", 2.0 if script == "sleep 60" else 60.0)
    destination = place.destination(_filter(script))
    destination.open()
    with pytest.raises(error, match=text):
        write(destination, LETTER)
    destination.close()
    assert place.messages() == []


def test_a_filter_only_for_some(place: RulesPlace) -> None:
    """A filter with a condition reads only messages that match."""
    _only(place.destination(_filter("sed s/hello/bye/", header="List-Id")), LIST, LETTER)
    assert place.messages() == [LIST.replace(b"hello", b"bye"), LETTER]


def test_a_batch_of_several_destinations(place: RulesPlace) -> None:
    """Of one batch, each message has the token of its own destination."""
    destination = opened(place)
    drafts, tokens = prepare(destination, LETTER, LIST, OTHER)
    for draft in drafts:
        destination.deliver(draft)
    destination.sync()
    assert [settle(place, token) for token in tokens] == [Settled.HERE] * 3
    destination.close()
    assert sorted(place.messages()) == sorted([LETTER, LIST, OTHER])


def test_one_mbox_by_two_spellings(tmp_path: Path) -> None:
    """A rule whose mbox is the default by another spelling does not wait for its own lock."""
    default, again = (
        MboxDestination(path, Spool(str(tmp_path / "spool")))
        for path in (f"{tmp_path}/box", f"{tmp_path}/./box")
    )
    rule = Rule(Condition("List-Id", "dev"), again)
    destination = RulesDestination([rule], default, str(tmp_path / "state"))
    destination.open()
    tokens = deliver(destination, LETTER, LIST)
    assert [destination.settle(token) for token in tokens] == [Settled.HERE] * 2
    destination.close()
    assert (tmp_path / "box").read_bytes().count(b"\nSubject: ") == 2


def test_rule_within_a_maildir(place: RulesPlace) -> None:
    """A rule cannot write among the messages of another Maildir."""
    rule = Rule(Condition("List-Id", "dev"), place.maildir("inbox/new/lists"))
    with pytest.raises(ValueError, match="is within the mail of"):
        place.destination(rule)
