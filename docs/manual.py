"""Writes the man pages, from the texts of the help and of the reference: python docs/manual.py FOLDER."""

from __future__ import annotations

import datetime as dt
import inspect
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

import generate
import surroundings
from restante import __version__
from restante.cli.main import SECTIONS, SUBCOMMANDS, main
from restante.server.config.schema import Config

NOTE = '.\\" Written by docs/manual.py of Restante, from the texts of its help.\n'
HELP_OPTIONS = ["-h", "--help"]
EXIT_CODE = re.compile(r"^\| (\d+) \| (.*) \|$", re.MULTILINE)
EXIT_STATUS = {
    "monitor": "0 is OK, 1 WARNING, 2 CRITICAL and 3 UNKNOWN, as monitoring systems require.",
    "deliver": "The codes of sysexits.h, as MTAs require: 0 if the message is delivered.",
}
OTHER_STATUS = "0 is success, 1 success with warnings, 2 a usage error. `pop3(1)` has all codes."


def escape(text: str) -> str:
    """Return a text whose characters roff prints as they are, with `words` in bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def usage(text: str) -> str:
    """Return a usage line or a list of options with its metavars in italics."""
    return re.sub(r"\b[A-Z][A-Z]+\b", r"\\fI\g<0>\\fR", escape(text))


class RoffFormatter(click.HelpFormatter):
    """What click's commands write their help to, as the source of a man page."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write a usage line."""
        del prefix
        self.write(f"\\fB{escape(prog)}\\fR {usage(args)}\n")

    def write_heading(self, heading: str) -> None:
        """Write the title of a section, which begins a paragraph itself."""
        self.end_paragraph()
        self.write(f".SH {escape(heading.upper())}\n")

    def write_paragraph(self) -> None:
        """Begin a paragraph, unless one has just begun."""
        if self.buffer and not self.buffer[-1].startswith((".S", ".PP")):
            self.write(".PP\n")

    def end_paragraph(self) -> None:
        """Remove the beginning of a paragraph that has no text."""
        if self.buffer and self.buffer[-1] == ".PP\n":
            self.buffer.pop()

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with a backspace keeps its lines."""
        for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(text))):
            if number:
                self.write_paragraph()
            if paragraph.startswith("\b"):
                kept = paragraph.removeprefix("\b").strip("\n")
                self.write(f".nf\n{escape(inspect.cleandoc(kept))}\n.fi\n")
            else:
                self.write(f"{escape(' '.join(paragraph.split()))}\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], *_: int, **__: int) -> None:
        """Write terms, each with its text."""
        for term, text in rows:
            self.write(f".TP\n\\fB{usage(term.strip())}\\fR\n{escape(text)}\n")


class Subsections(RoffFormatter):
    """A formatter for a command within the page of its group."""

    def write_heading(self, heading: str) -> None:
        """Write the name of a group of options, as a paragraph."""
        self.end_paragraph()
        if heading != "Options":
            self.write(f".PP\n\\fI{escape(heading)}\\fR\n")


def page(name: str, section: int, summary: str, body: str, others: Iterable[str]) -> str:
    """Return a whole man page."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    date = dt.datetime.fromtimestamp(seconds, dt.UTC).date()
    line = summary.removesuffix(".").replace("`", "")
    line = line if line[:2].isupper() else line[:1].lower() + line[1:]
    see = ",\n".join(f".BR {escape(other)} ({number})" for other, number in _numbered(others))
    return (
        f'{NOTE}.TH {escape(name.upper())} {section} {date} "Restante {__version__}" "Restante"\n'
        f".SH NAME\n{escape(name)} \\- {escape(line)}\n{body}"
        f".SH SEE ALSO\n{see.replace(',', ' ,')}\n"
    )


def _numbered(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    for name in names:
        yield name, 5 if name.endswith(".toml") else 1


def command_page(name: str, context: click.Context) -> str:
    """Return the man page of a subcommand, with the commands below it."""
    command = main.get_command(context, name)
    assert command is not None
    own = click.Context(command, info_name=name, parent=context)
    formatter = RoffFormatter()
    formatter.write(".SH SYNOPSIS\n")
    command.format_usage(own, formatter)
    formatter.write(".SH DESCRIPTION\n")
    command.format_help_text(own, formatter)
    command.format_options(own, formatter)
    if isinstance(command, click.Group):
        formatter.write_heading("Usage of each command")
        for below in command.list_commands(own):
            formatter.end_paragraph()
            formatter.write(_subsection(command.get_command(own, below), below, own))
    if name == "fetch":
        formatter.write_heading("Settings")
        for table in generate.FETCH_TABLES:
            _write_table(formatter, table)
    _write_surroundings(formatter, name, command)
    related = next(rows for rows in SECTIONS.values() if name in rows)
    others = ["pop3", *(f"pop3-{other}" for other in related if other != name)]
    if name in {"serve", "config"}:
        others.append("restante.toml")
    return page(f"pop3-{name}", 1, SUBCOMMANDS[name].summary, formatter.getvalue(), others)


def _write_surroundings(formatter: RoffFormatter, name: str, command: click.Command) -> None:
    """Write the exit status of a command, and the variables and the files that it uses."""
    formatter.write_heading("Exit status")
    formatter.write_text(EXIT_STATUS.get(name, OTHER_STATUS))
    for title, rows in (("Environment", surroundings.VARIABLES), ("Files", surroundings.FILES)):
        own = list(surroundings.used_by(rows, name, command))
        if own:
            formatter.write_heading(title)
            formatter.write_dl((row.name, row.meaning) for row in own)


def _labelled(rows: Iterable[surroundings.Row]) -> Iterator[tuple[str, str]]:
    for row in rows:
        one = " " not in row.commands and row.commands != surroundings.ALL
        commands = f"pop3 {row.commands}" if one else row.commands
        yield row.name, f"{row.meaning} Used by: {commands}."


def _subsection(command: click.Command | None, name: str, parent: click.Context) -> str:
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    formatter = Subsections()
    formatter.write(f".SS {escape(context.command_path)}\n")
    command.format_usage(context, formatter)
    formatter.write(".PP\n")
    command.format_help_text(context, formatter)
    command.format_options(context, formatter)
    return formatter.getvalue()


def _write_table(formatter: RoffFormatter, table: type[msgspec.Struct]) -> None:
    """Write what a table of a configuration is for, and its settings."""
    section = generate.read_section(table)
    formatter.write_paragraph()
    formatter.write_text(section.opening)
    formatter.write_dl((row.key, f"{row.meaning} Default: {row.default}.") for row in section.rows)


def main_page(context: click.Context) -> str:
    """Return the man page of pop3 itself."""
    formatter = RoffFormatter()
    formatter.write(".SH SYNOPSIS\n")
    main.format_usage(context, formatter)
    formatter.write(".SH DESCRIPTION\n")
    main.format_help_text(context, formatter)
    formatter.write(".SH OPTIONS\n")
    formatter.write_dl(row for row in _options(main, context))
    for title, rows in SECTIONS.items():
        formatter.write_heading(title)
        formatter.write_dl((f"pop3 {name}", row.summary) for name, row in rows.items())
    formatter.write_heading("Exit status")
    formatter.write_dl(EXIT_CODE.findall(generate.TOOLBOX))
    formatter.write_heading("Environment")
    formatter.write_dl(_labelled(surroundings.VARIABLES))
    formatter.write_heading("Files")
    formatter.write_dl(_labelled(surroundings.FILES))
    others = [f"pop3-{name}" for name in SUBCOMMANDS]
    summary = "serve mail over POP3, and find out why a mail account does not work"
    return page("pop3", 1, summary, formatter.getvalue(), [*others, "restante.toml"])


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield record


def configuration_page() -> str:
    """Return the man page of the configuration file."""
    formatter = RoffFormatter()
    formatter.write(".SH DESCRIPTION\n")
    formatter.write_text(CONFIGURATION)
    for field in msgspec.structs.fields(Config):
        formatter.write(f".SH [{escape(field.name)}]\n")
        _write_table(formatter, field.type)
    summary = "the configuration file of a POP3 server"
    return page("restante.toml", 5, summary, formatter.getvalue(), ["pop3-serve", "pop3-config"])


CONFIGURATION = """`pop3 serve --config FILE` reads a TOML file. Paths in it are relative to its folder. Options of the
command override it. The server rejects unknown keys and wrong types, and reports all mistakes at once.
`pop3 config check` finds mistakes without a server. The minimal file is:

\b
[mail]
folder = "/srv/mail"

\b
[accounts]
users = "/etc/restante/users"
"""


def pages() -> dict[str, str]:
    """Return all man pages by the names of their files."""
    context = click.Context(main, info_name="pop3", help_option_names=HELP_OPTIONS)
    made = {"pop3.1": main_page(context), "restante.toml.5": configuration_page()}
    return made | {f"pop3-{name}.1": command_page(name, context) for name in SUBCOMMANDS}


if __name__ == "__main__":
    for name, text in pages().items():
        folder = Path(sys.argv[1]) / f"man{name[-1]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
