"""Secrets never show."""

from __future__ import annotations

import copy
import pickle

import pytest

from restante.protocol.secret import Secret
from restante.protocol.server.needs import Authenticate, AuthMethod


def test_a_secret_does_not_print() -> None:
    """A secret has no text form that shows it."""
    secret = Secret(b"hunter2")
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret):  # noqa: UP031
        assert "hunter2" not in shown
    assert "hunter2" not in repr(Authenticate(AuthMethod.PASSWORD, "ann", secret))


def test_a_secret_does_not_leave_the_process() -> None:
    """A secret can be neither pickled nor copied."""
    for leave in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            leave(Secret(b"hunter2"))


def test_secrets_are_compared_by_value_but_are_no_keys() -> None:
    """Secrets are equal by value, and cannot be hashed."""
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    with pytest.raises(TypeError):
        hash(Secret(b"a"))
