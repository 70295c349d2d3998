"""Every odd server of the tests as a source: nothing that is cut is delivered, nothing is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from diagnosis import test_first_cause, test_odd_servers, test_run
from diagnosis.steps import test_login
from restante.client import blocking
from restante.client.blocking import Maildrop
from restante.client.options import Target
from restante.fetch.destinations.maildir import MaildirDestination
from restante.fetch.events import Notice
from restante.fetch.fetcher import Fetcher
from restante.fetch.identity import take_uid, uids_by_digest
from restante.fetch.journal import Journal
from restante.fetch.planner import Policy
from restante.misbehave import find
from restante.misbehave.changes import (
    alter_line,
    both_forms,
    first_session,
    instead,
    later_sessions,
)
from restante.misbehave.conversation import Alteration, Conversation, Ending
from restante.misbehave.driver import FaultyServer
from restante.misbehave.rules import parse_rules
from restante.protocol.errors import RemoteError
from support.check_request import ANN, OPTIONS, SHORT, Faults, server_of, times_for
from support.faulty_server import HELLO, PASSWORD, SECOND, OctetLimit, faulty_server

ENOUGH = 1_000_000  # octets

TABLES = {
    "greeting": test_run.GREETINGS,
    "mailbox": test_run.MAILBOXES,
    "break": test_run.BREAKS,
    "deep": test_run.DEEP,
    "message": test_run.BROKEN_MESSAGES,
    "read on": test_odd_servers.READ_ON,
    "strict": test_odd_servers.STRICT,
    "bare LF": test_odd_servers.MESSAGES,
    "words": test_odd_servers.WORDS,
    "login": test_login.LOGINS,
    "first cause": test_first_cause.ORDERS,
}
ALL_IS_WELL = {"mailbox", "deep", "read on", "bare LF", "words"}
"""Tables of servers whose mail can be fetched: their verdicts are warnings."""

OTHER_VERDICTS = {
    "greeting no-end: no line end": "greet-none",
    "break no-end: PASS": "auth-noreply",
    "mailbox quit-err: refused": "quit-err",
    "read on bad-reply: words for an answer to QUIT": "bad-reply",
    "read on quit-noreply: silent": "stalled",
    # The fetcher needs neither STAT nor TOP.
    "break conn-lost: in STAT": "",
    "break stalled: in TOP": "",
    "break no-end: STAT": "",
    "break bad-reply: in STAT": "",
    "break bad-reply: no status": "",
    "break refused: STAT": "",
    "break refused: STAT without a reason": "",
    "break locked: STAT": "",
    "break sys-temp: STAT": "",
    "break desync: two replies": "",
    "login auth-pop-disabled: at STAT, as Google says it": "",
    "login locked: at STAT, by text alone": "",
    "login sys-temp: at STAT, by text alone": "",
    "login sys-temp: +OK with a code of failure": "",
    "break not-stuffed: behind TOP": "",
    "strict bad-reply: fewer than 0 messages": "",
    "strict bad-reply: STAT with three numbers in words": "",
    "strict not-stuffed: behind the last TOP": "",
}


def servers() -> Iterator[Any]:
    for table, rows in TABLES.items():
        for row in rows.args[1]:
            name, server, _ = row.values
            title = f"{table} {row.id}"
            verdict = OTHER_VERDICTS.get(title, "" if table in ALL_IS_WELL else name)
            yield pytest.param(server, verdict, id=title)


class Account:
    """An account at a server, with a journal and a Maildir. `options` are those of a connection.

    Attributes:
        notices: the warnings of all runs, by their ids.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self._options = dataclasses.replace(OPTIONS, **options)
        self._journal = folder / "fetch.db"
        self._box = folder / "box"
        self.notices: dict[str, str] = {}
        for part in ("tmp", "new", "cur"):
            (self._box / part).mkdir(parents=True)

    def fetch(self, port: int, keep: float | None = 0.0) -> str:
        """Fetch and delete all mail, and return the id of what was wrong, "" for nothing.

        `keep`: for how many seconds mail stays at the server, None for ever.
        """
        with Journal(self._journal) as journal:
            destination = MaildirDestination(str(self._box))
            policy = Policy(keep_seconds=keep)
            open_drop = partial(self._connect, port)
            fetcher = Fetcher(journal.open_account("ann"), [destination], open_drop, policy)
            try:
                for event in fetcher.run():
                    if isinstance(event, Notice):
                        self.notices[event.id] = event.text
            except RemoteError as error:
                return error.id
        if fetcher.parked.failure:
            return fetcher.parked.failure.id
        return "retr-refused" if fetcher.summary.parked else ""

    def note_known(self, port: int) -> None:
        """Note all mail that is there as fetched by another program."""
        with Journal(self._journal) as journal, self._connect(port, lambda *_: None) as drop:
            uids = [(message.uid or "", None, None) for message in drop]
            journal.open_account("ann").note_known(uids, stay=False)

    def _connect(self, port: int, notice: Callable[[str, str], None]) -> Maildrop:
        target = Target("127.0.0.1", port, "starttls", ANN)
        return blocking.connect(target, PASSWORD, dataclasses.replace(self._options, notice=notice))

    def delivered(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted((self._box / "new").iterdir())]


def stored(message: bytes) -> bytes:
    """Return a message as a Maildir has it, without the end of its last line."""
    return message.replace(b"\r\n", b"\n").removesuffix(b"\n")


def assert_promise(server: FaultyServer, delivered: list[bytes]) -> None:
    """Assert that delivered messages are whole and not twice, and deleted ones were delivered."""
    whole = [stored(message) for message in server.given]
    found = [stored(message) for message in delivered]
    assert len(found) == len(set(found))
    assert set(found) <= set(whole)
    assert {stored(message) for message in server.removed} <= set(found)


@pytest.mark.parametrize(("server", "verdict"), list(servers()))
def test_an_odd_server(server: Faults, verdict: str, tmp_path: Path) -> None:
    """A run has the true verdict. It delivers whole messages only, once, and deletes only those."""
    account = Account(tmp_path, **times_for(server))
    with server_of(server) as running:
        assert account.fetch(running.port) == verdict
        assert_promise(running, account.delivered())
        if not verdict:
            assert len(account.delivered()) == len(running.given)
        if account.delivered():
            account.fetch(running.port)
            assert_promise(running, account.delivered())


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
def test_a_session_that_breaks_at_any_octet(ending: Ending, tmp_path: Path) -> None:
    """If the server stops after any octet, the next run completes the mail."""
    for octets in range(0, 620, 19):
        (folder := tmp_path / str(octets)).mkdir()
        account = Account(folder)
        limit = OctetLimit(octets, ending)
        with faulty_server(limit, user=ANN) as running:
            account.fetch(running.port)
            assert_promise(running, account.delivered())
            limit.left = ENOUGH
            assert account.fetch(running.port) == ""
            assert_promise(running, account.delivered())
        assert sorted(map(stored, account.delivered())) == sorted(map(stored, (HELLO, SECOND)))


def test_delete_that_is_refused(tmp_path: Path) -> None:
    """A message whose deletion the server rejects is asked for again, and not fetched again."""
    account = Account(tmp_path)
    with faulty_server("DELE 1: -ERR not allowed", user=ANN) as running:
        account.fetch(running.port)
        account.fetch(running.port)
    assert running.commands.count("DELE 1") == 2
    assert [line for line in running.commands if line.startswith("RETR")] == ["RETR 1", "RETR 2"]
    assert len(account.delivered()) == 2


def test_other_mail_under_a_known_uid(tmp_path: Path) -> None:
    """If a server gives a unique-id to another message, the other message is fetched too."""
    account = Account(tmp_path)
    with faulty_server(messages=(HELLO,), user=ANN) as running:
        account.fetch(running.port)
    with faulty_server(messages=(SECOND,), user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.removed == [SECOND]
    assert list(map(stored, account.delivered())) == [stored(HELLO), stored(SECOND)]


@pytest.mark.parametrize(
    ("message_id", "count"), [(b"<a@example.com>", 1), (b"<b@example.com>", 2)]
)
def test_another_header_under_a_known_uid(message_id: bytes, count: int, tmp_path: Path) -> None:
    """With the same size, the Message-ID decides: scanners change other fields of a message."""
    account = Account(tmp_path)
    first = b"Message-ID: <a@example.com>\r\nX-Scan: 1\r\n\r\nText.\r\n"
    second = b"Message-ID: %s\r\nX-Scan: 2\r\n\r\nText.\r\n" % message_id
    with faulty_server(messages=(first,), user=ANN) as running:
        account.fetch(running.port, keep=None)
    with faulty_server(messages=(second,), user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert len(account.delivered()) == count


def exchange_uids(conversation: Conversation) -> Conversation:
    """Give the unique-ids of messages 1 and 2 to each other."""

    def change(number: bytes, uid: bytes) -> bytes:
        return {b"1": b"1 memory-2", b"2": b"2 memory-1"}.get(number, number + b" " + uid)

    return both_forms("UIDL", change)(conversation)


LINE_FEEDS = find("greeting-lf").conversation
LOOK_NEW: list[str | Alteration] = [
    "status-added", "uidl-changes", "uidl-changes-some", "uidl-once", "uidl-reversed",
    later_sessions(exchange_uids), first_session(LINE_FEEDS), later_sessions(LINE_FEEDS), "retr-lf",
]  # fmt: skip


@pytest.mark.parametrize("fault", LOOK_NEW)
def test_messages_that_look_new(fault: str | Alteration, tmp_path: Path) -> None:
    """Messages that stay are not fetched again, whatever a server changes around them."""
    account = Account(tmp_path)
    letters = [letter + b"More of the same.\r\n" * 99 for letter in (HELLO, SECOND)]
    with faulty_server(fault, messages=letters, user=ANN) as running:
        for _ in range(3):
            assert account.fetch(running.port, keep=None) == ""
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert sorted(map(stored, account.delivered())) == sorted(map(stored, letters))


def test_numbers_that_move_at_dele(tmp_path: Path) -> None:
    """A server that numbers its messages anew at each DELE deletes none that was not delivered."""
    account = Account(tmp_path)
    letters = [b"Subject: %d\r\n\r\nText.\r\n" % number for number in range(4)]
    refused = "RETR 3: -ERR broken"
    with faulty_server(refused, "dele-renumbers", messages=letters, user=ANN) as running:
        assert account.fetch(running.port) == "retr-refused"
        assert running.left == [letters[2]]
    assert len(account.delivered()) == 3


def retrieve_the_one_before(line: bytes) -> bytes:
    """Read RETR 3 as RETR 2."""
    verb, number = [*line.split(), b""][:2]
    return b"RETR %d\r\n" % max(1, int(number) - 1) if verb == b"RETR" else line


def test_retr_of_other_messages(tmp_path: Path) -> None:
    """A message stays if RETR gave another size than LIST, and another header than TOP."""
    account = Account(tmp_path)
    letters = [b"Subject: %d\r\n\r\n" % n + b"Text.\r\n" * (40 + n) for n in (1, 2, 3)]
    mixed = alter_line(retrieve_the_one_before)
    with faulty_server(mixed, messages=letters, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.removed == letters[:1]
        assert "TOP 2 shows another message" in account.notices["retr-mixed"]
        for _ in range(3):  # the last message is RETR 1 in the end
            assert account.fetch(running.port) == ""
            assert set(map(stored, running.removed)) <= set(map(stored, account.delivered()))


@pytest.mark.parametrize("faults", [["size-small"], ["size-small", "TOP: -ERR no"]])
def test_wrong_sizes_alone(faults: list[str], tmp_path: Path) -> None:
    """Messages whose sizes LIST counts wrongly are deleted, with TOP and without it."""
    account = Account(tmp_path)
    with faulty_server(*faults, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []


def test_other_mail_of_the_same_size(tmp_path: Path) -> None:
    """Before it is deleted, a message of an earlier run shows its header: it may be another."""
    account = Account(tmp_path)
    with faulty_server(messages=(HELLO,), user=ANN) as running:
        account.fetch(running.port, keep=None)
    other = HELLO.replace(b"Hello", b"Other")
    with faulty_server(messages=(other,), user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert list(map(stored, account.delivered())) == [stored(HELLO), stored(other)]


def test_other_mail_of_the_same_size_without_top(tmp_path: Path) -> None:
    """Where TOP is refused, all octets show that a message is another one."""
    account = Account(tmp_path)
    with faulty_server("TOP: -ERR no", messages=(HELLO,), user=ANN) as running:
        account.fetch(running.port, keep=None)
    other = HELLO.replace(b"Hello", b"Other")
    with faulty_server("TOP: -ERR no", messages=(other,), user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert list(map(stored, account.delivered())) == [stored(HELLO), stored(other)]


def test_other_mail_of_another_size_without_top(tmp_path: Path) -> None:
    """Where TOP is refused, a message with another size under a known unique-id is fetched, too."""
    account = Account(tmp_path)
    for message in (HELLO, HELLO + b"More.\r\n"):
        with faulty_server("TOP: -ERR no", messages=(message,), user=ANN) as running:
            assert account.fetch(running.port, keep=None) == ""
    assert list(map(stored, account.delivered())) == [stored(HELLO), stored(HELLO + b"More.\r\n")]
    with faulty_server("TOP: -ERR no", "LIST: with 1 9", messages=(message,), user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    assert len(account.delivered()) == 2


def test_other_mail_that_cannot_be_compared(tmp_path: Path) -> None:
    """A message that the server refuses to show stays, since it may be another one."""
    account = Account(tmp_path)
    with faulty_server(messages=(HELLO,), user=ANN) as running:
        account.fetch(running.port, keep=None)
    other = HELLO.replace(b"Hello", b"Other")
    with faulty_server("TOP: -ERR no", "RETR: -ERR no", messages=(other,), user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == [other]
    assert "may be another message" in account.notices["retr-refused"]


def test_nothing_of_a_message(tmp_path: Path) -> None:
    """A message of which the server sends nothing is parked, and stays."""
    account = Account(tmp_path)
    with faulty_server("retr-nothing", user=ANN) as running:
        assert account.fetch(running.port) == "retr-refused"
        assert (account.delivered(), len(running.left)) == ([], 2)


def test_refused_message_of_two_octets(tmp_path: Path) -> None:
    """A message that the server refuses is not delivered, however small, and leaves no file."""
    account = Account(tmp_path)
    with faulty_server("LIST: with 1 2\nRETR 1: -ERR no", user=ANN) as running:
        assert account.fetch(running.port) == "retr-refused"
    assert list(map(stored, account.delivered())) == [stored(SECOND)]
    assert list((tmp_path / "box" / "tmp").iterdir()) == []


@pytest.mark.parametrize("verb", ["RETR", "DELE"])
def test_commands_that_were_sent_ahead(verb: str, tmp_path: Path) -> None:
    """If a server drops what was sent ahead, the next session sends one command at a time."""
    account = Account(tmp_path, reply_seconds=SHORT)
    drops = first_session(parse_rules(f"{verb}#2: silence"))
    with faulty_server(drops, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert (len(account.delivered()), running.left) == (2, [])


def test_quit_that_deletes_nothing(tmp_path: Path) -> None:
    """If nothing was marked, a QUIT without a reply does not fail the run."""
    account = Account(tmp_path, reply_seconds=SHORT)
    with faulty_server("quit-silent", user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    assert len(account.delivered()) == 2


def test_rejected_quit_that_deletes_nothing(tmp_path: Path) -> None:
    """If nothing was marked, a rejected QUIT is a warning with the server's words."""
    account = Account(tmp_path)
    with faulty_server("QUIT: -ERR [SYS/TEMP] disk full", user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    assert account.notices["quit-err"] == "[SYS/TEMP] disk full; no message was marked"


def test_words_of_a_rejected_deletion(tmp_path: Path) -> None:
    """The warning has the server's words about the message that it names."""
    account = Account(tmp_path)
    with faulty_server("UIDL: with 1 one\nDELE: -ERR no", user=ANN) as running:
        assert account.fetch(running.port) == ""
    expected = "one: refused: no (after DELE 1); 1 more is rejected"
    assert account.notices["fetch-dele"] == expected


def test_rejected_quit_after_failures_in_ok(tmp_path: Path) -> None:
    """A message may be marked where DELE was answered by +OK with a failure, so QUIT must work."""
    account = Account(tmp_path)
    rules = "DELE: +OK [SYS/TEMP] busy\nQUIT: -ERR [SYS/TEMP] disk full"
    with faulty_server(rules, user=ANN) as running:
        assert account.fetch(running.port) == "quit-err"
    assert "quit-err" not in account.notices


def test_other_mail_after_failures_in_ok(tmp_path: Path) -> None:
    """Messages that may have been deleted are not missed where a server has only other ones."""
    account = Account(tmp_path)
    dele = instead("DELE", b"+OK [SYS/TEMP] busy\r\n")
    with faulty_server(dele, messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert "; 3 more are rejected" in account.notices["fetch-dele"]
    others = tuple(b"To: ann\r\n" + letter for letter in LETTERS)
    rules = "\n".join(["TOP: -ERR no", *(f"UIDL: with {n} other-{n}" for n in range(1, 5))])
    with faulty_server(rules, messages=others, user=ANN) as running:
        assert account.fetch(running.port) == ""
    assert len(account.delivered()) == 8


def test_short_messages_stay(tmp_path: Path) -> None:
    """A message that came much shorter than LIST says is not deleted, and a warning says so."""
    account = Account(tmp_path)
    with faulty_server("LIST: with 1 100\nLIST: with 2 2000", user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert (len(account.delivered()), len(running.left)) == (2, 2)
    assert (
        " octets, and LIST gave 100, so it was not deleted; 1 more like it"
        in account.notices["fetch-short"]
    )


def test_message_larger_than_the_disk(tmp_path: Path) -> None:
    """A message with an absurd size in LIST is parked, and stops no other."""
    account = Account(tmp_path)
    with faulty_server("LIST: with 1 1" + "0" * 17, user=ANN) as running:
        assert account.fetch(running.port) == "retr-refused"
        assert running.left == [HELLO]
    assert list(map(stored, account.delivered())) == [stored(SECOND)]


LETTERS = tuple(b"Subject: %d\r\n\r\nText %d.\r\n" % (number, number) for number in range(4))
FIVE = (*LETTERS, HELLO)
NO_UIDS = ("UIDL: -ERR no",)
ONE_UID_TWICE = ("UIDL: with 2 same", "UIDL: with 3 same")
NUMBERS_FOR_UIDS = tuple(f"UIDL: with {number} {number}" for number in range(1, 5))


def require_letters_once(account: Account, *rules: str) -> None:
    """Fetch and delete at a last server. All letters have come then, and none of them twice."""
    with faulty_server(*rules, messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert sorted(map(stored, account.delivered())) == sorted(map(stored, LETTERS))


@pytest.mark.parametrize("rules", [NO_UIDS, ONE_UID_TWICE, NUMBERS_FOR_UIDS])
def test_uids_that_fail_for_a_session(rules: tuple[str, ...], tmp_path: Path) -> None:
    """If unique-ids do not identify messages in one session, no message comes twice."""
    account = Account(tmp_path)
    for odd in (), rules, ():
        with faulty_server(*odd, messages=LETTERS, user=ANN) as running:
            assert account.fetch(running.port, keep=None) == ""
    require_letters_once(account, *rules)


@pytest.mark.parametrize("rules", [NO_UIDS, ONE_UID_TWICE, NUMBERS_FOR_UIDS])
def test_uids_that_begin_later(rules: tuple[str, ...], tmp_path: Path) -> None:
    """If a server gets usable unique-ids, messages that were known without them are not new."""
    account = Account(tmp_path)
    for odd in rules, (), rules, ():
        with faulty_server(*odd, messages=LETTERS, user=ANN) as running:
            assert account.fetch(running.port, keep=None) == ""
    require_letters_once(account)


def test_uids_that_begin_after_a_deletion_that_failed(tmp_path: Path) -> None:
    """A message that stays after a QUIT with +OK does not come again under its first unique-id."""
    account = Account(tmp_path)
    letters = [b"Message-ID: <%d@x>\r\n" % number + letter for number, letter in enumerate(LETTERS)]
    lying = ("quit-removes-nothing", *NUMBERS_FOR_UIDS)
    with faulty_server(*lying, messages=letters, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert len(running.left) == 4
    uids = [f"UIDL: with {number} {number + 1}" for number in range(1, 4)]
    for _ in range(2):
        with faulty_server(*uids, messages=letters[1:], user=ANN) as running:
            assert account.fetch(running.port) == ""
    assert running.left == []
    assert list(map(stored, account.delivered())) == list(map(stored, letters))


def test_new_mail_after_a_deletion_without_reply(tmp_path: Path) -> None:
    """Messages that were to be deleted, and are gone, do not count as those of a server's move."""
    account = Account(tmp_path, reply_seconds=SHORT)
    with faulty_server("quit-silent", messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == "stalled"
        assert running.left == []
    new = [b"Subject: New %d\r\n\r\nText.\r\n" % number for number in range(4)]
    uids = [f"UIDL: with {number} new-{number}" for number in range(1, 5)]
    with faulty_server("TOP: -ERR no", *uids, messages=new, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert len(account.delivered()) == 8


def test_a_move_after_a_deletion_that_failed(tmp_path: Path) -> None:
    """Messages that were to be deleted, and are listed under other unique-ids, come once."""
    account = Account(tmp_path, reply_seconds=SHORT)
    with faulty_server(
        "quit-silent", "quit-removes-nothing", messages=LETTERS, user=ANN
    ) as running:
        assert account.fetch(running.port) == "stalled"
        assert len(running.left) == 4
    uids = [f"UIDL: with {number} new-{number}" for number in range(1, 5)]
    with faulty_server(*uids, messages=LETTERS, user=ANN) as running:
        for _ in range(2):
            assert account.fetch(running.port) == ""
        assert running.left == []
    assert sorted(map(stored, account.delivered())) == sorted(map(stored, LETTERS))


def test_a_wrong_size_while_uids_fail(tmp_path: Path) -> None:
    """A message whose size was wrong while unique-ids failed does not come twice."""
    account = Account(tmp_path)
    for rules in (), (*NO_UIDS, "LIST: with 2 99999"), ():
        with faulty_server(*rules, messages=LETTERS, user=ANN) as running:
            assert account.fetch(running.port, keep=None) == ""
    require_letters_once(account)


def test_a_message_like_one_that_left(tmp_path: Path) -> None:
    """A message without a Message-ID comes, even if it is like one that had no usable unique-id."""
    account = Account(tmp_path)
    with faulty_server(*NUMBERS_FOR_UIDS, messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == ""
    with faulty_server("UIDL: with 1 5", messages=LETTERS[:1], user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert len(account.delivered()) == 5


@pytest.mark.parametrize("then", [(), NO_UIDS])
@pytest.mark.parametrize("before", [(), NO_UIDS])
def test_a_warning_in_place_of_another(
    before: tuple[str, ...], then: tuple[str, ...], tmp_path: Path
) -> None:
    """A message without a Message-ID comes, even if its header and its size are known."""
    first, second = (b"Subject: Mailbox full\r\n\r\nDay %d.\r\n" % day for day in (1, 2))
    account = Account(tmp_path)
    with faulty_server(*before, messages=[first], user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    rules = then or ("UIDL: with 1 another",)
    for keep in (None, 0.0):
        with faulty_server(*rules, messages=[second], user=ANN) as running:
            assert account.fetch(running.port, keep) == ""
    assert list(map(stored, account.delivered())) == list(map(stored, [first, second]))
    assert running.left == []


def test_warnings_beside_each_other(tmp_path: Path) -> None:
    """Without unique-ids, messages with the same header and size come, and equal ones, too."""
    first, second = (b"Subject: Mailbox full\r\n\r\nDay %d.\r\n" % day for day in (1, 2))
    letters = [first, second, first]
    account = Account(tmp_path)
    for keep in (None, None, 0.0):
        with faulty_server(*NO_UIDS, messages=letters, user=ANN) as running:
            assert account.fetch(running.port, keep) == ""
        assert sorted(map(stored, account.delivered())) == sorted(map(stored, letters))
    assert running.left == []


@pytest.mark.parametrize("more", [b"", b"It is quite full.\r\n"])
def test_a_warning_under_the_uid_of_a_deleted_one(more: bytes, tmp_path: Path) -> None:
    """A message without a Message-ID comes, even if a deleted one had its header and unique-id."""
    first, second = (b"Subject: Mailbox full\r\n\r\nDay %d.\r\n" % day for day in (1, 2))
    account = Account(tmp_path)
    for keep, message in (0.0, first), (None, second + more), (0.0, second + more):
        with faulty_server(messages=[message], user=ANN) as running:
            assert account.fetch(running.port, keep) == ""
    assert list(map(stored, account.delivered())) == list(map(stored, [first, second + more]))
    assert running.left == []


def test_known_by_the_uid_alone(tmp_path: Path) -> None:
    """Messages of another program are known while their unique-ids are usable, else none comes."""
    account = Account(tmp_path)
    with faulty_server(messages=LETTERS[:3], user=ANN) as running:
        account.note_known(running.port)
    with faulty_server(
        "UIDL: with 4 same", "UIDL: with 5 same", messages=FIVE, user=ANN
    ) as running:
        assert account.fetch(running.port, keep=None) == ""
    assert list(map(stored, account.delivered())) == list(map(stored, FIVE[3:]))
    with faulty_server("UIDL: -ERR no", messages=FIVE, user=ANN) as running:
        assert account.fetch(running.port) == "uids-changed"
        assert len(running.left) == 5


def test_new_mail_under_the_uid_of_known_mail(tmp_path: Path) -> None:
    """A message comes if it shares the unique-id of one that another program fetched."""
    account = Account(tmp_path)
    with faulty_server("UIDL: with 1 same", messages=LETTERS[:1], user=ANN) as running:
        account.note_known(running.port)
    rules = ("UIDL: with 1 same", "UIDL: with 2 same")
    with faulty_server(*rules, messages=LETTERS[:2], user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    assert stored(LETTERS[1]) in map(stored, account.delivered())


def test_known_by_the_header(tmp_path: Path) -> None:
    """Without unique-ids, a message with a Message-ID is retrieved once, and deleted later."""
    letters = [b"Message-ID: <%d@x>\r\n\r\nText\r\n" % number for number in range(2)]
    account, retrieved = Account(tmp_path), []
    for keep in (None, None, 0.0):
        with faulty_server(*NO_UIDS, messages=letters, user=ANN) as running:
            assert account.fetch(running.port, keep) == ""
        retrieved.append(sum(line.startswith("RETR") for line in running.commands))
    assert retrieved == [2, 0, 0]
    assert (len(account.delivered()), running.left) == (2, [])


def test_a_message_without_uid_that_is_refused(tmp_path: Path) -> None:
    """A message that neither a unique-id nor its header identifies does not stop the others."""
    account = Account(tmp_path)
    refused = ("UIDL: -ERR no", "TOP 2: -ERR broken", "RETR 2: -ERR broken")
    with faulty_server(*refused, messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == [LETTERS[1]]
        assert account.notices["retr-refused"].startswith("message 2 cannot be identified")
    assert len(account.delivered()) == 3


@pytest.mark.parametrize("keep", [0.0, None])
@pytest.mark.parametrize(("before", "then"), [((), NO_UIDS), (NO_UIDS, ())])
def test_a_message_like_one_that_is_refused(
    before: tuple[str, ...], then: tuple[str, ...], keep: float | None, tmp_path: Path
) -> None:
    """A message with the header and the size of a known one, which is refused, comes once."""
    letters = [
        b"Subject: Mailbox full\r\nMessage-ID: <1@x>\r\n\r\nDay %d.\r\n" % day for day in (1, 2)
    ]
    account = Account(tmp_path)
    with faulty_server(*before, messages=letters[:1], user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    refused = ("TOP 1: -ERR broken", "RETR 1: -ERR broken")
    with faulty_server(*then, *refused, messages=letters, user=ANN) as running:
        assert account.fetch(running.port, keep) in {"", "retr-refused"}
        assert_promise(running, account.delivered())
    with faulty_server(messages=letters, user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    assert sorted(map(stored, account.delivered())) == sorted(map(stored, letters))


ENDINGS = pytest.mark.parametrize(
    ("ending", "options"), [("close", {}), ("silence", {"reply_seconds": SHORT})]
)


@ENDINGS
def test_top_that_ends_the_session(ending: str, options: dict[str, float], tmp_path: Path) -> None:
    """If a server without unique-ids fails at TOP, its mail comes by RETR alone, once."""
    account = Account(tmp_path, **options)
    rules = ("UIDL: -ERR no", f"TOP: {ending}")
    for messages in LETTERS[:3], LETTERS:
        with faulty_server(*rules, messages=messages, user=ANN) as running:
            assert account.fetch(running.port, keep=None) == ""
    with faulty_server("UIDL: -ERR no", messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert sorted(map(stored, account.delivered())) == sorted(map(stored, LETTERS))


def test_top_that_ends_the_session_before_a_deletion(tmp_path: Path) -> None:
    """If a server fails at TOP, known messages are compared by RETR, deleted, and new ones come."""
    account = Account(tmp_path)
    with faulty_server("TOP: close", messages=LETTERS[:3], user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    with faulty_server("TOP: close", messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == []
    assert len(account.delivered()) == 4


def test_a_message_that_list_omits(tmp_path: Path) -> None:
    """A message that only UIDL has is a warning, and comes once LIST has it."""
    account = Account(tmp_path)
    with faulty_server("LIST: without 2", messages=LETTERS, user=ANN) as running:
        assert account.fetch(running.port) == ""
        assert running.left == [LETTERS[1]]
        assert account.notices["list-missing"] == "UIDL has messages that LIST omits: 2"
    with faulty_server(messages=LETTERS[1:2], user=ANN) as running:
        assert account.fetch(running.port) == ""
    assert len(account.delivered()) == 4


def test_unique_ids_by_digest() -> None:
    """Of messages with the same octets, the first one that is known counts first, and each once."""
    free = uids_by_digest([("a", "one"), ("b", None), ("c", "one"), ("d", "two")])
    assert [take_uid(free, "one") for _ in range(3)] == ["a", "c", ""]
    assert free == {"two": ["d"]}


def test_warnings_of_a_run_that_fails(tmp_path: Path) -> None:
    """A run that fails has the warnings of what came before."""
    account = Account(tmp_path)
    with faulty_server(messages=FIVE, user=ANN) as running:
        account.fetch(running.port, keep=None)
    with faulty_server("LIST: without 2", "DELE: close", messages=FIVE, user=ANN) as running:
        assert account.fetch(running.port) == "conn-lost"
    assert "list-missing" in account.notices


NAMELESS = tuple(b"Subject: %d\r\n\r\nbody %d\r\n" % (n, n) for n in range(3))


@ENDINGS
def test_a_known_message_that_breaks_the_session(
    ending: str, options: dict[str, float], tmp_path: Path
) -> None:
    """If a server fails at a known message that is compared, new mail comes all the same."""
    account = Account(tmp_path, **options)
    with faulty_server("UIDL: -ERR no", messages=NAMELESS[:2], user=ANN) as running:
        assert account.fetch(running.port, keep=None) == ""
    rules = ("UIDL: -ERR no", f"RETR 1: {ending}")
    with faulty_server(*rules, messages=NAMELESS, user=ANN) as running:
        account.fetch(running.port)
        assert (len(account.delivered()), running.left) == (3, [NAMELESS[0]])
