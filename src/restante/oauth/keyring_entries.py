"""The system's keyring, for at most two seconds a call: it may wait for a person, or hang.

A password that a user asks for by an option has a minute: the user may have to unlock the keyring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from restante.net import daemon_threads
from restante.oauth.errors import TokenStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SECONDS = 2.0
UNLOCK_SECONDS = 60.0  # for a user that types the password of the keyring
SERVICE = "restante"
_PROBE = "restante-probe"


def is_usable() -> bool:
    """Return whether there is a keyring that keeps secrets as safe as a file, and answers."""

    def probe() -> bool:
        import keyring

        backend = keyring.get_keyring()
        if backend.priority < 1:  # it keeps nothing, or in plain text
            return False
        backend.get_password(SERVICE, _PROBE)
        return True

    try:
        return _call_in_time(probe)
    except KeyringError:
        return False


def find_secret(name: str) -> str | None:
    """Return the secret of a name, None without one. Raises KeyringError."""
    secret: str | None = _call_in_time(lambda: _keyring().get_password(SERVICE, name))
    return secret


def get_password(host: str, user: str) -> str | None:
    """Return the password of a user at a host, None without one. Raises KeyringError."""
    password: str | None = _call_in_time(
        lambda: _keyring().get_password(host, user), UNLOCK_SECONDS
    )
    return password


def store_secret(name: str, secret: str) -> None:
    """Keep the secret of a name. Raises KeyringError."""
    _call_in_time(lambda: _keyring().set_password(SERVICE, name, secret))


def remove_secret(name: str) -> None:
    """Remove the secret of a name, if there is one. Raises KeyringError."""

    def delete() -> None:
        if _keyring().get_password(SERVICE, name) is not None:
            _keyring().delete_password(SERVICE, name)

    _call_in_time(delete)


def _keyring() -> Any:
    import keyring

    return keyring


class KeyringError(TokenStoreError):
    """The keyring cannot be used.

    Attributes:
        cause: why.
        remedy: what to do.
    """

    def __init__(self, cause: str, remedy: str, rest: str = "") -> None:
        super().__init__(f"{cause}; {remedy}{rest}")
        self.cause, self.remedy = cause, remedy


def _call_in_time(work: Callable[[], T], seconds: float | None = None) -> T:
    """Return the result of work with the keyring. Raises KeyringError: it failed or hangs."""
    seconds = SECONDS if seconds is None else seconds
    try:
        return daemon_threads.start(work, "keyring").result(seconds)
    except TimeoutError:
        cause = f"the keyring did not answer within {seconds:g} seconds"
        raise KeyringError(cause, "unlock it", ", then try again") from None
    except ImportError:
        cause, remedy = (
            "the keyring requires another package",
            "run pip install 'restante[keyring]'",
        )
        raise KeyringError(cause, remedy) from None
    except Exception as error:  # noqa: BLE001  # each backend has its own; a text may have a secret in it
        cause = f"the keyring cannot be used ({type(error).__name__})"
        advice = (
            ", then try again. For runs while nobody is logged in, set key_command, and run pop3 "
            "login again"
        )
        raise KeyringError(cause, "unlock it", advice) from None
