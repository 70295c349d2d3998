"""The real command in a real terminal, and a server with small messages."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pexpect

from restante.misbehave.conversation import Alteration
from restante.misbehave.driver import FaultyServer
from support.faulty_server import faulty_server
from support.live import PATIENCE
from support.process import POP3

PASSWORD = "restante"
KEPT = ("PATH", "LANG", "COVERAGE")  # of the environment, beside what a test says
ENTER, TAB, CTRL_C, CTRL_D = "\r", "\t", "\x03", "\x04"

ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[=>])")


def environment(home: Path, password: str | None = PASSWORD) -> dict[str, str]:
    given = {} if password is None else {"POP3_PASSWORD": password}
    return given | {
        **{name: os.environ[name] for name in os.environ if name.startswith(KEPT)},
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "TERM": "xterm",
        "NO_COLOR": "1",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
        "PROMPT_TOOLKIT_NO_CPR": "1",  # this terminal does not report the cursor's position
    }


class Terminal:
    """A person at `pop3 shell`."""

    def __init__(
        self, url: str, home: Path, password: str | None = PASSWORD, options: Sequence[str] = ()
    ) -> None:
        self.child: pexpect.spawn[str] = pexpect.spawn(
            str(POP3),
            ["shell", url, *options],
            env=environment(home, password),
            cwd=home,
            dimensions=(40, 100),
            timeout=PATIENCE,
            encoding="utf-8",
        )
        self.said = self.banner = ""

    def expect(self, text: str) -> str:
        """Wait for a text, and return what came before it, without escapes."""
        self.child.expect_exact(text)
        before = self.child.before or ""
        self.said += before + text
        return ESCAPES.sub("", before)

    def see(self, text: str) -> None:
        """Wait for characters as they are drawn: escapes may stand between them."""
        escape = f"(?:{ESCAPES.pattern})"
        drawn = f"{escape}*".join(map(re.escape, text))
        self.child.expect(rf"\A(?:{escape}|[^\x1b])*?{drawn}")
        self.said += str(self.child.after)

    def type(self, line: str) -> None:
        """Type a line when the prompt is there; the caller has waited for it."""
        self.child.send(line + ENTER)

    def press(self, key: str) -> None:
        self.child.send(key)

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        self.child.expect(pexpect.EOF)
        self.said += self.child.before or ""
        self.child.close()
        assert self.child.exitstatus is not None
        return self.child.exitstatus


def play(
    url: str, home: Path, *lines: str, password: str | None = PASSWORD, flags: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Pipe a script into the command."""
    return subprocess.run(
        [POP3, "shell", url, *flags],
        input="".join(f"{line}\n" for line in lines),
        env=environment(home, password),
        cwd=home,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


SMALL = b"Subject: Hello\r\n\r\n\r\n"


def small_server(*faults: str | Alteration, count: int = 2) -> FaultyServer:
    """Return a server with messages of 20 octets, and with ann's account."""
    return faulty_server(*faults, messages=(SMALL,) * count, password=PASSWORD)
