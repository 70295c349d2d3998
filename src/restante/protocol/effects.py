"""The requests of a conversation to its driver. Both sides of the protocol use this one form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")


class Effect(Generic[T]):
    """A request to the driver; `answer = yield from effect` gives a T.

    A driver carries the effect out and sends its result into the generator, or throws an error
    that the effect's docstring names.
    """

    __slots__ = ()

    def __iter__(self) -> Generator[Self, T, T]:
        return (yield self)
