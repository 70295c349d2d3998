"""The grammars of arguments, which follow a command's keyword.

Each grammar turns the octets after the keyword and its one space into the arguments of a handler.
RFC 1939 section 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

from restante.protocol.saslprep import account_name
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments: TypeAlias = tuple[Any, ...]

MAX_DIGITS = 18  # of a number: it fits 64 bits, and int() is never slow


class NoMatchError(Exception):
    """The octets do not follow the grammar."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How the arguments of a command are written and parsed.

    Attributes:
        usage: their form, for people.
        read: returns the handler's arguments, or raises NoMatchError.
        bare: what `read` returns if nothing follows the keyword, which saves its call; None: the
            same by `read`.
    """

    usage: str
    read: Callable[[bytes], Arguments]
    bare: Arguments | None = None


def _words(argument: bytes) -> list[bytes]:
    """Split at single spaces. Spaces at the end do not count, since people type them."""
    argument = argument.rstrip(b" ")
    return argument.split(b" ") if argument else []


def _number(word: bytes) -> int:
    """Parse 1 to 18 ASCII digits: int() alone accepts signs, underscores and spaces, too."""
    if not word.isdigit() or len(word) > MAX_DIGITS:
        raise NoMatchError
    return int(word)


def _nothing(argument: bytes) -> Arguments:
    if argument.rstrip(b" "):
        raise NoMatchError
    return ()


def _message(argument: bytes) -> Arguments:
    if argument.isdigit() and len(argument) <= MAX_DIGITS:  # as nearly always, in one call less
        return (int(argument),)
    return (_number(argument.rstrip(b" ")),)


def _message_or_nothing(argument: bytes) -> Arguments:
    return _message(argument) if argument.rstrip(b" ") else (None,)


def _message_and_lines(argument: bytes) -> Arguments:
    number, _, lines = argument.rstrip(b" ").partition(b" ")
    return _number(number), _number(lines or b"0")  # RFC 1939 requires the count; users omit it


def _mechanism(argument: bytes) -> Arguments:
    match _words(argument):
        case []:
            return None, None
        case [name]:
            return _token(name).upper(), None
        case [name, initial]:
            return _token(name).upper(), initial
    raise NoMatchError


def _name_and_digest(argument: bytes) -> Arguments:
    name, _, digest = argument.rstrip(b" ").rpartition(b" ")
    if not re.fullmatch(rb"[0-9a-f]{32}", digest):
        raise NoMatchError
    return *_name(name), digest.decode()


def _language(argument: bytes) -> Arguments:
    match _words(argument):
        case []:
            return (None,)
        case [b"*"]:
            return ("*",)
        case [tag]:
            return (_token(tag),)
    raise NoMatchError


def _token(word: bytes) -> str:
    """Return a word of letters, digits, "-" and "_", as mechanisms and languages are named."""
    if not re.fullmatch(rb"[A-Za-z0-9_-]{1,40}", word):
        raise NoMatchError
    return word.decode()


def _name(argument: bytes) -> Arguments:
    try:
        name = account_name(argument)
    except ValueError:
        raise NoMatchError from None
    if not name:
        raise NoMatchError
    return (name,)


def _password(argument: bytes) -> Arguments:
    """Return the whole argument: spaces may be part of a password. RFC 1939 section 7, PASS."""
    if not argument:
        raise NoMatchError
    return (Secret(argument),)


def _client(argument: bytes) -> Arguments:
    """Return the address among the fields of XCLIENT. The values of the others do not count."""
    fields = [word.partition(b"=") for word in _words(argument)]
    if not all(equals for _, equals, _ in fields):
        raise NoMatchError
    try:
        (address,) = (value.decode() for name, _, value in fields if name.upper() == b"ADDR")
        ip_address(address)
    except ValueError:
        raise NoMatchError from None
    return (address,)


nothing = Grammar("", _nothing, ())
message = Grammar("message", _message)
message_or_nothing = Grammar("[message]", _message_or_nothing, (None,))
message_and_lines = Grammar("message [lines]", _message_and_lines)
name = Grammar("name", _name)
mechanism = Grammar("[mechanism [initial-response]]", _mechanism)
name_and_digest = Grammar("name digest", _name_and_digest)
language = Grammar("[language]", _language)
password = Grammar("password", _password)
client = Grammar("ADDR=address [name=value ...]", _client)
