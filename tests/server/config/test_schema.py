"""Each setting of the configuration has an effect."""

from __future__ import annotations

import ast
import functools
import typing
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

import restante
from restante.server.config.schema import Config
from restante.server.config.section import ConfigSection

SOURCE = Path(restante.__file__).parent
NOT_READERS = ("config/loader.py", "config/mistakes.py", "config/rendering.py")
"""What checks or shows all settings alike."""

BY_NAME = "server/composition/account_sources.py"
"""It has names of attributes in a directory as words: they are settings of LDAP."""


SETTINGS = {"AuthSocketSection", "DeliverySection", "MetricsSection"}
"""The sections of listeners, which other modules know as their `settings`."""


def owners_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the variables of a module that hold a section, each with its name or its class."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.Name(id=kind)):
                yield name, kind
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=kind)):
                yield name, kind
            case ast.ClassDef(name=kind):
                yield "self", kind
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute(attr=section)):
                yield name, section
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for one, value in zip(names, values, strict=True):
                    if isinstance(one, ast.Name) and isinstance(value, ast.Attribute):
                        yield one.id, value.attr


def reads_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the attributes that a module reads: the name or the class of the owner, and theirs."""
    owners = defaultdict(set, {"settings": SETTINGS})
    for name, owner in owners_in(tree):
        owners[name].add(owner)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                for each in {owner, *owners[owner]}:
                    yield each, name


@functools.cache
def all_reads() -> set[tuple[str, str]]:
    """Return what all modules read."""
    files = [file for file in SOURCE.rglob("*.py") if not str(file).endswith(NOT_READERS)]
    found = {read for file in files for read in reads_in(ast.parse(file.read_text()))}
    for node in ast.walk(ast.parse((SOURCE / BY_NAME).read_text())):
        if isinstance(node, ast.Constant):
            found.add(("ldap", str(node.value)))
    return found


def settings_without_reader(config: type[ConfigSection]) -> list[str]:
    """Return the settings that no module reads."""
    return [
        f"{section}.{field.name}"
        for section, kind in typing.get_type_hints(config).items()
        for field in msgspec.structs.fields(kind)
        if not all_reads() & {(section, field.name), (kind.__name__, field.name)}
    ]


def test_readers() -> None:
    """Each setting is read by some module."""
    assert settings_without_reader(Config) == []


class Section(ConfigSection):
    """A table with a setting that no module reads."""

    colour: str = ""


class Another(Config):
    """A configuration with that table."""

    paint: Section = msgspec.field(default_factory=Section)


def test_setting_without_reader() -> None:
    """A setting that no module reads is found."""
    assert settings_without_reader(Another) == ["paint.colour"]
