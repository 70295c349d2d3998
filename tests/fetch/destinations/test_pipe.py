"""A command as a destination."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, OTHER, content, deliver, source
from restante.fetch.destinations import commands
from restante.fetch.destinations.pipe import PipeDestination, parse_pipe_url
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationUnavailableError,
    MessageRefusedError,
    NotDeliveredError,
    SourceMessage,
)
from support.live import PATIENCE, wait_until
from support.programs import need


class PipePlace:
    """A command that writes each message into a file."""

    exact = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.mail = folder / "mail"
        self.mail.mkdir()

    def destination(
        self, script: str = "", *, hold: bool = False, seconds: float = PATIENCE
    ) -> PipeDestination:
        script = script or f"cat > {self.mail}/$(date +%s%N)"
        url = f"pipe:sh -c '{script}'"
        command = parse_pipe_url(url)
        return PipeDestination(url, command, str(self.state), hold=hold, seconds=seconds)

    def messages(self) -> list[bytes]:
        files = sorted(self.mail.iterdir(), key=lambda path: int(path.name))
        return [re.sub(rb"(?<!\r)\n", b"\r\n", path.read_bytes()) for path in files]

    def remove_all(self) -> None:
        for path in self.mail.iterdir():
            path.unlink()

    def carries(self, message: bytes) -> bool:
        return True


@pytest.fixture
def place(tmp_path: Path) -> PipePlace:
    return PipePlace(tmp_path)


def _deliver(destination: PipeDestination, message: bytes = LETTER) -> None:
    destination.open()
    try:
        deliver(destination, message)
    finally:
        destination.close()


def test_line_ends_are_those_of_files(place: PipePlace) -> None:
    """A command reads lines that end with LF, as it does from other programs."""
    _deliver(place.destination())
    [file] = place.mail.iterdir()
    assert file.read_bytes() == LETTER.replace(b"\r\n", b"\n")


def test_environment(place: PipePlace) -> None:
    """The command has the ids of the message and the name of the account."""
    _deliver(place.destination(f"env > {place.folder}/env"))
    lines = (place.folder / "env").read_text().splitlines()
    first = source(0)
    assert sum(line.startswith(f"POP3_FETCH_ID={first.fetch_id}-") for line in lines) == 1
    assert {
        f"POP3_FETCH_UID={first.uid}",
        "POP3_FETCH_ACCOUNT=ann",
        f"PATH={os.environ['PATH']}",
    } <= set(lines)


def test_environment_without_nul(place: PipePlace) -> None:
    """A unique-id with a NUL, which no variable can have, stops no delivery."""
    destination = place.destination(f"env > {place.folder}/env")
    destination.open()
    draft = destination.start(SourceMessage("ann", "a\0b", 0))
    draft.finish(content(b""))
    destination.prepare([draft])
    destination.deliver(draft)
    destination.close()
    assert "POP3_FETCH_UID=a b" in (place.folder / "env").read_text().splitlines()


@pytest.mark.parametrize(
    ("script", "error", "text"),
    [
        ("exit 75", NotDeliveredError, "ended with exit code 75"),
        ("echo no space >&2; exit 75", NotDeliveredError, "exit code 75: no space$"),
        ("echo no such user; exit 67", MessageRefusedError, "exit code 67: no such user$"),
        ("exit 1", MessageRefusedError, "exit code 1$"),
        ("kill -TERM $$", DeliveryInDoubtError, "was killed by SIGTERM"),
        ("kill -40 $$", DeliveryInDoubtError, "was killed by signal 40"),
        (r"printf \\033[31mred; exit 1", MessageRefusedError, r"exit code 1: \\x1b\[31mred$"),
    ],
)
def test_exit_codes(place: PipePlace, script: str, error: type[Exception], text: str) -> None:
    """The exit code decides, and the error has what the command said."""
    with pytest.raises(error, match=text) as caught:
        _deliver(place.destination(script))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "exec <&-; sleep 0.1",
        "exec >&- 2>&-; cat > /dev/null",
        "head -c 1",
        "head -c 10000000 /dev/zero; cat > /dev/null",
        "sleep 60 & echo $! > {folder}/left",
        "yes & echo $! > {folder}/left",
    ],
)
def test_odd_commands(place: PipePlace, script: str) -> None:
    """A command may ignore its input, write a lot, or leave a process behind with its output."""
    began = time.monotonic()
    _deliver(place.destination(script.format(folder=place.folder)), LETTER + b"x\r\n" * 1_000_000)
    left = place.folder / "left"
    if left.exists():
        with contextlib.suppress(ProcessLookupError):  # its output has no reader any more
            os.kill(int(left.read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 30


def test_output_is_bounded(place: PipePlace) -> None:
    """Of what a command writes, its error has the beginning."""
    with pytest.raises(MessageRefusedError, match="exit code 1: y y y") as caught:
        _deliver(place.destination("yes | head -c 1000000; exit 1"))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "script",
    ['trap "" TERM; (trap "" TERM; sleep 600); sleep 600', '(trap "" TERM; sleep 600) & wait'],
)
def test_a_command_that_hangs(
    place: PipePlace, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """A command that does not end is killed with all that it started, and leaves a doubt."""
    groups: list[int] = []
    kill = commands.end_command

    def killing(process: subprocess.Popen[bytes]) -> None:
        groups.append(process.pid)
        kill(process)

    monkeypatch.setattr(commands, "GRACE", 0.2)
    monkeypatch.setattr(commands, "end_command", killing)
    with pytest.raises(DeliveryInDoubtError, match="did not end in time and was killed"):
        _deliver(place.destination(script, seconds=0.5))
    wait_until(lambda: not _is_alive(groups[0]))


def _is_alive(group: int) -> bool:
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = process.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


@pytest.mark.parametrize(
    "script", ["exec >&- 2>&-; sleep 60", "yes", "while :; do echo a; sleep 0.02; done"]
)
def test_a_command_without_an_end(place: PipePlace, script: str) -> None:
    """A command that writes nothing, without an end, or now and then, has the same time."""
    with pytest.raises(DeliveryInDoubtError, match="did not end in time"):
        _deliver(place.destination(script, seconds=0.3))


@pytest.mark.parametrize("command", ["/nonexistent/program", "no-such-program-here", "/tmp"])
def test_no_command(place: PipePlace, command: str) -> None:
    """A command that cannot be run is unavailable at once."""
    destination = PipeDestination("pipe:x", [command], str(place.state))
    with pytest.raises(DestinationUnavailableError, match=command):
        destination.open()
    destination.close()


def test_the_command_vanishes(place: PipePlace) -> None:
    """A command that cannot be run any more is unavailable, and nothing was delivered."""
    program = place.folder / "program"
    program.write_text("#!/nonexistent\n")
    program.chmod(0o700)
    destination = PipeDestination("pipe:x", [str(program)], str(place.state))
    with pytest.raises(DestinationUnavailableError, match="cannot be run: No such file"):
        _deliver(destination)


@pytest.mark.parametrize("url", ["pipe:", "pipe:   ", "pipe:sh -c 'open"])
def test_invalid_urls(url: str) -> None:
    """A URL without a command, or with an open quote, is an error that shows it."""
    with pytest.raises(ValueError, match=url):
        parse_pipe_url(url)


def test_hold(place: PipePlace) -> None:
    """With doubt = "hold" a message in doubt is parked."""
    destination = place.destination(hold=True)
    destination.open()
    with pytest.raises(MessageRefusedError, match="0123"):
        destination.settle("0123")
    destination.close()


@pytest.mark.parametrize("program", ["procmail", "maildrop"])
def test_real_programs(place: PipePlace, program: str) -> None:
    """Procmail and maildrop file messages away, large ones too."""
    path = need(program)
    box = place.folder / "Box"
    for part in ("cur", "new", "tmp"):
        (box / part).mkdir(parents=True)
    rules = place.folder / "rules"
    rules.write_text(f":0\n{box}/\n" if program == "procmail" else f'to "{box}"\n')
    rules.chmod(0o600)
    command = [path, str(rules)] if program == "maildrop" else [path, "-m", str(rules)]
    destination = PipeDestination(f"pipe:{program}", command, str(place.state))
    large = LETTER + b"x" * 70 + b"\r\n" * 300_000
    destination.open()
    deliver(destination, LETTER, OTHER, large)
    destination.close()
    found = sorted(path.read_bytes() for path in (box / "new").iterdir())
    sent = sorted(message.replace(b"\r\n", b"\n") for message in (LETTER, OTHER, large))
    assert found == sent
