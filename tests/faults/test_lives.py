"""The whole command, `pop3 serve`, killed again and again while mail comes and goes.

rfc1939-s6/only-quit-removes, rfc1939-s6/quit-removes-marked, implied/broken-connection,
implied/durable-quit. Here the kill falls where it will: tests/faults/test_faults.py has one at each
call.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from faults.boxes import BOXES
from faults.client import LostError, Talk
from faults.model import Model
from faults.promise import Answer
from faults.senders import TRACE, by_lmtp
from faults.stores import OWNER
from support.process import POP3, Served, serving

LIVES = 4 if "RESTANTE_ALL_FAULTS" not in os.environ else 15
MESSAGES = 4  # that come in each
PASSWORD = "hunter22"


@pytest.mark.parametrize("box", BOXES)
def test_repeated_kills_lose_nothing(
    tmp_path: Path, box: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that is killed repeatedly loses nothing."""
    command: list[str | Path] = [
        POP3,
        "user",
        "add",
        OWNER,
        "--password-stdin",
        "--users",
        tmp_path / "users",
    ]
    subprocess.run(command, input=PASSWORD.encode(), check=True, capture_output=True)
    life = Life(tmp_path, Model())
    for number in range(LIVES + 1):
        with serving(tmp_path, "--lmtp", tmp_path / "lmtp", "--format", box) as served:
            life.see(served)
            life.end(served, milliseconds=number % 6 * 7)
    told = f"{box}: {LIVES} lives of pop3 serve, {life.answers} answers before the kill"
    with capsys.disabled():
        print(f"\n{told}")  # noqa: T201  # how much was tried is what this proves


class Life:
    """The actions of the clients of one life."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder = folder
        self.model = model
        self.answers = 0

    def see(self, served: Served) -> None:
        """Log in, compare what is there with the model, and mark every second message."""
        self.talk = Talk(socket.create_connection(("127.0.0.1", served.port), 60))
        self.talk.greet()
        self.talk.ask(f"USER {OWNER}")
        ok, text = self.talk.ask(f"PASS {PASSWORD}")
        assert ok, text
        assert self.talk.ask("UIDL")[0]
        uids = [line.split()[1] for line in self.talk.lines()]
        shown = []
        for number in range(1, len(uids) + 1):
            assert self.talk.ask(f"RETR {number}")[0]
            shown.append(self.model.known(self.talk.lines()))
        self.model.log_in(shown, uids)
        for number in range(1, len(uids) + 1, 2):
            assert self.talk.ask(f"DELE {number}")[0]
            self.model.marked.add(number)

    def end(self, served: Served, milliseconds: int) -> None:
        """Kill the server while mail comes in and a session ends."""
        killer = threading.Timer(milliseconds / 1000, served.process.kill)
        with contextlib.closing(self.talk):
            self.talk.send("QUIT")
            killer.start()
            for _ in range(MESSAGES):
                self.bring()
            try:
                granted, text = self.talk.answer()
                assert granted, text
            except LostError:
                granted = False
        self.model.quit(answered=granted)
        self.answers += granted
        killer.join()
        served.process.wait()

    def bring(self) -> None:
        message = self.model.next_message(b"0123456789abcde\n" * 1000, TRACE["lmtp"])
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.folder / "lmtp"))
            except OSError:
                return
            answer = by_lmtp(connection, message.removeprefix(TRACE["lmtp"]))
        self.model.brought(message, answer)
        self.answers += answer is Answer.DONE
