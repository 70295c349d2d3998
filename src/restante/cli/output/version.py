"""The output of `pop3 --version`: the version, and the parts that it uses."""

from __future__ import annotations

import platform
import re
import ssl
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from restante import __version__
from restante.protocol import line_forms

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIREMENT = re.compile(r"([\w.-]+)[^;]*(?:;.*extra == ['\"]([\w-]+)['\"])?")
HIDDEN = {"check", "docs", "fuzz", "server", "test"}  # for developers, or made of others


def describe() -> Iterator[str]:
    """Yield the lines: the version, then each part with its version, or what is missing."""
    yield f"pop3, version {__version__}"
    for part, text in _parts():
        yield f"  {part:<10}  {text}"


def _parts() -> Iterator[tuple[str, str]]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield "python", f"{python}, {sys.executable}"
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "openssl", ssl.OPENSSL_VERSION
    compiled = line_forms.to_wire.__module__.endswith(".speedups")
    yield "part in C", "in use" if compiled else "missing; Python does the same, more slowly"
    required = _requirements()
    yield "libraries", ", ".join(map(_with_version, required.pop("")))
    for extra in sorted(set(required) - HIDDEN):
        yield extra, _extra(required[extra])


def find_extra(module: str) -> str | None:
    """Return the first extra that has a library, by the name of its module."""
    required = _requirements()
    name = module.replace("_", "-")
    return next((each for each in sorted(set(required) - HIDDEN) if name in required[each]), None)


def _extra(names: list[str]) -> str:
    missing = ", ".join(name for name in names if not _version(name))
    return f"missing: {missing}" if missing else ", ".join(map(_with_version, names))


def _requirements() -> dict[str, list[str]]:
    """Return the names of the required distributions by extra; "" are those always required."""
    required: dict[str, list[str]] = {"": []}
    for line in metadata.requires("restante") or []:
        match = REQUIREMENT.match(line)
        assert match is not None
        if match[1] != "restante":
            required.setdefault(match[2] or "", []).append(match[1])
    return required


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _with_version(name: str) -> str:
    return f"{name} {_version(name) or 'missing'}"
