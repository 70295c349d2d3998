"""A source of accounts that does not answer gets no further calls for a moment.

Only some logins can call a source at once. At a silent source, each call lasts for seconds, and the
last of 60 logins would wait for a minute. So calls under way continue, and new ones fail at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING

from restante.auth.interfaces import CredentialsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SILENCE = 2.5  # seconds without any answer, after which a source counts as silent
PAUSE = 1.0  # seconds in which a silent source is not asked again


class Silence:
    """Whether a source is silent, by the clock of the event loop."""

    def __init__(self) -> None:
        self._answered = -math.inf  # when the last answer came
        self._until = -math.inf
        self._reason = ""

    def begin(self) -> float:
        """Return the time at which a call begins. Raises UnavailableError: the source is silent."""
        now = asyncio.get_running_loop().time()
        if now < self._until:
            raise UnavailableError(self._reason)
        return now

    def note_answer(self) -> None:
        """Note that a call has ended, whatever the answer was."""
        self._answered = asyncio.get_running_loop().time()

    def note_failure(self, begun: float, reason: str) -> None:
        """Note a call that failed: the source is silent if no call since `begun` had an answer."""
        now = asyncio.get_running_loop().time()
        if now - max(begun, self._answered) >= SILENCE:
            self._until, self._reason = now + PAUSE, reason

    @contextlib.contextmanager
    def noting(self, late: str, counts: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Note the end of a call, which is the block. A failure counts if `counts` returns True.

        Raises UnavailableError: the source is silent, or the call took too long, with the text
        `late`.
        """
        begun = self.begin()
        try:
            yield
        except TimeoutError as error:
            if counts():
                self.note_failure(begun, late)
            raise UnavailableError(late) from error
        except UnavailableError as error:
            if counts():
                self.note_failure(begun, str(error))
            raise
        except CredentialsError:
            self.note_answer()
            raise
        self.note_answer()
