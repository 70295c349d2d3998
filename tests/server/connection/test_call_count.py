"""How many calls it takes to answer a client that comes again."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from support.call_counter import count

LOGIN = ("USER ann", "PASS secret")
IN_PYTHON = find_spec("restante.protocol.speedups") is None  # no compiler was there


def test_a_poll(tmp_path: Path) -> None:
    """A whole session that finds nothing new takes few calls of functions of Restante."""
    calls = count(tmp_path, (*LOGIN, "STAT", "UIDL", "QUIT"))
    assert calls.replies.count(b"+OK") == 6
    assert calls.functions.total() <= 147, calls.functions


def test_stat(tmp_path: Path) -> None:
    """STAT passes through few functions in few modules."""
    calls = count(tmp_path, ["STAT"], warm=LOGIN)
    assert calls.replies == b"+OK 3 1854\r\n"
    assert len(calls.functions) <= 9
    assert len(calls.modules) <= 5


def test_retr(tmp_path: Path) -> None:
    """RETR passes through few functions in few modules."""
    calls = count(tmp_path, ["RETR 2"], warm=(*LOGIN, "RETR 1"))
    assert calls.replies.startswith(b"+OK 618 octets\r\nSubject: hello\r\n")
    assert len(calls.functions) <= 22 + IN_PYTHON  # to_wire
    assert len(calls.modules) <= 12 + IN_PYTHON  # line_ends
