"""The imports of a command. Modules are counted, not time, so the result is always the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from restante.cli.main import SUBCOMMANDS, main
from support.live import serving

HEAVY = {
    "anyio",
    "asyncio",
    "concurrent",
    "cryptography",
    "dns",
    "email",
    "hashlib",
    "httpx",
    "idna",
    "json",
    "logging",
    "msgspec",
    "prompt_toolkit",
    "rich",
    "scramp",
    "secrets",
    "socket",
    "ssl",
    "structlog",
    "tempfile",
    "tomllib",
    "uvloop",
}
RUN = """
import sys
sys.argv = ["pop3", *sys.argv[1:]]
from restante.cli.program import run
try:
    run()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def imported(*words: str, password: str = "", code: int = 0) -> set[str]:
    """Return the names of all modules that a run of pop3 imports, which exits with a code."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        input="Subject: a\n",
        capture_output=True,
        text=True,
        check=False,
        env={"POP3_PASSWORD": password},
    )
    assert ran.returncode == code, ran.stderr
    return set(ran.stderr.splitlines()[-1].split())


def test_help_imports_no_subcommand_and_nothing_heavy() -> None:
    """`pop3 --help` needs the names and summaries only."""
    modules = imported("--help")
    assert not HEAVY & modules
    assert not [name for name in modules if name.startswith("restante.cli.commands")]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_the_summary_is_that_of_the_command(name: str) -> None:
    """The summary in `pop3 --help` is the first sentence of the command's own help."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.get_short_help_str(limit=100) == SUBCOMMANDS[name].summary


def test_completion_imports_no_subcommand() -> None:
    """Completing the name of a subcommand reads the summaries only."""
    found = [item.value for item in main.shell_complete(click.Context(main), "ch")]
    assert found == ["check"]


def test_explain_imports_no_network() -> None:
    """Text alone needs neither TLS nor the client."""
    for words in (["explain", "auth-failed"], ["explain"], ["check", "--help"], ["ls", "--help"]):
        modules = imported(*words)
        assert not HEAVY & modules, words


def test_check_imports_only_what_it_uses() -> None:
    """`pop3 check` of an address in clear text needs no discovery, no event loop and no TLS."""
    with serving() as live:
        live.add("ann", "hunter22", b"Subject: one\n\nhello\n")
        modules = imported("check", f"pop3://ann@localhost:{live.port}", password="hunter22")
    unused = (HEAVY | {"bz2", "shlex", "shutil", "textwrap"}) - {"socket"}
    assert not unused & modules, unused & modules
    assert not [name for name in modules if name.startswith("restante.server.")]
    for unused_part in ("restante.client.scram", "restante.diagnosis.explanations"):
        assert unused_part not in modules
    assert len([name for name in modules if name.startswith("restante")]) <= 84


def test_a_check_that_fails_imports_no_sign_in() -> None:
    """A wrong password is explained with the advice of providers, without what a sign-in needs."""
    with serving() as live:
        live.add("ann", "hunter22")
        server = f"pop.example.com:{live.port}"
        words = ("check", f"pop3://ann@{server}", "--insecure-plaintext", "--resolve")
        modules = imported(*words, f"{server}:127.0.0.1", password="wrong", code=7)
    assert "restante.oauth.providers" in modules
    for unused in ("http", "httpcore", "httpx", "ssl", "hashlib", "json", "tempfile", "zipfile"):
        assert unused not in modules


def test_fetch_into_a_maildir_imports_no_server(tmp_path: Path) -> None:
    """`pop3 fetch` needs neither an event loop, nor the email package, nor the server's protocol."""
    with serving() as live:
        live.add("ann", "hunter22", b"Subject: one\n\nhello\n")
        modules = imported(
            *("fetch", f"pop3://ann@127.0.0.1:{live.port}", "--to", f"maildir:{tmp_path}/mail"),
            *("--state", f"{tmp_path}/fetch.db"),
            password="hunter22",
        )
    assert not modules & {"asyncio", "email", "json", "random", "ssl", "tomllib", "cryptography"}
    assert not [name for name in modules if name.startswith("restante.protocol.server")]
    assert list((tmp_path / "mail/new").iterdir())


def test_deliver_imports_no_server(tmp_path: Path) -> None:
    """An MTA runs `pop3 deliver` for each message: it needs neither connections nor TLS."""
    (tmp_path / "users").write_text(f"ann:$6$saltsalt${'x' * 86}\n")
    (tmp_path / "mail").mkdir()
    modules = imported(
        "deliver", "ann", "--mail", f"{tmp_path}/mail", "--users", f"{tmp_path}/users"
    )
    assert "restante.storage.maildir" in modules
    for unused in (
        *("restante.server.connection", "restante.server.tls", "restante.server.context"),
        *("restante.delivery.listener", "restante.storage.mbox", "cryptography", "uvloop"),
    ):
        assert unused not in modules
    assert list((tmp_path / "mail/ann/new").iterdir())


AT_FIRST_LINE = """
import io
import sys

class Output(io.TextIOWrapper):
    def write(self, text):
        print(*sys.modules, file=sys.stderr)
        return super().write(text)

sys.stdout = Output(sys.stdout.buffer, line_buffering=True)
"""


def test_dev_imports_only_what_it_uses() -> None:
    """`pop3 dev` needs no log, no SCRAM and no catalogue of faults before its first line."""
    ports = [word for name in ("", "tls-", "smtp-", "web-") for word in (f"--{name}port", "0")]
    with subprocess.Popen(
        [sys.executable, "-c", AT_FIRST_LINE + RUN, "dev", *ports],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://")
        process.terminate()
        _, errors = process.communicate(timeout=30)
    modules = set(errors.splitlines()[0].split())
    late = {"structlog", "rich", "scramp", "restante.misbehave.catalogue"}
    assert modules & {*late, "starlette"} == {"starlette"}
