"""A session against a model: whatever is asked in whatever order, the answers agree.

rfc1939-s4/exclusive-lock, rfc1939-s4/numbering, rfc1939-s5/stat, rfc1939-s5/list, rfc1939-s5/retr,
rfc1939-s5/dele, rfc1939-s5/noop, rfc1939-s5/rset, rfc1939-s6/only-quit-removes,
rfc1939-s6/quit-removes-marked, rfc1939-s7/top, rfc1939-s7/uidl, policy/empty-message,
policy/number-replies, known-bug/marked-visible, known-bug/delete-early, known-bug/extra-reply.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol import reference
from support.world import Talk, World

messages = st.lists(
    st.sampled_from([b"a", b".", b"\n", b"\r\n", b"..\n", b"\xff\n", b"\n\n"]), max_size=12
).map(b"".join)
numbers = st.integers(0, 7)


class SessionModel(RuleBasedStateMachine):
    """The model is a list of messages, a set of marks, and what is on disk."""

    @initialize(mail=st.lists(messages, max_size=5))
    def begin(self, mail: list[bytes]) -> None:
        self.world = World()
        self.world.add("ann", "secret", *mail)
        self.kept = dict(self.world.mail["ann"])
        self.log_in(piece=0)

    @precondition(lambda self: not self.open)
    @rule(piece=st.integers(0, 5))
    def log_in(self, piece: int) -> None:
        self.uids, self.mail = list(self.kept), list(self.kept.values())
        self.marked: set[int] = set()
        self.talk = Talk(self.world, piece=piece)
        said = self.talk.send(b"USER ann\r\nPASS secret\r\n")
        assert said == b"+OK POP3 server ready.\r\n+OK\r\n+OK Logged in.\r\n"

    @property
    def open(self) -> bool:
        return hasattr(self, "talk") and not self.talk.over

    def left(self) -> list[int]:
        return [n for n in range(1, len(self.mail) + 1) if n not in self.marked]

    def size(self, number: int) -> int:
        return reference.size(self.mail[number - 1])

    def uid(self, number: int) -> bytes:
        return self.uids[number - 1].encode()

    def refusal(self, number: int) -> bytes | None:
        if not 1 <= number <= len(self.mail):
            return b"-ERR There's no message %d.\r\n" % number
        return b"-ERR Message is deleted.\r\n" if number in self.marked else None

    @precondition(lambda self: self.open)
    @rule()
    def stat(self) -> None:
        sizes = [self.size(n) for n in self.left()]
        assert self.talk.send(b"STAT\r\n") == b"+OK %d %d\r\n" % (len(sizes), sum(sizes))

    @precondition(lambda self: self.open)
    @rule()
    def list_all(self) -> None:
        lines = b"".join(b"%d %d\r\n" % (n, self.size(n)) for n in self.left())
        said = self.talk.send(b"LIST\r\n")
        assert said == b"+OK %d messages:\r\n%s.\r\n" % (len(self.left()), lines)

    @precondition(lambda self: self.open)
    @rule()
    def uidl_all(self) -> None:
        lines = b"".join(b"%d %s\r\n" % (n, self.uid(n)) for n in self.left())
        assert self.talk.send(b"UIDL\r\n") == b"+OK\r\n%s.\r\n" % lines

    @precondition(lambda self: self.open)
    @rule(number=numbers)
    def list_one(self, number: int) -> None:
        said = self.talk.send(b"LIST %d\r\n" % number)
        assert said == (self.refusal(number) or b"+OK %d %d\r\n" % (number, self.size(number)))

    @precondition(lambda self: self.open)
    @rule(number=numbers)
    def uidl_one(self, number: int) -> None:
        said = self.talk.send(b"UIDL %d\r\n" % number)
        assert said == (self.refusal(number) or b"+OK %d %s\r\n" % (number, self.uid(number)))

    @precondition(lambda self: self.open)
    @rule(number=numbers)
    def retr(self, number: int) -> None:
        said = self.talk.send(b"RETR %d\r\n" % number)
        if refusal := self.refusal(number):
            assert said == refusal
        else:
            status = b"+OK %d octets\r\n" % self.size(number)
            assert said == status + reference.retr(self.mail[number - 1])

    @precondition(lambda self: self.open)
    @rule(number=numbers, lines=st.integers(0, 4))
    def top(self, number: int, lines: int) -> None:
        said = self.talk.send(b"TOP %d %d\r\n" % (number, lines))
        if refusal := self.refusal(number):
            assert said == refusal
        else:
            assert said == b"+OK\r\n" + reference.top(self.mail[number - 1], lines)

    @precondition(lambda self: self.open)
    @rule(number=numbers)
    def dele(self, number: int) -> None:
        said = self.talk.send(b"DELE %d\r\n" % number)
        assert said == (self.refusal(number) or b"+OK Marked to be deleted.\r\n")
        if 1 <= number <= len(self.mail):
            self.marked.add(number)

    @precondition(lambda self: self.open)
    @rule()
    def rset(self) -> None:
        assert self.talk.send(b"RSET\r\n") == b"+OK\r\n"
        self.marked.clear()

    @precondition(lambda self: self.open)
    @rule(line=st.sampled_from([b"NOOP", b"HELO x", b"USER ann", b"\xff", b"x" * 300, b"LIST x"]))
    def something_that_changes_nothing(self, line: bytes) -> None:
        said = self.talk.send(line + b"\r\n")
        assert said.count(b"\r\n") == 1
        assert said.startswith(b"+OK" if line == b"NOOP" else b"-ERR")

    @precondition(lambda self: self.open)
    @rule()
    def quit(self) -> None:
        assert self.talk.send(b"QUIT\r\n") == b"+OK Logging out.\r\n"
        self.kept = {self.uids[n - 1]: self.mail[n - 1] for n in self.left()}
        assert self.world.mail["ann"] == self.kept
        assert not self.world.locked

    @precondition(lambda self: self.open)
    @rule()
    def hang_up(self) -> None:
        self.talk.hang_up()
        self.talk.over = True

    @invariant()
    def only_quit_removes_anything(self) -> None:
        if hasattr(self, "kept"):
            assert self.world.mail["ann"] == self.kept


TestSessionModel = SessionModel.TestCase
