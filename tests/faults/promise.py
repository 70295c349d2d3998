"""The promise, held against the client's replies and the disk.

What was not marked and confirmed by QUIT is never lost; +OK to QUIT means that the removal is
durable; a message is delivered once or the sender knows.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum

from faults.client import LostError, Talk
from faults.host import PASSWORD
from faults.stores import OWNER
from protocol import reference


class Answer(Enum):
    """The answer that the client has for a removal or a delivery."""

    NONE = "nothing was asked"
    OPEN = "no answer came"
    REFUSED = "it failed"
    DONE = "it is done"


class BreachError(AssertionError):
    """The promise was broken."""


def hold(condition: object, text: str) -> None:
    """Raise BreachError unless this is true."""
    if not condition:
        raise BreachError(text)


@dataclass
class Ledger:
    """A client's commands and their replies, in a maildrop that holds these messages."""

    messages: Sequence[bytes]
    uids: dict[bytes, bytes] = field(default_factory=dict)  # by message, once UIDL listed them
    marked: set[int] = field(default_factory=set)  # numbers, in the session that is under way
    doomed: frozenset[int] = frozenset()  # numbers that were marked when QUIT was said
    answer: Answer = Answer.NONE  # to that QUIT
    logged_in: bool = False
    must_read: bool = False  # all but a removal must be granted
    must_remove: bool = False  # that too
    takes_over: bool = False  # a login that meets an idle session ends it
    shared: bool = False  # one has not: there were two sessions at once
    taken: bool = False  # another session has the maildrop: nothing may be removed any more
    owner: str = OWNER

    def visit(
        self,
        talk: Talk,
        commands: Sequence[str],
        change: Callable[[str, int], None],
        *,
        stay: bool = False,
    ) -> None:
        """Hold a session, checking each answer; it may break off at any point.

        The client hangs up at the end, unless it is to `stay`.

        At "!flag 2", which is not a command, another program flags that message. "!rename 2" and
        the like change its name, and with that its unique-id.
        """
        self.marked, self.logged_in = set(), False
        try:
            talk.greet()
            self.logged_in = self._log_in(talk)
            for command in commands:
                if command == "!hear":
                    self._hear_of_quit(*talk.answer())
                elif command == "!kick":
                    self.taken = self.answer is Answer.NONE
                    change("kick", 0)
                elif command.startswith("!"):
                    how, number = command[1:].split()
                    change(how, int(number))
                    if how in ("rename", "rebase"):
                        self.uids.pop(self.messages[int(number) - 1], None)
                elif command == "QUIT &":
                    self._leave()
                    talk.send("QUIT")
                else:
                    self._say(talk, command)
        except LostError:
            return
        finally:
            if not stay:
                talk.close()

    def end_taken_over(self, talk: Talk, *, left: bool) -> None:
        """See what becomes of a session after the next login.

        `left`: its client had said QUIT just before.
        """
        with contextlib.closing(talk), contextlib.suppress(LostError):
            if left:
                self._hear_of_quit(*talk.answer())
                return
            ok, text = talk.ask("NOOP")
            hold(ok, f"a session that was ended got {text}")
            self.shared = True

    def _log_in(self, talk: Talk) -> bool:
        talk.ask(f"USER {self.owner}")
        ok, text = talk.ask(f"PASS {PASSWORD}")
        codes = ("[SYS/TEMP]", "[SYS/PERM]", "[IN-USE]")
        hold(ok or text.startswith(codes), f"a refusal without its code: {text}")
        idle_holder = self.takes_over and text.startswith("[IN-USE]")
        hold(not idle_holder, "an idle session was not ended")
        hold(ok or not self.must_read, f"a login that needs no room was refused: {text}")
        return ok

    def _say(self, talk: Talk, command: str) -> None:
        verb, _, argument = command.partition(" ")
        if verb == "QUIT":
            self._leave()
        ok, text = talk.ask(command)
        lines = talk.lines() if ok and (verb in ("RETR", "TOP") or command in LISTINGS) else []
        hold("incident" not in text, f"{command}: {text}")
        must = self.must_remove if verb == "QUIT" and self.marked else self.must_read
        hold(ok or not must, f"{command}, which needs no room, was refused: {text}")
        if verb == "QUIT":
            lost = self.taken and self.logged_in
            hold(not (ok and lost), "a session that was taken over has ended well")
            self._hear_of_quit(ok, text)
        elif ok:
            hold(self.logged_in, f"{command} was answered without a login")
            self._check(verb, argument, text, lines)

    def _leave(self) -> None:
        """Note that QUIT is said."""
        self.doomed, self.answer = frozenset(self.marked), Answer.OPEN

    def _hear_of_quit(self, ok: bool, text: str) -> None:  # as `Talk.answer` returns it
        nothing = "removed nothing" in text  # says the server
        self.answer = Answer.DONE if ok else Answer.NONE if nothing else Answer.REFUSED

    def _check(self, verb: str, argument: str, text: str, lines: list[bytes]) -> None:
        left = [n for n in range(1, len(self.messages) + 1) if n not in self.marked]
        match verb:
            case "STAT":
                hold(
                    text.partition(" ")[0] == str(len(left)), f"STAT counts {text}, not {len(left)}"
                )
            case "LIST" | "UIDL":
                numbers = [int(line.split()[0]) for line in lines]
                hold(numbers == left, f"{verb} shows {numbers}, not {left}")
                if verb == "UIDL":
                    self._know([line.split()[1] for line in lines], left)
            case "RETR":
                wire = reference.wire_lines(self.messages[int(argument) - 1])
                hold(lines == wire, f"RETR {argument} sent another message")
            case "TOP":
                wire = reference.wire_lines(self.messages[int(argument.partition(" ")[0]) - 1])
                hold(lines == wire[: len(lines)], f"TOP {argument} sent another message")
            case "DELE":
                self.marked.add(int(argument))
            case "RSET":
                self.marked.clear()

    def _know(self, uids: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Compare unique-ids with those that were listed before."""
        for uid, number in zip(uids, numbers, strict=True):
            known = self.uids.setdefault(self.messages[number - 1], uid)
            hold(known == uid, f"message {number} has another unique-id: {known!r}, {uid!r}")
        hold(len(set(self.uids.values())) == len(self.uids), "two messages share a unique-id")

    def check(self, there: Collection[bytes]) -> None:
        """Hold the promise against the messages that are on the disk. Raises BreachError."""
        counts = Counter(there)
        for number, message in enumerate(self.messages, 1):
            count = counts.pop(message, 0)
            hold(count <= 1, f"message {number} is there {count} times")
            if number not in self.doomed or self.answer is Answer.NONE or self.taken:
                hold(count == 1, f"message {number} is lost; the client was told: {self.answer}")
            elif self.answer is Answer.DONE:
                hold(count == 0, f"message {number} is there, but its removal was confirmed")
        hold(not counts, f"there is what nobody put there: {[m[:60] for m in counts]}")


LISTINGS = ("LIST", "UIDL", "CAPA")


def check_delivery(
    message: bytes, answers: Sequence[Answer], there: Collection[bytes], *, broken: bool
) -> None:
    """Hold the promise against the sender's reply at each try. Raises BreachError.

    A sender that got no answer tries again, so such a message may come twice: RFC 1047. On a disk
    that stays `broken` a delivery that failed cannot be undone, and may be there too.
    """
    counts = Counter(there)
    count = counts.pop(message, 0)
    done = answers.count(Answer.DONE)
    hold(count >= done, f"{done} deliveries were confirmed, {count} are there")
    most = done + answers.count(Answer.OPEN) + broken * answers.count(Answer.REFUSED)
    hold(count <= most, f"{count} are there, but the sender was told {answers}")
    hold(not counts, f"there is what nobody put there: {[m[:60] for m in counts]}")


def check_next(
    talk: Talk,
    there: Sequence[bytes],
    uids: dict[bytes, bytes],
    *,
    sizes: bool,
    delete: bool,
    owner: str = OWNER,
) -> None:
    """Hold a session in which nothing fails, with all that is there. Raises BreachError.

    `sizes`: those that LIST says must be right.
    """
    talk.greet()
    talk.ask(f"USER {owner}")
    for command in (f"PASS {PASSWORD}", "UIDL"):
        ok, text = talk.ask(command)
        hold(ok, f"the next session cannot go on: {command}: {text}")
    listed = [line.split()[1] for line in talk.lines()]
    hold(talk.ask("LIST")[0], "the next session cannot list")
    listed_sizes = [int(line.split()[1]) for line in talk.lines()]
    got = []
    for number, size in enumerate(listed_sizes, 1):
        ok, text = talk.ask(f"RETR {number}")
        hold(ok, f"the next session cannot read message {number}: {text}")
        got.append(talk.lines())
        octets = sum(len(line) + 2 for line in got[-1])
        hold(octets == size or not sizes, f"LIST says {size} octets, RETR sent {octets}")
        if delete:
            ok, text = talk.ask(f"DELE {number}")
            hold(ok, f"the next session cannot mark: {text}")
    hold(
        sorted(got) == sorted(reference.wire_lines(m) for m in there),
        "the next session got other mail",
    )
    for lines, uid in zip(got, listed, strict=True):
        known = next(
            (uids[m] for m in there if m in uids and reference.wire_lines(m) == lines), uid
        )
        hold(known == uid, f"a unique-id changed from {known!r} to {uid!r}")
    hold(talk.ask("QUIT")[0], "the next session cannot end")
