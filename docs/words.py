"""Rejects words that give bad English away: python docs/words.py (make check does).

It reads the pages, the help, the explanations, and the docstrings and comments of src, tests and
benchmarks. The rules are in CONTRIBUTING.md under "English". Code and output are skipped.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from restante.cli.main import SUBCOMMANDS, main
from restante.diagnosis.explanations import EXPLANATIONS

ROOT = Path(__file__).parents[1]

# What is matched, and what to write in its place.
WORDS = {
    r"(?<!staff )(?<!er )(?<!ers )(?<!or )(?<!ors )(?<!people )\bwho(?:ever|m|mever)?\b":
        "name the subject: the server, clients, administrators",
    r"\bwant(?:s|ed|ing)\b": "require; only people want, and they want 'to'",
    r"\b(?:is|are|was|were|be) told\b": "is reported, is logged, gets an error",
    r"\b(?:tells|hears)\b": "reports, says, gets",
    r"(?<!there )\b(?:is|are) (?:no(?! longer| more)|none|nobody's)\b": "is not; invalid; unknown",
    r"\bby then\b": "name the time",
    r"\bso (?:many|long)\b": "name the number or the time",
    r"\b(?:somebody|nobody|everybody)\b": "name the subject: no user, any client",
    r"\bwherever|whence|whereto\b": "if",
    r"\bbehind (?:it|them|this|that|[-+#~]|(?:an?|the|its|each) (?:\w+ )?(?:reply|answer|refusal|challenge"
    r"|status line|command|keyword|name|number|message|dot|colon|hyphen|tag|header|line|goodbye))\b":
        "after it",
    r"\b(?:takes?|took|taken) the place of": "replace",
    r"\btakes (?!(?:(?:about|at most|under|over|some|nearly|only) )?"
    r"(?:an?|as|at|\d+|ten|half|four|fewer|few|less|longer|long|more than|too|time|all the time"
    r"|effect|precedence|for|in|to|by|until|part|many)\b)": "accepts, reads, gets, requires",
    r"\blooks (?:at|after|for)\b": "examines, checks, searches",
}  # fmt: skip
GIVEAWAYS = [(re.compile(word, re.IGNORECASE), advice) for word, advice in WORDS.items()]

# Written by docs/generate.py or make bench from the texts of the code, which are checked themselves.
SKIPPED = {
    *(f"docs/reference/{name}.md" for name in (
        "benchmark", "commands", "configuration", "rfc", "toolbox", "verdicts", "web-api")),
}  # fmt: skip


def pages() -> Iterator[Path]:
    """Yield the hand-written pages."""
    for page in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))):
        if "_build" not in page.parts and str(page.relative_to(ROOT)) not in SKIPPED:
            yield page


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page with their numbers, without code and quotations."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, re.sub(r'`[^`]*`|"[^"]*"|\*[^*]*\*', "", line)


def comments(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of the docstrings and comments of a module, without code and quotations."""
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        docstring = token.type == tokenize.STRING and token.string.startswith('"""')
        filler = token.string.startswith('"""\\')  # a text of the program
        if (docstring and not filler) or token.type == tokenize.COMMENT:
            for number, line in enumerate(token.string.replace('"""', "").splitlines()):
                yield token.start[0] + number, re.sub(r'`[^`]*`|"[^"]*"|\bNone\b', "", line)


def help_texts() -> Iterator[tuple[str, str]]:
    """Yield the name of each command of pop3, and its help with that of its options."""
    todo: list[tuple[str, click.Command]] = [
        (name, main.get_command(click.Context(main), name) or main) for name in SUBCOMMANDS
    ]
    for name, command in todo:
        if isinstance(command, click.Group):
            todo += [(f"{name} {sub}", each) for sub, each in command.commands.items()]
        options = [p.help or "" for p in command.params if isinstance(p, click.Option)]
        yield name, "\n".join([command.help or "", *options])


def explanations() -> Iterator[tuple[str, str]]:
    """Yield the id of each explanation, and its sentences."""
    for row in EXPLANATIONS.values():
        yield row.id, f"{row.verdict}\n{row.why}\n{row.admin}\n{row.you}\n{row.more}"


def faults(lines: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Yield each word that gives bad English away, with its line and advice."""
    for number, line in lines:
        for word, advice in GIVEAWAYS:
            for match in word.finditer(line):
                yield f"{number}: {match[0]!r}: {advice}"


def problems() -> Iterator[str]:
    """Yield each such word of all texts."""
    texts = [(str(page.relative_to(ROOT)), prose(page.read_text())) for page in pages()]
    texts += [
        (str(file.relative_to(ROOT)), comments(file))
        for folder in ("src", "tests", "benchmarks")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ]
    for name, text in (*help_texts(), *explanations()):
        texts.append((name, enumerate(text.splitlines(), 1)))
    for name, lines in texts:
        yield from (f"{name}:{word}" for word in faults(lines))


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or None)
