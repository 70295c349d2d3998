"""A source of accounts that does not answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from restante.auth.interfaces import UnavailableError
from restante.auth.silence import PAUSE, SILENCE, Silence
from support.clocked_server import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def is_silent(loop: Loop, silence: Silence) -> bool:
    """Return whether a call fails before it asks."""

    def fails() -> bool:
        with contextlib.suppress(UnavailableError):
            silence.begin()
            return False
        return True

    return loop.do(fails)


def test_silent_source(loop: Loop) -> None:
    """After a call without an answer, calls fail for a moment, and then ask again."""
    silence = Silence()
    begun = loop.do(silence.begin)
    loop.now += SILENCE
    loop.do(silence.note_failure, begun, "no answer")
    assert is_silent(loop, silence)
    loop.now += PAUSE
    assert not is_silent(loop, silence)


def test_source_that_answers_others(loop: Loop) -> None:
    """A source that answers another call meanwhile is not silent, and one call had bad luck."""
    silence = Silence()
    begun = loop.do(silence.begin)
    loop.now += SILENCE
    loop.do(silence.note_answer)
    loop.do(silence.note_failure, begun, "no answer")
    assert not is_silent(loop, silence)


def test_source_that_fails_at_once(loop: Loop) -> None:
    """A source that rejects connections is asked by each call: none waits."""
    silence = Silence()
    loop.do(silence.note_failure, loop.do(silence.begin), "refused")
    assert not is_silent(loop, silence)
