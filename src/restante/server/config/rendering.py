"""A configuration as a file: all settings with their values, defaults included and marked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from restante.server.config.section import ConfigSection

if TYPE_CHECKING:
    from restante.server.config.schema import Config

DEFAULT = "  # default"


def render(config: Config, *, changed: bool = False) -> str:
    """Return a configuration as TOML that `load` reads back; `changed` omits the defaults.

    A comment marks each value that is the default, and names each setting without a value.
    """
    blocks = [
        block
        for name in _fields(config)
        for block in _render_section(name, getattr(config, name), changed)
    ]
    return "\n\n".join(blocks) + "\n"


def _render_section(name: str, section: ConfigSection, changed: bool) -> Iterator[str]:  # noqa: FBT001
    lines: list[str] = []
    tables: list[str] = []
    for key, field in _fields(section).items():
        value = getattr(section, key)
        is_default = value == _default(field)
        if changed and is_default:
            continue
        if isinstance(value, Mapping):
            for table_name, table in value.items():
                tables += _render_section(f"{name}.{key}.{table_name}", table, changed)
        elif value is None:
            lines.append(f"# {key} is not set")
        else:
            lines.append(f"{key} = {_render_value(value)}{DEFAULT if is_default else ''}")
    if lines:
        yield "\n".join([f"[{name}]", *lines])
    yield from tables


def _render_value(value: Any) -> str:
    match value:
        case ConfigSection():
            pairs = ", ".join(f"{key} = {_render_value(text)}" for key, text in _values(value))
            return f"{{ {pairs} }}"
        case tuple():
            return f"[{', '.join(map(_render_value, value))}]"
        case Path():
            return _quote(str(value))
        case str():
            return _quote(value)
    return json.dumps(value)  # a number or a boolean


def _quote(text: str) -> str:
    """Return a basic string of TOML, which is that of JSON but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _values(section: ConfigSection) -> Iterator[tuple[str, Any]]:
    for key in _fields(section):
        value = getattr(section, key)
        if value is not None:
            yield key, value


def _fields(section: ConfigSection) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(section)}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    factory = field.default_factory
    return field.default if factory is msgspec.NODEFAULT else factory()
