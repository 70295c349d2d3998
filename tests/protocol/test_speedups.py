"""The accelerator in C and its twin in Python give the same octets."""

from __future__ import annotations

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.test_stuffing import texts
from restante.protocol import line_ends

try:
    from restante.protocol import speedups
except ImportError:
    if "CI" in os.environ:
        raise
    pytest.skip("the accelerator was not built", allow_module_level=True)


@given(texts.filter(lambda text: not text.endswith(b"\r")), st.booleans())
@example(b"", True)
@example(b"\n", True)
@example(b".", False)
@example(b"\r\n.\n..\r\r\n", False)
def test_both_make_the_same_wire_form(stored: bytes, at_line_start: bool) -> None:
    """The C and the Python code make the same wire form."""
    assert speedups.to_wire(stored, at_line_start) == line_ends.to_wire(stored, at_line_start)


@given(texts)
@example(b"\n")
@example(b"\r\n")
@example(b"\n\r\n\r")
def test_both_count_the_same_line_ends(stored: bytes) -> None:
    """The C and the Python code count the same line ends."""
    assert speedups.bare_line_ends(stored) == line_ends.bare_line_ends(stored)


@given(texts)
@example(b"\r\n.\r\n..\r\n.\n\r\n.")
def test_both_remove_the_same_dots(stuffed: bytes) -> None:
    """The C and the Python code remove the same dots, and count the same line ends."""
    assert speedups.from_wire(stuffed) == line_ends.from_wire(stuffed)


@given(texts)
@example(b"\r\r\n\r\r\r\n\n\r\n\r")
def test_both_store_the_same_lines(lines: bytes) -> None:
    """The C and the Python code make the same lines of files, and count the same line ends."""
    assert speedups.to_unix(lines) == line_ends.to_unix(lines)


@pytest.mark.parametrize("wrong", [None, "text", 5])
def test_what_is_no_octets_is_refused(wrong: object) -> None:
    """An argument that is not bytes is a TypeError."""
    with pytest.raises(TypeError):
        speedups.to_wire(wrong, True)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        speedups.bare_line_ends(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        speedups.from_wire(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        speedups.to_unix(wrong)  # type: ignore[arg-type]
