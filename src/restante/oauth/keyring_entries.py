"""The system's keyring, for at most two seconds a call: it may wait for a person, or hang."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from restante.net import daemon_threads
from restante.oauth.errors import TokenStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SECONDS = 2.0
SERVICE = "restante"
_PROBE = "restante-probe"


def works() -> bool:
    """Return whether there is a keyring that keeps secrets as safe as a file, and answers."""

    def probe() -> bool:
        import keyring

        backend = keyring.get_keyring()
        if backend.priority < 1:  # it keeps nothing, or in plain text
            return False
        backend.get_password(SERVICE, _PROBE)
        return True

    try:
        return _within(probe)
    except KeyringError:
        return False


def get(name: str) -> str | None:
    """Return the secret of a name, None where there is not one. Raises KeyringError."""
    found: str | None = _within(lambda: _keyring().get_password(SERVICE, name))
    return found


def put(name: str, secret: str) -> None:
    """Keep the secret of a name. Raises KeyringError."""
    _within(lambda: _keyring().set_password(SERVICE, name, secret))


def remove(name: str) -> None:
    """Remove the secret of a name, if there is one. Raises KeyringError."""

    def delete() -> None:
        if _keyring().get_password(SERVICE, name) is not None:
            _keyring().delete_password(SERVICE, name)

    _within(delete)


def _keyring() -> Any:
    import keyring

    return keyring


class KeyringError(TokenStoreError):
    """The keyring cannot be used.

    Attributes:
        cause: why, without what to do.
    """

    def __init__(self, cause: str, advice: str) -> None:
        super().__init__(f"{cause}{advice}")
        self.cause = cause


def _within(work: Callable[[], T]) -> T:
    """Return the result of work with the keyring. Raises KeyringError: it failed or hangs."""
    try:
        return daemon_threads.start(work, "keyring").result(SECONDS)
    except TimeoutError:
        cause = f"the keyring did not answer within {SECONDS:g} seconds"
        raise KeyringError(cause, "; unlock it, then try again") from None
    except ImportError:
        advice = "; run pip install 'restante[keyring]'"
        raise KeyringError("the keyring requires another package", advice) from None
    except Exception as error:  # noqa: BLE001  # each backend has its own; a text may have a secret in it
        advice = (
            ": unlock it, then try again. For runs while nobody is logged in, set key_command, "
            "and run pop3 login again"
        )
        cause = f"the keyring cannot be used ({type(error).__name__})"
        raise KeyringError(cause, advice) from None
