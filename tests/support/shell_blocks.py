"""The shell blocks of a page, and the marks that say how they run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SHELL = {"sh", "bash", "shell", "console"}
OTHER = {"toml", "ini", "python", "sql", "text", "xml"}
MARK = re.compile(r"<!-- (serves|not run:) (\S.*) -->")

FENCE = re.compile(r"( {0,3})```(.*)")  # in a list it is indented as the list's text


@dataclass(frozen=True)
class Block:
    """Commands, the line where they begin, and their mark.

    `<!-- serves PORT -->` before a block: it ends only when it is stopped.
    `<!-- not run: REASON -->`: it cannot run here.
    """

    line: int
    commands: str
    mark: str = ""
    value: str = ""


def blocks(page: Path) -> list[Block]:
    """Return the shell blocks of a page: fences, and all that is indented by four or more.

    A fence in a language that is not listed here is a ValueError, and so is a mark without a
    block.
    """
    found, mark, lines = [], ("", ""), page.read_text().splitlines()
    number = 0
    while number < len(lines):
        begin, line = number + 1, lines[number]
        number += 1
        if match := MARK.fullmatch(line):
            mark = (match[1].rstrip(":"), match[2])
            continue
        if line.startswith("<!--"):
            raise ValueError(f"{page}:{begin}: an unknown mark")
        if match := FENCE.fullmatch(line):
            indent, language = match.groups()
            end = lines.index(f"{indent}```", number)
            text = [typed.removeprefix(indent) for typed in lines[number:end]]
            number = end + 1
            if language not in SHELL | OTHER:
                raise ValueError(f"{page}:{begin}: {language or 'no language'}")
            if language not in SHELL:
                text = []
            elif language == "console":
                text = [typed[2:] for typed in text if typed.startswith("$ ")]
        elif line.startswith("    "):
            while number < len(lines) and (lines[number].startswith("    ")):
                number += 1
            text = [indented[4:] for indented in lines[begin - 1 : number]]
        else:
            text = []
        if text:
            found.append(Block(begin, "\n".join(text), *mark))
        elif line and mark[0]:
            raise ValueError(f"{page}:{begin}: a mark without a block")
        mark = mark if not line else ("", "")
    return found
