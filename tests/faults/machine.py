"""Several clients, deliveries, other programs, kills and restarts, at random, against a model.

Run as `python -m faults.machine BOX EXAMPLES` with the shim preloaded: EXAMPLES is how many are
tried, the same each time, or others each time with a third argument `random`. Prints their number.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from faults.boxes import BOXES
from faults.client import LostError, Talk
from faults.host import PASSWORD, Child
from faults.model import Model
from faults.promise import Answer
from faults.senders import TRACE, Way, by_lmtp
from faults.shim import Fault, Plan, Shim
from faults.stores import OWNER, Box
from protocol import reference
from restante.storage.memory import MemoryStore
from support.live import PATIENCE

clients = st.integers(0, 2)
numbers = st.integers(1, 5)
places = st.integers(0, 9)  # in a list, counted round
calls = st.integers(1, 30)
ways: st.SearchStrategy[Way] = st.sampled_from(["store", "lmtp"])
bodies = st.sampled_from(
    [b"", b"a line\n", b".\n..\nno end", b"dos\r\n", b"0123456789abcde\n" * 20_000]
)

tried: Counter[str] = Counter()


class Mail(RuleBasedStateMachine):
    """The model says what must be there, what may be, and what each session was shown."""

    box: Box | None  # None: in memory, so that nothing outlives a kill, nor can others come at it

    def __init__(self) -> None:
        super().__init__()
        tried["examples"] += 1
        self.root = Path(tempfile.mkdtemp())
        self.model = Model()
        self.talks: dict[int, Talk] = {}
        self.shim = Shim()
        self.start()

    def start(self) -> None:
        """Start the server."""
        self.shim.plan(self.root, Plan())
        store = self.box.store if self.box else lambda _: MemoryStore()
        self.server = Child(self.root, store, self.shim)

    def teardown(self) -> None:
        if self.box:
            self.kill()
            tried["kills"] -= 1  # this one was none of the example
        elif self.talks:
            self.hang_up()
        self.log_in(0)
        self.server.end()
        shutil.rmtree(self.root)

    @rule(body=bodies, way=ways)
    def deliver(self, body: bytes, way: Way) -> None:
        message = self.model.next_message(body, TRACE[way])
        assert self.bring(message, way) is Answer.DONE
        self.model.brought(message, Answer.DONE)

    def bring(self, message: bytes, way: Way) -> Answer:
        if way == "lmtp":
            return by_lmtp(self.server.connect_lmtp(), message.removeprefix(TRACE[way]))
        return Answer.OPEN if self.server.ask("deliver", message) is None else Answer.DONE

    @precondition(lambda self: self.box)
    @rule(body=bodies)
    def other_program_delivers(self, body: bytes) -> None:
        assert self.box
        message = self.model.next_message(body)
        self.box.put(self.root, message)
        self.model.there.add(message)

    @precondition(lambda self: self.box)
    @rule(place=places)
    def other_program_flags(self, place: int) -> None:
        assert self.box
        there = sorted(self.model.there)
        if there:
            self.box.change(self.root, there[place % len(there)], "flag")

    @precondition(lambda self: self.box and self.box.a_file_each)
    @rule(place=places, how=st.sampled_from(["link", "add", "rename", "rebase"]))
    def other_program_renames(self, place: int, how: str) -> None:
        assert self.box
        there = sorted(self.model.there)
        if there:
            self.box.change(self.root, there[place % len(there)], how)
            self.model.renamed(there[place % len(there)])

    @rule(client=clients)
    def log_in(self, client: int) -> None:
        if client in self.talks:
            return
        talk = Talk(self.server.connect())
        talk.greet()
        talk.ask(f"USER {OWNER}")
        ok, text = talk.ask(f"PASS {PASSWORD}")
        if self.talks:
            assert not ok
            assert text.startswith("[IN-USE]"), text
            talk.close()
            self.settle()
            return
        assert ok, text
        assert talk.ask("UIDL")[0]
        uids = [line.split()[1] for line in talk.lines()]
        shown = [self.fetch(talk, number) for number in range(1, len(uids) + 1)]
        self.model.log_in(shown, uids)
        self.talks[client] = talk

    def fetch(self, talk: Talk, number: int) -> bytes:
        assert talk.ask(f"RETR {number}")[0]
        return self.model.known(talk.lines())

    @precondition(lambda self: self.talks)
    @rule(number=numbers)
    def mark(self, number: int) -> None:
        ok, _ = self.talk.ask(f"DELE {number}")
        assert ok is self.model.has(number)
        if ok:
            self.model.marked.add(number)

    @precondition(lambda self: self.talks)
    @rule(number=numbers)
    def read(self, number: int) -> None:
        ok, _ = self.talk.ask(f"RETR {number}")
        assert ok is self.model.has(number)
        if ok:
            assert self.talk.lines() == reference.wire_lines(self.model.shown[number - 1])

    @precondition(lambda self: self.talks)
    @rule()
    def take_marks_away(self) -> None:
        assert self.talk.ask("RSET")[0]
        self.model.marked.clear()

    @precondition(lambda self: self.talks)
    @rule()
    def quit(self) -> None:
        ok, text = self.talk.ask("QUIT")
        assert ok, text
        self.model.quit(answered=True)
        self.leave()

    @precondition(lambda self: self.talks)
    @rule()
    def hang_up(self) -> None:
        self.model.marked.clear()
        self.leave()

    @precondition(lambda self: self.box)
    @rule()
    def kill(self) -> None:
        """Kill the server while it does nothing, and start it again."""
        tried["kills"] += 1
        self.server.end()
        for talk in self.talks.values():
            talk.close()
        self.talks.clear()
        self.model.marked.clear()
        self.start()

    @precondition(lambda self: self.box and self.talks)
    @rule(call=calls)
    def quit_and_kill(self, call: int) -> None:
        """Kill it at one of the calls with which it carries out a QUIT, or after all of them."""
        self.shim.plan(self.root, Plan(call, Fault.KILL_BEFORE))
        try:
            answered, text = self.talk.ask("QUIT")
            assert answered, text
        except LostError:
            answered = False
        self.model.quit(answered=answered)
        self.kill()

    @precondition(lambda self: self.box)
    @rule(body=bodies, way=ways, call=calls)
    def deliver_and_kill(self, body: bytes, way: Way, call: int) -> None:
        """Kill it at one of the calls of a delivery, or after all of them."""
        message = self.model.next_message(body, TRACE[way])
        self.shim.plan(self.root, Plan(call, Fault.KILL_BEFORE))
        self.model.brought(message, self.bring(message, way))
        self.kill()

    @property
    def talk(self) -> Talk:
        (talk,) = self.talks.values()
        return talk

    def leave(self) -> None:
        self.talk.close()
        self.talks.clear()
        self.settle()

    @invariant()
    def count(self) -> None:
        tried["steps"] += 1

    def settle(self) -> None:
        """Wait until the server knows which clients are gone."""
        deadline = time.monotonic() + PATIENCE
        while (self.server.ask("look") or {})["sessions"] != len(self.talks):
            assert time.monotonic() < deadline
            time.sleep(0.001)


def main(box: str, examples: str, how: str = "") -> None:
    """Try a number of examples on one kind of store."""
    Mail.box = BOXES.get(box)
    profile = settings(
        max_examples=int(examples),
        stateful_step_count=30,
        derandomize=how != "random",
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(Mail, settings=profile)
    print(f"{box}: {tried['examples']} examples, {tried['steps']} steps, {tried['kills']} kills")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
