"""The runner, with clients that are small scripts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.misbehave import FAULTS, Fault, find
from restante.misbehave.catalogue.listing import EVIL_FAULT, EVIL_NAME
from restante.misbehave.score.client_process import MAX_OUTPUT, MIB, Limits, run
from restante.misbehave.score.runner import Card, ClientCommandError, Outcome, ScoreRun

PATIENT = Limits(seconds=60, memory=0)

CLIENT = """
import poplib, sys
port, out, last = int(sys.argv[1]), sys.argv[2], sys.argv[3]
try:
    box = poplib.POP3("127.0.0.1", port, timeout=60)
    box.user("joe"), box.pass_("secret")
    for number in range(1, box.stat()[0] + 1):
        message = b"\\r\\n".join(box.retr(number)[1])
        open(out + "/new/" + str(number), "wb").write(message)
        box.dele(number)
    box.quit()
except poplib.error_proto as error:
    sys.exit(str(error))
exec(last)
"""


def client(last: str = "", *more: str) -> list[str]:
    """Return the command of a client that runs `last` at its end."""
    return [sys.executable, "-S", "-c", CLIENT, "{port}", "{out}", last, *more]


def score(command: list[str], *faults: Fault, limits: Limits = PATIENT) -> Card:
    """Return the card of a client."""
    return asyncio.run(ScoreRun(command, limits).run(faults))


def test_card() -> None:
    """The card has the verdict of each run, in the order of the faults."""
    told: list[Outcome] = []
    run = ScoreRun(client(), PATIENT)
    faults = [FAULTS["login-refused"], FAULTS["retr-refused"]]
    card = asyncio.run(run.run(faults, told.append))
    assert [outcome.verdict for outcome in card.outcomes] == ["clean", "MISSED"]
    assert card.counts == {"MISSED": 1, "clean": 1}
    assert "cannot be read" in card.outcomes[1].output
    assert sorted(told, key=lambda outcome: outcome.fault.name) == card.outcomes


def test_without_a_fault_first() -> None:
    """A client that does not work at all gets no card, but the reason."""
    with pytest.raises(ClientCommandError, match="fetched nothing, and exited with 3"):
        score(["/bin/sh", "-c", "exit 3", "{port}", "{out}"])


def test_delete_first() -> None:
    """A client that does not delete gets no card either: LOST could not be seen."""
    keeping = [word.replace("box.dele(number)", "pass") for word in client()]
    with pytest.raises(ClientCommandError, match="does not delete"):
        score(keeping)


def test_unknown_command() -> None:
    """A program that is missing is named."""
    with pytest.raises(ClientCommandError, match="no-such-program"):
        score(["no-such-program", "{port}", "{out}"])


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that its user named by a relative path is not found, and the error says why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fetch.sh").write_text("exit 3\n")
    with pytest.raises(ClientCommandError, match=f"folder of its own: write {tmp_path}/fetch.sh"):
        score(["/bin/sh", "fetch.sh", "{port}", "{out}"])


def test_skip_what_the_client_has_not() -> None:
    """Faults of STLS are left out unless the command says where STLS is switched on."""
    card = score(client(), FAULTS["stls-refused"], FAULTS["tls-expired"])
    assert card.outcomes == []
    assert [fault.name for fault in card.skipped] == ["stls-refused", "tls-expired"]


def test_an_endless_client_is_tried_twice(tmp_path: Path) -> None:
    """A run without an end is repeated once, and its whole process group is ended."""
    tries = tmp_path / "tries"
    script = f'echo $$ >> {tries}; sleep 1000 & sleep 1000; exit # "$@"'
    run = ScoreRun(["/bin/sh", "-c", script, "sh", "{port}", "{out}"], Limits(0.2, 0))
    outcome = asyncio.run(run.run_at(FAULTS["connect-closed"]))
    assert outcome.verdict == "HANG"
    assert len(tries.read_text().split()) == 2


def test_outside(tmp_path: Path) -> None:
    """A file above the folder of the run is seen, and nothing of the run is left."""
    place = tmp_path / "place"
    last = f"open(out + '/../../evil', 'w').close(); open({str(place)!r}, 'w').write(out)"
    run = ScoreRun(client(last), PATIENT)
    outcome = asyncio.run(run.run_at(find("greeting-bare")))
    assert [finding.verdict for finding in outcome.findings] == ["ESCAPED"]
    assert not Path(place.read_text()).parents[4].exists()


def test_temporary_files(tmp_path: Path) -> None:
    """A file in /tmp counts only for the fault that names it, and only that run removes it."""
    place = Path("/tmp") / f"{EVIL_NAME}-{tmp_path.name}"
    run = ScoreRun(client(f"open({str(place)!r}, 'w').close()"), PATIENT)
    try:
        assert asyncio.run(run.run_at(find("greeting-bare"))).verdict == "clean"
        assert place.exists()
        place.unlink()
        assert asyncio.run(run.run_at(find(EVIL_FAULT))).verdict == "ESCAPED"
        assert not place.exists()
    finally:
        place.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("script", "limits", "expected"),
    [
        ("exit 7", PATIENT, lambda ended: ended.exit == 7),
        ("kill -11 $$", PATIENT, lambda ended: ended.exit == -11),
        ("yes", Limits(0.2, 0), lambda ended: ended.exit is None
                                              and len(ended.output) == MAX_OUTPUT),
        ("ulimit -v", Limits(60, 100 * MIB), lambda ended: ended.output == b"102400\n"),
        ("ulimit -f", PATIENT, lambda ended: int(ended.output) == 256 * MIB // 512),
    ],
)  # fmt: skip
def test_limits(
    script: str, limits: Limits, expected: Callable[[object], bool], tmp_path: Path
) -> None:
    """Time, memory, file size and output are limited."""
    ended = asyncio.run(run(["/bin/sh", "-c", script], tmp_path, {"PATH": "/bin:/usr/bin"}, limits))
    assert expected(ended)


def test_the_end_of_much_output() -> None:
    """Of much output, the beginning and the end count; the end has the error of a crash."""
    talkative = client("print('-' * 200_000, file=sys.stderr); 1 / 0")
    outcome = asyncio.run(ScoreRun(talkative, PATIENT).run_at(FAULTS["retr-drip"]))
    assert outcome.verdict == "CRASH"
    assert outcome.output.rstrip().endswith("ZeroDivisionError: division by zero")
