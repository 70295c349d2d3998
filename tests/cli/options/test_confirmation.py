"""Servers of other domains: the command that names one of them."""

from __future__ import annotations

import shlex

import click
import pytest

from restante.cli.main import main
from restante.cli.options.confirmation import command_with_server
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
