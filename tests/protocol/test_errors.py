"""Errors as values: what programs do with them besides catching them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from restante import LineTooLong, OtherDomainError, ServerRefusedError, Target, TlsRequired
from restante.protocol.errors import BadCommand, Phase, ResponseCode, Utf8Required
from restante.storage import PartialRemovalError, StoreError
from restante.storage.errors import PartlyExpiredError, UnsyncedRemovalError

ERRORS: list[Exception] = [
    ServerRefusedError("auth-failed", "no", code="AUTH", phase=Phase.LOGIN, command="PASS ***"),
    OtherDomainError("another domain", Target("mail.example.net", 995, "implicit", "ann")),
    BadCommand("No {what}.", ResponseCode.SYS_TEMP, what="room"),
    LineTooLong(b"USER", ended=False),
    TlsRequired("ann"),
    Utf8Required(),
    StoreError("no disk", permanent=True, path="/mail"),
    PartialRemovalError("not all", [1, 2], path="/mail"),
    UnsyncedRemovalError("not durable", []),
    PartlyExpiredError("not all", []),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_copies(error: Exception, make: Callable[[Exception], Exception]) -> None:
    """An error goes from one process to another as it is: a pool of processes pickles it."""
    copied = make(error)
    assert type(copied) is type(error)
    assert (str(copied), repr(copied), vars(copied)) == (str(error), repr(error), vars(error))


def test_repr_has_the_final_id() -> None:
    """A log of a program shows the id that the error has, also if it was given later."""
    error = ServerRefusedError("refused", "no")
    error.id = "auth-failed"
    assert repr(error) == "ServerRefusedError('auth-failed', 'no')"
