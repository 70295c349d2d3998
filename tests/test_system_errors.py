"""Errors of the operating system as texts for people."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from restante.system_errors import explain, find_remedy


def test_explain() -> None:
    """The text has the reason and what to do, and neither the number nor the path."""
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/srv/mail")
    assert explain(error) == "No space left on device; free some space"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("it is broken"), "it is broken"),
        (TimeoutError(), "it took too long"),
        (OSError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
    ],
)
def test_unknown_remedy(error: OSError, text: str) -> None:
    """An error without a known remedy has a reason at least."""
    assert explain(error) == text


@pytest.mark.parametrize("kind", [ssl.SSLError, socket.gaierror, socket.herror])
def test_other_numbers(kind: type[OSError]) -> None:
    """A number that means something else in TLS or in name resolution gets no remedy."""
    assert find_remedy(kind(errno.EPERM, "no")) == ""
