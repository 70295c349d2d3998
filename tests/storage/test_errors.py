"""The texts of the stores' errors. tests/protocol/test_errors.py copies and pickles them."""

from __future__ import annotations

import errno

from restante.storage.errors import BusyError, StoreError
from restante.system_errors import find_remedy


def raised_from(error: StoreError, cause: Exception) -> StoreError:
    """Return an error with its cause, as `raise ... from` sets it."""
    error.__cause__ = cause
    return error


def test_text_has_the_path() -> None:
    """An administrator reads what failed, and where."""
    assert str(StoreError("not listed", path="/mail/ann")) == "not listed: /mail/ann"


def test_remedy_of_the_system() -> None:
    """An error of the system says what to do, also behind another error of the store."""
    full = OSError(errno.ENOSPC, "No space left on device")
    inner = raised_from(StoreError("not written"), full)
    outer = raised_from(StoreError("not delivered", path="/mail/ann"), inner)
    remedy = find_remedy(full)
    assert remedy
    assert str(outer) == f"not delivered: /mail/ann; {remedy}"


def test_other_causes_have_no_remedy() -> None:
    """Nothing is advised where the cause is not known."""
    assert str(raised_from(BusyError("locked"), ValueError("odd"))) == "locked"
