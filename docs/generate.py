"""Writes the reference pages that come from the code and the tests: python docs/generate.py (make docs does)."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

import requirements
from restante.protocol.capabilities import CAPABILITIES
from restante.protocol.commands import COMMANDS, Command
from restante.protocol.sasl import MECHANISMS
from restante.server.sections import Config, Section

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py. Change the code, then: make docs -->\n"


def commands() -> str:
    rows = "\n".join(_command(row) for row in COMMANDS)
    tags = "\n".join(f"| `{row.tag}` | {row.source} |" for row in CAPABILITIES)
    mechanisms = "\n".join(f"| `{row.name}` | {row.source} |" for row in MECHANISMS.values())
    return f"""{NOTE}
# POP3 commands

Keywords may be in any case. A command has at most 255 octets, line end included, but AUTH and the
responses after it may have 65536. A number is 1 to 18 digits. After `-ERR` a session goes on, unless there were too many bad commands in a row.

| command | allowed | what it does | source |
|---|---|---|---|
{rows}

PASS must come directly after USER. TOP without a count of lines shows none of the body.

## Capabilities

What CAPA may announce, before login and after it alike but for STLS:

| capability | source |
|---|---|
{tags}

## Mechanisms of AUTH

In the order in which they are announced. `pop3 serve` offers what its accounts and the connection make
possible: [how to choose](../how-to/logins.md).

| mechanism | source |
|---|---|
{mechanisms}

## Response codes

| code | after | means | source |
|---|---|---|---|
| `[AUTH]` | PASS, APOP, AUTH; USER without TLS | the name or the password is wrong, and nothing tells which; or no passwords in clear here | RFC 3206 section 5 |
| `[IN-USE]` | PASS, APOP, AUTH | the password was right; another session holds the maildrop | RFC 2449 section 8.1.2 |
| `[LOGIN-DELAY]` | PASS, APOP, AUTH | the password was right; the last login was too recent | RFC 2449 section 8.1.1 |
| `[UTF8]` | LIST, RETR, TOP | the message's header is in UTF-8, and the server is configured to refuse it to who did not say UTF8 | RFC 6856 section 2.2 |
| `[SYS/TEMP]` | any | not the client's fault, and likely to pass | RFC 3206 section 4 |
| `[SYS/PERM]` | any | not the client's fault, and somebody must mend it | RFC 3206 section 4 |
"""


def _command(row: Command) -> str:
    usage = f"{row.verb.decode()} {row.argument.usage}".rstrip()
    states = "before login" if row.states[0].name == "AUTHORIZATION" else "after login"
    if len(row.states) > 1:
        states = "always"
    told = inspect.getdoc(row.handler) or ""
    told = told.split("\n\n")[0].replace("\n", " ").split(" RFC ")[0]
    return f"| `{usage}` | {states} | {told} | {row.source} |"


def configuration() -> str:
    sections = "\n".join(
        _section(field.name, field.type) for field in msgspec.structs.fields(Config)
    )
    return f"""{NOTE}
# Configuration

`pop3 serve --config FILE` reads a TOML file. Paths in it are relative to its own folder. Flags of the
command win over it. A key that is unknown or has the wrong type is refused, and all mistakes are told
at once. The least file is:

```toml
[mail]
folder = "/srv/mail"

[accounts]
users = "/etc/restante/users"
```

{sections}"""


def _section(name: str, section: type[Section]) -> str:
    opening, _, attributes = (inspect.getdoc(section) or "").partition("\n\nAttributes:\n")
    lines = re.sub(r"\n {8,}", " ", attributes).splitlines()  # one for each attribute
    told = dict(line.strip().split(": ", 1) for line in lines if line.strip())
    rows = "\n".join(
        f"| `{field.name}` | {_default(field)} | {told[field.name]} |"
        for field in msgspec.structs.fields(section)
    )
    return f"""## [{name}]

{opening}

| key | default | what |
|---|---|---|
{rows}
"""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "none: it must be given"
    if field.default is None:
        return "none"
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(default)}`"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "configuration.md": configuration,
    "rfc.md": requirements.page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
