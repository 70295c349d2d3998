"""The connections to a database: few, each opened when it is needed, and kept for the next query.

They are not reset between queries, as those of a driver's own pool are: the reset is a second round
trip, and costs more than the query.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from restante.auth.interfaces import UnavailableError
from restante.idle_connections import IdleConnections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

C = TypeVar("C")
T = TypeVar("T")

MAX_CONNECTIONS = 4


class Connections(ABC, Generic[C]):
    """At most four connections to one database. The methods of its driver are the abstract ones.

    Attributes:
        errors: what the driver raises, and OSError.
    """

    errors: ClassVar[tuple[type[Exception], ...]]

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: IdleConnections[C] = IdleConnections(
            self._is_closed, self._terminate, self._is_full
        )
        self._closed = False

    async def run(self, work: Callable[[C], Awaitable[T]]) -> T:
        """Do some work on a connection. It is used again, unless the work was broken off.

        The work begins anew if a connection that was idle breaks: it was broken before.
        """
        async with self._slots:
            while (connection := self._idle.take()) is not None:
                try:
                    return await self._use(connection, work)
                except self.errors:
                    if not self._is_closed(connection):
                        raise
            return await self._use(await self._idle.make(self._connect), work)

    def is_rejection(self, connection: C, error: Exception) -> bool:
        """Return whether an error is about what was asked: the connection is as good as before."""
        return not isinstance(error, OSError) and not self._is_closed(connection)

    @property
    def full(self) -> Exception | None:
        """The error of the last connection, if the database accepts no more."""
        return self._idle.full

    async def aclose(self) -> None:
        """Close the connections."""
        self._closed = True
        while (connection := self._idle.take()) is not None:
            with contextlib.suppress(*self.errors):
                await self._close(connection)
        self._idle.clear()

    async def _use(self, connection: C, work: Callable[[C], Awaitable[T]]) -> T:
        try:
            return await work(connection)
        except BaseException as error:
            # After a cancellation, above all, an answer may still come.
            if not isinstance(error, UnavailableError) and not self._is_answer(error):
                self._terminate(connection)
            raise
        finally:
            if self._closed:
                self._terminate(connection)
            if not self._is_closed(connection):
                self._idle.put(connection)

    @abstractmethod
    async def _connect(self) -> C:
        """Return a new connection."""

    @abstractmethod
    async def _close(self, connection: C) -> None:
        """Close a connection after a goodbye to the database."""

    @abstractmethod
    def _terminate(self, connection: C) -> None:
        """Close a connection at once."""

    @abstractmethod
    def _is_full(self, error: BaseException) -> bool:
        """Return whether the database works, but accepts no more connections."""

    @abstractmethod
    def _is_answer(self, error: BaseException) -> bool:
        """Return whether an error is an answer of the database, so that it can be asked again."""

    @abstractmethod
    def _is_closed(self, connection: C) -> bool:
        """Return whether a connection is closed, as far as its driver knows."""
