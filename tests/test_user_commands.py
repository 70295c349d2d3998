"""Commands of settings are split as users expect it, without a shell."""

from __future__ import annotations

import pytest

from restante import user_commands
from restante.user_commands import split_command


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pass show mail/work", ["pass", "show", "mail/work"]),
        ("sh -c 'cat ~/a | head -1'", ["sh", "-c", "cat ~/a | head -1"]),
        ("a '|' \"x;$y\" '> b' \\| c&d a$ $5", ["a", "|", "x;$y", "> b", "|", "c&d", "a$", "$5"]),
        ("~/bin/print ~/a a~/b ~ann/c", ["/home/ann/bin/print", "/home/ann/a", "a~/b", "~ann/c"]),
    ],
)
def test_words(command: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes hold words together, and `~/` at the beginning of a word is the home folder."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert split_command(command) == words


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (" ", "it is empty"),
        ("a 'b", "a quote is not closed"),
        ("pass show mail | head -1", r"it has '\|', but no shell runs it; write sh -c"),
        ("a 'b'|c", r"it has '\|'"),
        ("a || b", r"it has '\|\|'"),
        ("echo x; exit 3", "it has ';'"),
        ("a && b", "it has '&&'"),
        ("a b &", "it has '&'"),
        ("gpg -d file 2>/dev/null", "it has '>'"),
        ("cat < file", "it has '<'"),
        ("cat >> file", "it has '>>'"),
        ("echo $PASSWORD", r"it has '\$P'"),
        ("echo $(cat x)", r"it has '\$\('"),
        ("echo `cat x`", "it has '`'"),
    ],
)
def test_no_command(command: str, said: str) -> None:
    """A command line that cannot be split is an error that says why."""
    with pytest.raises(ValueError, match=said):
        split_command(command)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "it is empty"),
        ("/nowhere hunter22", "/nowhere: No such file or directory; check the path"),
        ("sh -c 'echo hunter22; exit 3'", "sh ended with exit code 3"),
        ("sh -c 'echo hunter22; kill -TERM $$'", "sh ended with SIGTERM"),
        ("sh -c 'echo hunter22; kill -40 $$'", "sh ended with signal 40"),
    ],
)
def test_a_command_that_fails(command: str, reason: str) -> None:
    """A command that fails is an error that says how, and not what it printed."""
    with pytest.raises(ValueError, match=r"^key_command failed: ") as caught:
        user_commands.read_output(command, "key_command")
    assert str(caught.value) == f"key_command failed: {reason}"


def test_a_command_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that does not end is an error."""
    monkeypatch.setattr(user_commands, "SECONDS", 0.1)
    with pytest.raises(ValueError, match=r"sleep did not end within 0\.1 seconds"):
        user_commands.read_output("sleep 60", "password_command")


def test_a_command_that_prints_without_end() -> None:
    """A command that prints more than a secret is killed."""
    with pytest.raises(ValueError, match="it printed more than 65536 octets"):
        user_commands.read_output("yes", "password_command")


def test_what_a_command_prints() -> None:
    """All that a command prints is returned, also in several pieces."""
    printed = user_commands.read_output("sh -c 'printf hunter; sleep 0.01; echo 22'", "key_command")
    assert printed == b"hunter22\n"
