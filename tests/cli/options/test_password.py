"""The question for the password, in a terminal."""

from __future__ import annotations

import os

import pexpect
import pytest

from support.faulty_server import faulty_server
from support.live import PATIENCE
from support.process import POP3

CTRL_C, CTRL_D = "\x03", "\x04"


def at_prompt(key: str, *words: str) -> tuple[int, str]:
    """Run `pop3` in a terminal, press a key where it asks for the password; the code and all."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("POP3_", "XDG_"))}
    child: pexpect.spawn[str] = pexpect.spawn(
        str(POP3), list(words), env=environment, dimensions=(40, 80), timeout=PATIENCE,
        encoding="utf-8",
    )  # fmt: skip
    child.expect_exact("Password of ")
    child.expect_exact(": ")
    child.send(key)
    child.expect(pexpect.EOF)
    said = child.before or ""
    child.close()
    assert child.exitstatus is not None
    return child.exitstatus, said


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])
@pytest.mark.parametrize("words", [["check"], ["ls"], ["rm"], ["verify"]], ids=lambda w: w[0])
def test_who_breaks_off_at_the_prompt_gets_130(words: list[str], key: str) -> None:
    """Ctrl-C or Ctrl-D at the password prompt exits with 130, without a traceback."""
    with faulty_server() as running:
        code, said = at_prompt(key, *words, running.url, *(["1"] if words == ["rm"] else []))
    assert code == 130, said
    assert "nothing was deleted" in said
    assert "Traceback" not in said
