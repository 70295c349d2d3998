"""Rules, filters and notify of accounts.toml, by the command."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from restante import testing
from restante.cli.fetching.destination_passwords import DestinationPasswords
from restante.cli.fetching.rules import open_with_rules
from restante.cli.options.fetch_settings import FetchSettings
from restante.fetch.destinations.urls import DestinationSettings, open_destination
from restante.testing import MemoryServer
from support.process import POP3

PLAIN = b"Subject: a\nMessage-ID: <a@x>\n\nplain\n"
LIST = b"List-Id: <dev.example.org>\nSubject: b\nMessage-ID: <b@x>\n\nlist\n"
SPAM = b"Subject: buy\nMessage-ID: <c@x>\n\nspam\n"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with testing.serving() as server:
        yield server


@pytest.fixture
def fetch(server: MemoryServer, tmp_path: Path) -> Run:
    """Return what runs `pop3 fetch` with a table for three new messages."""
    server.add(tmp_path.name, "secret", PLAIN, LIST, SPAM)

    def run(table: str, *words: str) -> subprocess.CompletedProcess[str]:
        config = tmp_path / "config" / "restante"
        config.mkdir(parents=True, exist_ok=True)
        (config / "accounts.toml").write_text(
            f'[work]\naccount = "pop3://{tmp_path.name}@{server.host}:{server.port}"\n'
            'password_command = "echo secret"\n'
            f'[work.fetch]\nto = "maildir:{tmp_path}/inbox"\n{table}'
        )
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        }
        command: list[str | Path] = [POP3, "fetch", "--insecure", "work", *words]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def _mail(folder: Path) -> list[bytes]:
    new = folder / "new"
    return sorted(file.read_bytes() for file in new.iterdir()) if new.exists() else []


def test_rules_without_their_destination(fetch: Run, tmp_path: Path) -> None:
    """With --to, no rule sends a message to another place."""
    rule = f'[[work.fetch.rule]]\nif = {{ header = "List-Id" }}\nto = "maildir:{tmp_path}/dev"\n'
    assert fetch(rule, "--to", f"maildir:{tmp_path}/all").returncode == 0
    assert [len(_mail(tmp_path / name)) for name in ("all", "dev", "inbox")] == [3, 0, 0]


def test_trace_fields_are_no_condition(fetch: Run, tmp_path: Path) -> None:
    """Rules go by the fields of the source, and its destinations add those of `trace`."""
    rule = f'[[work.fetch.rule]]\nif = {{ header = "Received" }}\nto = "maildir:{tmp_path}/other"\n'
    assert fetch(f"trace = true\n{rule}").returncode == 0
    assert [octets.startswith(b"Delivered-To: ") for octets in _mail(tmp_path / "inbox")] == [
        True
    ] * 3


def test_the_page_is_valid(tmp_path: Path) -> None:
    """Each table of the page about destinations is accepted, and its destinations can be made."""
    page = Path(__file__).parents[3] / "docs/reference/fetch-destinations.md"
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    settings = DestinationSettings(tmp_path)
    for block in blocks:
        for entry in tomllib.loads(block).values():
            table = msgspec.convert(entry["fetch"], FetchSettings)
            passwords = DestinationPasswords(table.to_password_command).find
            used = replace(
                settings,
                find_password=passwords,
                envelope=table.envelope,
                addresses=table.addresses,
            )
            made = [open_destination(url, used) for url in table.destinations]
            if table.rule:
                open_with_rules(made, table.rule, used)
    assert len(blocks) == 3


def test_rules(fetch: Run, tmp_path: Path) -> None:
    """A filter marks spam, rules sort what it marked, and the rest goes to the account's folder."""
    done = fetch(
        "[[work.fetch.rule]]\n"
        'if = { header = "Subject", is = "BUY" }\n'
        "filter = \"sh -c 'echo X-Spam-Flag: YES; cat'\"\n"
        "[[work.fetch.rule]]\n"
        'if = { header = "X-Spam-Flag", has = "yes" }\n'
        f'to = "maildir:{tmp_path}/spam"\n'
        "[[work.fetch.rule]]\n"
        'if = { header = "List-Id", has = "dev" }\n'
        f'to = "maildir:{tmp_path}/dev"\n'
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 new" in done.stdout
    assert _mail(tmp_path / "inbox") == [PLAIN]
    assert _mail(tmp_path / "dev") == [LIST]
    assert _mail(tmp_path / "spam") == [b"X-Spam-Flag: YES\n" + SPAM]


def test_a_filter_that_fails(fetch: Run, tmp_path: Path) -> None:
    """A filter that rejects one message parks it, and the others arrive."""
    done = fetch(
        '[[work.fetch.rule]]\nif = { header = "List-Id" }\nfilter = "sh -c \'echo bad; exit 3\'"\n'
    )
    assert done.returncode == 1
    assert "the filter sh ended with exit code 3" in done.stdout
    assert _mail(tmp_path / "inbox") == sorted([PLAIN, SPAM])


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("", "rule 1 has neither to nor filter"),
        ('to = "ftp:x"', "rule 1: .*is not a destination"),
        ('to = "mbox:x"\nallow_drop = true', "allow_drop, which only a filter can have"),
        ('filter = "sh -c \'"', "rule 1: a quote is not closed"),
        ('if = { has = "a" }\nto = "mbox:x"', "`header`"),
        ('if = { header = "a", matches = "a" }\nto = "mbox:x"', "matches is not"),
    ],
)
def test_invalid_rules(fetch: Run, rule: str, text: str) -> None:
    """A rule that cannot be followed is an error that names it, and nothing is fetched."""
    done = fetch(f"[[work.fetch.rule]]\n{rule}\n")
    assert done.returncode == 2
    assert re.search(text, done.stdout + done.stderr)


def test_notify(fetch: Run, server: MemoryServer, tmp_path: Path) -> None:
    """The command runs on new mail, and on a change to failure and back; not else."""
    said = tmp_path / "said"
    variables = " ".join(
        f"$POP3_FETCH_{name}" for name in ("ACCOUNT", "NEW", "PARKED", "OUTCOME", "OUTCOME_BEFORE")
    )
    command = f"notify = \"sh -c 'echo {variables} >> {said}'\"\n"
    assert fetch(command).returncode == 0
    assert fetch(command).returncode == 0
    assert said.read_text() == "work 3 0 ok\n"
    (tmp_path / "inbox" / "tmp").rename(tmp_path / "aside")
    (tmp_path / "inbox" / "tmp").write_bytes(b"")
    for _ in range(2):
        server.add(tmp_path.name, "secret", PLAIN)
        assert fetch(command).returncode == 12
    assert said.read_text() == "work 3 0 ok\nwork 0 0 fetch-delivery ok\n"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("sh -c 'echo broken; exit 1'", "exit code 1: broken"),
        ("/nonexistent/program", "cannot be run"),
        ("sh -c '", "a quote is not closed"),
    ],
)
def test_notify_fails(fetch: Run, command: str, text: str) -> None:
    """A command that fails is a warning, and the mail is fetched."""
    done = fetch(f'notify = "{command}"\n')
    assert done.returncode == 1
    assert "3 new" in done.stdout
    assert "WARN fetch-notify" in done.stdout
    assert text in done.stdout
