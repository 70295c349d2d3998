"""Mistakes in values of the configuration, as an administrator reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.server.config.loader import ConfigError, load

LEAST = '[mail]\nfolder = "mail"\n[accounts]\nusers = "users"\n'


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('[server]\nlisten = "*:110"', 'server.listen: Expected a list, such as ["a", "b"]'),
        ("[server]\nlisten = ['*:110', 5]", "server.listen: Expected a text in quotes in entry 2"),
        ('[server]\nworkers = "4"', 'server.workers: Expected a number or "auto"'),
        ('[timeouts]\nstop = "10s"', "timeouts.stop: Expected a number"),
        ("[timeouts]\nstop = 0", "timeouts.stop: Expected a number above 0"),
        ("[timeouts]\nidle = 5", "timeouts.idle: Expected a number of at least 600"),
        ("[limits]\nconnections = 1.5", "limits.connections: Expected a whole number"),
        ("[delivery]\nreceived = 'yes'", "delivery.received: Expected true or false"),
        ("[delivery]\nlmtp = 24", "delivery.lmtp: Expected a text in quotes"),
        (
            "[delivery]\nsocket_mode = '0o660'",
            'delivery.socket_mode: Expected a text such as "0660"',
        ),
        (
            "[delivery]\nrecipient_delimiter = '+-'",
            "delivery.recipient_delimiter: Expected at most 1 character",
        ),
        (
            "[tls]\ncertificates = [{certificate = 'a', key = 'b'}, {certificate = 'a'}]",
            'tls.certificates: The key "key" is missing in entry 2',
        ),
        (
            "[tls]\ncertificates = [{certificate = 'a', key = 'b', kye = 'c'}]",
            'tls.certificates: The key "kye" is unknown in entry 1',
        ),
        ("[cluster]\nshards = {a = 1}", "cluster.shards: Expected a table"),
    ],
)
def test_words(tmp_path: Path, lines: str, problem: str) -> None:
    """A value of a wrong type or size is an error that says what to write."""
    file = tmp_path / "restante.toml"
    file.write_text(f"{LEAST}{lines}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert caught.value.problems[0].startswith(f"{file}: {problem} (it is ")
