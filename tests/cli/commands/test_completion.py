"""`pop3 completion`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pexpect
import pytest

from support.live import PATIENCE
from support.process import POP3
from support.programs import need


def script(shell: str) -> str:
    command: list[str | Path] = [POP3, "completion", shell]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell: str) -> None:
    """Each shell gets a completion script of its own."""
    assert f"_POP3_COMPLETE={shell}_complete" in script(shell)


def test_zsh_gets_compdef() -> None:
    """A zsh that has not started its completion does so, and one that has does not do it again."""
    before = script("zsh").partition("    compdef _pop3_completion pop3\n")[0]
    assert before.endswith(
        "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"
    )


def test_fish_keeps_commas() -> None:
    """In fish, the description of a subcommand is not cut at a comma."""
    assert 'string split --max 1 "," $completion' in script("fish")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("pop3 expi", "re "), ("pop3 she", "ll "), ("pop3 shell --insecure-", "plaintext ")],
)
def test_bash_completes_by_tab(typed: str, completed: str) -> None:
    """In bash, Tab completes subcommands and options."""
    program = need("bash")
    environment = {**os.environ, "PATH": f"{POP3.parent}:{os.environ['PATH']}", "TERM": "dumb"}
    bash = pexpect.spawn(
        program,
        ["--norc", "--noprofile", "-i"],
        env=environment,
        timeout=PATIENCE,
        encoding="utf-8",
    )
    bash.sendline("PS1='ready'; bind 'set enable-bracketed-paste off'")
    bash.expect_exact("ready")
    bash.sendline('eval "$(pop3 completion bash)"; PS1="now"" >"')
    bash.expect_exact("now >")
    bash.send(f"{typed}\t")
    bash.expect_exact(f"{typed}{completed}")
    bash.close(force=True)
