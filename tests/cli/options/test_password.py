"""The question for the password, in a terminal."""

from __future__ import annotations

import os
import sys
import threading
import types

import click
import pexpect
import pytest

from restante.cli.options.password import password_getter
from restante.client.options import Target
from restante.oauth import keyring_entries
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


KEYRING = {
    "password": None, "password_command": None, "password_file": None, "password_stdin": False,
    "netrc": False, "keyring": True,
}  # fmt: skip
TARGET = Target("pop.example.com", 995, "implicit", "ann")


def keyring_with(get_password: object) -> types.ModuleType:
    made = types.ModuleType("keyring")
    made.get_password = get_password  # type: ignore[attr-defined]
    return made


def test_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is that of the host and the user; without it, the error names both."""
    kept = {("pop.example.com", "ann"): "hunter22"}
    monkeypatch.setitem(sys.modules, "keyring", keyring_with(lambda *key: kept.get(key)))
    assert password_getter({**KEYRING}, lambda: TARGET)() == "hunter22"
    kept.clear()
    with pytest.raises(click.UsageError, match=r"no password for ann at pop\.example\.com"):
        password_getter({**KEYRING}, lambda: TARGET)()


def test_option_before_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password in the environment may be another account's, so an option goes before it."""
    monkeypatch.setenv("POP3_PASSWORD", "another's")
    monkeypatch.setitem(sys.modules, "keyring", keyring_with(lambda *_: "hunter22"))
    assert password_getter({**KEYRING}, lambda: TARGET)() == "hunter22"


def test_two_options() -> None:
    """Two options for the password are an error: one would be ignored in silence."""
    with pytest.raises(click.UsageError, match="exclude each other"):
        password_getter({**KEYRING, "password_stdin": True}, lambda: TARGET)


def test_keyring_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring that is locked is an error with what to do, and without its words."""

    def fail(*_: str) -> str:
        raise RuntimeError("hunter22 is locked")

    monkeypatch.setitem(sys.modules, "keyring", keyring_with(fail))
    with pytest.raises(click.UsageError, match=r"\(RuntimeError\); unlock it, or use") as caught:
        password_getter({**KEYRING}, lambda: TARGET)()
    assert "hunter22" not in caught.value.message


def test_keyring_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring that never answers ends no command but with an error."""
    done = threading.Event()
    monkeypatch.setattr(keyring_entries, "UNLOCK_SECONDS", 0.05)
    monkeypatch.setitem(sys.modules, "keyring", keyring_with(lambda *_: done.wait()))
    try:
        with pytest.raises(click.UsageError, match="did not answer within"):
            password_getter({**KEYRING}, lambda: TARGET)()
    finally:
        done.set()


def test_keyring_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the error names the command that installs it."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(click.UsageError, match="run pip install"):
        password_getter({**KEYRING}, lambda: TARGET)()
