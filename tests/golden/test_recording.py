"""The comparison itself: it shows a diff, and never rewrites in CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from golden.recording import FOLDER, REWRITE, compare, masked
from support import transcript


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REWRITE, raising=False)
    monkeypatch.delenv("CI", raising=False)


def test_a_difference_is_a_unified_diff(tmp_path: Path) -> None:
    """A difference from a golden file is shown as a unified diff."""
    (tmp_path / "a.txt").write_text("same\nold\n")
    compare("a.txt", "same\nold\n", tmp_path)
    with pytest.raises(
        pytest.fail.Exception, match=r"(?s) same\n-old\n\+new\n.*pytest tests/golden"
    ):
        compare("a.txt", "same\nnew\n", tmp_path)


def test_a_rewrite_is_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rewrite writes the golden file and skips the test."""
    monkeypatch.setenv(REWRITE, "1")
    with pytest.raises(pytest.skip.Exception, match="read its diff"):
        compare("new/a.txt", "a\r\n", tmp_path)
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"a\r\n"


def test_a_rewrite_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI a rewrite fails and writes nothing."""
    monkeypatch.setenv(REWRITE, "1")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="only compared"):
        compare("a.txt", "a", tmp_path)
    assert not (tmp_path / "a.txt").exists()


def test_what_varies_becomes_a_placeholder() -> None:
    """Times, ports and folders are replaced by placeholders."""
    line = "2026-01-02T03:04:05.6Z 127.0.0.1:12345 127.0.0.1:110 seconds=0.01 (7 ms) /tmp/x/a"
    assert masked(line, {"/tmp/x": "DIR"}) == (
        "TIME 127.0.0.1:PORT 127.0.0.1:110 seconds=SECONDS (MS) DIR/a"
    )


def test_each_file_is_compared() -> None:
    """A file that no test names would never be noticed to be wrong."""
    sources = "".join(file.read_text() for file in FOLDER.glob("test_*.py"))
    named = {name for name in re.findall(r'"(\w+/\w+\.txt)"', sources) if name[:3] != "new"}
    named |= {f"wire/{name}.txt" for name in (*transcript.names(), "lmtp", "smtp")}
    named |= {f"toolbox/check_{form}.txt" for form in ("text", "json")}
    assert {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.txt")} == named
