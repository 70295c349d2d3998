"""How many calls it takes to answer a client that comes again."""

from __future__ import annotations

from pathlib import Path

from support.call_counter import IN_PYTHON, Calls, count
from support.small_disks import need_nowait

CORE = Path(__file__).parents[3] / "docs" / "explanation" / "core.md"
LOGIN = ("USER ann", "PASS secret")


def documented(command: str) -> list[str]:
    """Return the functions of a command's path, as the page of the core has it."""
    paths = [text for text in CORE.read_text().split("```")[1::2] if " > " in text]
    (path,) = (path.removeprefix("text") for path in paths if f" > {command} > " in path)
    return [name.strip().rpartition(".")[2] for name in path.replace("\n", " ").split(" > ")]


def taken(calls: Calls) -> list[str]:
    """Return the functions that were called, each where it came first."""
    in_c = [function for module, function in calls.functions if not module.endswith("line_ends.py")]
    return [function.rpartition(".")[2] for function in in_c]


def test_a_poll(tmp_path: Path) -> None:
    """A whole session that finds nothing new takes few calls of functions of Restante."""
    calls = count(tmp_path, (*LOGIN, "STAT", "UIDL", "QUIT"))
    assert calls.replies.count(b"+OK") == 6
    assert calls.functions.total() <= 150, calls.functions


def test_stat(tmp_path: Path) -> None:
    """STAT passes through few functions in few modules."""
    calls = count(tmp_path, ["STAT"], warm=LOGIN)
    assert calls.replies == b"+OK 3 1854\r\n"
    assert taken(calls) == documented("stat")
    assert len(calls.functions) <= 8
    assert len(calls.modules) <= 5


def test_retr(tmp_path: Path) -> None:
    """RETR passes through few functions in few modules."""
    need_nowait(tmp_path)
    calls = count(tmp_path, ["RETR 2"], warm=(*LOGIN, "RETR 1"))
    assert calls.replies.startswith(b"+OK 618 octets\r\nSubject: hello\r\n")
    assert taken(calls) == documented("retr")
    assert len(calls.functions) <= 19 + IN_PYTHON  # to_wire
    assert len(calls.modules) <= 12 + IN_PYTHON  # line_ends
