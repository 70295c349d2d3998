"""A server of developer mode."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import structlog

from restante.developer.server import DeveloperOptions, DeveloperServer

QUIET = structlog.wrap_logger(
    structlog.ReturnLogger(),
    processors=[],
    wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
)


@contextlib.contextmanager
def serving(**options: object) -> Iterator[DeveloperServer]:
    with DeveloperServer(DeveloperOptions(log=QUIET, **options)) as server:  # type: ignore[arg-type]
        yield server
