"""Locks and unlocks the line of an account; its other words stay."""

from __future__ import annotations

from restante.auth.file import locks
from restante.auth.file.locks import EXTRAS, PROTECTED, SHADOW_LOCK
from restante.auth.file.shadow_dates import is_shadow

NOLOGIN = "nologin"


def lock_line(line: str) -> str:
    """Return a line whose account cannot log in, and gets mail all the same."""
    name, stored, others = _split(line)
    if is_shadow(others):
        return ":".join([name, f"{SHADOW_LOCK}{stored.removeprefix(SHADOW_LOCK)}", *others])
    others += [""] * (EXTRAS - 1 - len(others))
    words = others[EXTRAS - 2].split()
    if not any(map(_is_nologin, words)):
        words.append(NOLOGIN)
    return ":".join([name, stored, *others[: EXTRAS - 2], " ".join(words)])


def unlock_line(line: str) -> str:
    """Return a line without what `lock_line` adds; another lock in it stays."""
    name, stored, others = _split(line)
    if is_shadow(others):
        return ":".join([name, stored.removeprefix(SHADOW_LOCK), *others])
    if len(others) > EXTRAS - 2:
        words = [word for word in others[EXTRAS - 2].split() if not _is_nologin(word)]
        others[EXTRAS - 2] = " ".join(words)
    return ":".join([name, stored, *others])


def find_lock(line: str) -> str:
    """Return what locks the account of a line, "" if nothing does."""
    _, stored, others = _split(line)
    word = locks.login_restriction(others)
    if word is not None:
        return word.key
    return locks.HASH if locks.is_locked_hash(stored) else ""


def _split(line: str) -> tuple[str, str, list[str]]:
    name, _, after_name = line.partition(":")
    stored, *others = after_name.split(":", EXTRAS - 1)
    return name, stored, others


def _is_nologin(word: str) -> bool:
    return word.partition("=")[0].lower().removesuffix(PROTECTED) == NOLOGIN
