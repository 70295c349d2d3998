"""`pop3 fetch import`, killed at its calls, and run again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from faults.fetch.killing import Command, count, run
from restante.testing import serving
from support.process import POP3
from support.programs import need

LETTERS = [b"Subject: %d\n\nText.\n" % number for number in range(4)]
POINTS = 8  # of about a hundred; `make faults` tries all


def set_up(folder: Path, port: int, known: Sequence[str]) -> tuple[Command, Command]:
    """Write an account and the state of fdm, and return `import` and `fetch`."""
    config = folder / "config/restante"
    for place in (config, *(folder / "box" / part for part in ("tmp", "new", "cur"))):
        place.mkdir(parents=True)
    (config / "accounts.toml").write_text(
        f'[work]\naccount = "pop3://ann@127.0.0.1:{port}"\npassword_command = "echo secret"\n'
        f'[work.fetch]\nto = "maildir:{folder}/box"\n'
    )
    (folder / "cache").write_text("".join(f"{len(uid)} {uid}\n" for uid in known))
    environment = {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
    environment["XDG_STATE_HOME"] = str(folder / "state")
    take_over: list[str | Path] = [POP3, "fetch", "import", "fdm", folder / "cache", "--yes"]
    fetch: list[str | Path] = [POP3, "fetch", "work"]
    return Command(take_over, environment), Command(fetch, environment)


def test_a_killed_import_is_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An import that was killed at any call can be repeated, and then the rest is fetched once."""
    need("strace")
    with serving() as server:
        server.add("ann", "secret")
        uids = [server.deliver("ann", letter) for letter in LETTERS]
        (first := tmp_path / "first").mkdir()
        ended, points = count(set_up(first, server.port, uids[:2])[0], tmp_path / "calls")
        assert ended.code == 0, ended.output
        killed = 0
        every = 1 if "RESTANTE_ALL_FAULTS" in os.environ else len(points) // POINTS
        for place, point in enumerate(points[::every]):
            (folder := tmp_path / str(place)).mkdir()
            take_over, fetch = set_up(folder, server.port, uids[:2])
            killed += run(take_over, point).killed
            for command in (take_over, fetch, fetch):
                assert (again := run(command)).code == 0, (point, again.output)
            found = sorted(file.read_bytes() for file in (folder / "box/new").iterdir())
            assert found == LETTERS[2:], point
    with capsys.disabled():
        print(f"\npop3 fetch import: {killed} kills, 0 lost, 0 doubled")  # noqa: T201  # the proof
    assert killed > POINTS // 2
