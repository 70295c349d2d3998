"""Servers of other domains: the command that names one of them."""

from __future__ import annotations

import shlex

import click
import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.cli.options.confirmation import command_with_server
from restante.client.discovery import lookup
from restante.client.options import Target

ACCOUNT = "ann@bank.example"
SERVER = Target("pop.example", 1110, "starttls", "ann", looked_up=True)


@pytest.mark.parametrize("verb", ["check", "probe", "ls", "login", "monitor", "verify"])
def test_command_with_server(verb: str) -> None:
    """Each command accepts the command that it suggests."""
    with click.Context(main, info_name="pop3", **main.context_settings) as above:
        command = main.get_command(above, verb)
        assert command is not None
        with command.make_context(verb, [ACCOUNT], above) as context:
            program, again, *words = shlex.split(command_with_server(SERVER, ("-4",)))
        with command.make_context(verb, [*words], above) as context:
            given = context.params
    assert (program, again, words[0]) == ("pop3", verb, ACCOUNT)
    assert given["host"].partition(":")[0] == SERVER.host
    assert given.get("user") == (None if verb == "probe" else SERVER.user)


@pytest.mark.parametrize(("verb", "code"), [("probe", 4), ("check", 5)])
def test_no_question_without_a_password(
    verb: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pop3 probe` sends no password, so it examines a server of another domain unasked."""

    def find(*_: object) -> Target:
        raise lookup.OtherDomainError("the DNS names it", Target("127.0.0.1", 1, "starttls"))

    monkeypatch.setattr(lookup, "target_of", find)
    ran = CliRunner().invoke(main, [verb, ACCOUNT, "--starttls", "--port", "1"])
    assert ran.exit_code == code, ran.output
