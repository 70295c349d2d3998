"""Mistakes in values of the configuration, in the words of TOML in place of msgspec's."""

from __future__ import annotations

import re
from typing import Literal, get_args, get_origin

_NAMES = {
    "str": "a text in quotes", "int": "a whole number", "float": "a number",
    "bool": "true or false", "array": 'a list, such as ["a", "b"]', "object": "a table",
}  # fmt: skip

_TYPE = re.compile(
    r"Expected `(?P<type>str|int|float|bool|array|object)(?: \| null)?`"
    r"(?:, got `[^`]*`| (?P<limit>[<>]=?) (?P<number>[0-9.]+))(?: - at `(?P<place>[^`]*)`)?"
)
_LENGTH = re.compile(r"Expected `str` of length <= (?P<most>[0-9]+)")
_PATTERN = re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'")
_FIELD = re.compile(
    r"Object (?P<what>missing required|contains unknown) field `(?P<field>[^`]*)`"
    r"(?: - at `(?P<place>[^`]*)`)?"
)
_LIMITS = {"<=": "of at most", ">=": "of at least", ">": "above", "<": "below"}
_EXAMPLES = {"^0?[0-7]{3}$": '"0660"', "^[!#$%&*+=^|~]$": '"*"', "^[!-~]{1,32}$": '"+junk"'}


def describe(error: Exception, kind: object) -> str:
    """Return what a value of a type must be, by the error of msgspec or of a check."""
    text = str(error)
    if text.startswith("Invalid enum value"):
        *others, last = _choices(kind)
        return f"Expected {', '.join(others)} or {last}" if others else f"Expected {last}"
    if match := _TYPE.fullmatch(text):
        limit = ""
        if match["limit"]:
            number = match["number"].removesuffix(".0")
            limit = f" {_LIMITS[match['limit']]} {number}"
        return f"Expected {_NAMES[match['type']]}{limit}{_entry(match['place'])}"
    if match := _LENGTH.fullmatch(text):
        plural = "" if match["most"] == "1" else "s"
        return f"Expected at most {match['most']} character{plural}"
    if (match := _PATTERN.fullmatch(text)) and match["pattern"] in _EXAMPLES:
        return f"Expected a text such as {_EXAMPLES[match['pattern']]}"
    if match := _FIELD.fullmatch(text):
        problem = "is missing" if match["what"] == "missing required" else "is unknown"
        return f'The key "{match["field"]}" {problem}{_entry(match["place"])}'
    return text


def _entry(place: str | None) -> str:
    """Return which entry of a list has the mistake, by its place in msgspec's words."""
    match = re.fullmatch(r"\$\[([0-9]+)\].*", place or "")
    return f" in entry {int(match[1]) + 1}" if match else ""


def _choices(kind: object) -> list[str]:
    """Return the values that a type with a Literal allows, in words."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return [f'"{word}"' for word in parts]
    inner = [choice for part in parts for choice in _choices(part)]
    return inner + ["a number"] * (kind is int)
