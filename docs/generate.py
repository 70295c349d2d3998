"""Writes the reference pages that come from the code and the tests: python docs/generate.py (make docs does)."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

import requirements
import surroundings
from restante.cli.options.fetch_settings import ConditionSettings, FetchSettings, RuleSettings
from restante.diagnosis.explanations import GROUPS, Explanation
from restante.misbehave import Fault
from restante.misbehave.profiles import Profile
from restante.protocol.server.capabilities import CAPABILITIES
from restante.protocol.server.commands import COMMANDS, OF_PROXIES, Command
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.server.config.schema import Config
from restante.server.config.section import ConfigSection
from restante.server.metrics.catalogue import FOUND, METRICS, MetricSpec

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py. Change the code, then: make docs -->\n"


def commands() -> str:
    rows, of_proxies = (
        "\n".join(map(_command, table)) for table in (COMMANDS, OF_PROXIES.values())
    )
    tags = "\n".join(f"| `{row.tag}` | {row.source} |" for row in CAPABILITIES)
    mechanisms = "\n".join(f"| `{row.name}` | {row.source} |" for row in SERVER_MECHANISMS.values())
    return f"""{NOTE}
# POP3 commands

Keywords may be in any case. A command has at most 255 octets, including its line end. AUTH, its
responses and XCLIENT may have 65536. A number has 1 to 18 digits. After `-ERR` the session continues, unless there were too many bad
commands in a row, a line of over 65536 octets, or an HTTP request. A connection over the limit is closed, too.

| command | allowed | what it does | source |
|---|---|---|---|
{rows}

PASS must directly follow USER. TOP without a number of lines sends no body line.

## A command of proxies

[Dovecot as a proxy](../how-to/logins.md#behind-a-proxy) names its client by this command. The server announces it in the
greeting, by `+OK [XCLIENT]`, to proxies of `server.xclient_proxies`. To all others it is unknown.

| command | allowed | what it does | source |
|---|---|---|---|
{of_proxies}

`ADDR=` is the client's IP address. The other fields of Dovecot have no effect.

## Capabilities

CAPA can announce these capabilities before and after login, except STLS:

| capability | source |
|---|---|
{tags}

## Mechanisms of AUTH

This is the order of the announcement. `pop3 serve` offers the mechanisms that its accounts and the connection
allow: [how to choose](../how-to/logins.md).

| mechanism | source |
|---|---|
{mechanisms}

## Response codes

| code | after | meaning | source |
|---|---|---|---|
| `[AUTH]` | PASS, APOP, AUTH; USER without TLS | the name or the password is wrong; or a token or certificate is invalid; or cleartext passwords are not allowed. The reply does not reveal which. | RFC 3206 section 5 |
| `[IN-USE]` | PASS, APOP, AUTH | the password was right; another session or program holds the maildrop | RFC 2449 section 8.1.2 |
| `[LOGIN-DELAY]` | PASS, APOP, AUTH | the password was right; the last login was too recent | RFC 2449 section 8.1.1 |
| `[UTF8]` | LIST, RETR, TOP | the message's header is in UTF-8, and the server is configured to reject it for clients without UTF8 | RFC 6856 section 5 |
| `[SYS/TEMP]` | any | temporary failure of the server; a retry may succeed | RFC 3206 section 4 |
| `[SYS/PERM]` | any | permanent failure of the server; an administrator must act | RFC 3206 section 4 |
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

`pop3 serve --config FILE` reads a TOML file in UTF-8. Paths in it are relative to its folder. Options of the command
override it. The server rejects unknown keys and wrong types, and reports all mistakes at once. The minimal
file is:

```toml
[mail]
folder = "/srv/mail"

[accounts]
users = "/etc/restante/users"
```

{sections}"""


FETCH_TABLES: tuple[type[msgspec.Struct], ...] = (FetchSettings, RuleSettings, ConditionSettings)
"""The tables of an account in accounts.toml that `pop3 fetch` reads."""


class Setting(NamedTuple):
    """A key of the configuration, its default and its meaning."""

    key: str
    default: str
    meaning: str


class Section(NamedTuple):
    """A table of the configuration: what it is for, and its keys."""

    opening: str
    rows: list[Setting]


def read_section(section: type[msgspec.Struct]) -> Section:
    """Return the texts of a table from its class."""
    opening, _, attributes = (inspect.getdoc(section) or "").partition("\n\nAttributes:\n")
    lines = re.sub(r"\n {8,}", " ", attributes).splitlines()  # one for each attribute
    told = dict(line.strip().split(": ", 1) for line in lines if line.strip())
    rows = [
        Setting(field.encode_name, _default(field), told[field.name])
        for field in msgspec.structs.fields(section)
    ]
    return Section(opening, rows)


def _section(name: str, section: type[ConfigSection]) -> str:
    return f"## [{name}]\n\n{_table(section)}"


def _table(section: type[msgspec.Struct]) -> str:
    opening, settings = read_section(section)
    rows = "\n".join(f"| `{row.key}` | {row.default} | {row.meaning} |" for row in settings)
    return f"""{opening}

| key | default | meaning |
|---|---|---|
{rows}
"""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is None or field.default is msgspec.NODEFAULT:  # a table of tables
        return "none"
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{json.dumps(default)}`"


def toolbox() -> str:
    from restante.cli.main import SUBCOMMANDS, main

    names = ["-h", "--help"]
    context = click.Context(main, info_name="pop3", terminal_width=88, help_option_names=names)
    parts: list[str] = []
    for name in SUBCOMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        sub = click.Context(command, info_name=name, parent=context, terminal_width=88)
        parts.append(f"## pop3 {name}\n\n```text\n{command.get_help(sub)}\n```\n")
        if name == "fetch":
            parts.append("### Settings of pop3 fetch\n\n" + "\n".join(map(_table, FETCH_TABLES)))
        if not isinstance(command, click.Group):
            continue
        for below in command.list_commands(sub):
            child = command.get_command(sub, below)
            assert child is not None
            child_context = click.Context(child, info_name=below, parent=sub, terminal_width=88)
            parts.append(
                f"### pop3 {name} {below}\n\n```text\n{child.get_help(child_context)}\n```\n"
            )
    of_check = parts[0][parts[0].index("\n\nConnection options:") : -len("\n```\n")]
    parts[1:] = [
        f"{part.replace(of_check, '')}\n{AS_CHECK}" if of_check in part else part
        for part in parts[1:]
    ]
    return f"""{NOTE}
# The command pop3

{TOOLBOX}

{surroundings.sections()}{"".join(f"{chr(10)}{part}" for part in parts)}"""


AS_CHECK = "The connection and password options are those of [pop3 check](#pop3-check).\n"


TOOLBOX = """ACCOUNT is `user@domain`, whose server is [discovered](../how-to/discover.md); or
`pop3s://user@host[:port]` (TLS from the first octet), `pop3://user@host[:port]` (TLS by STLS); or a name
in `~/.config/restante/accounts.toml`:

```toml
[work]
account = "pop3s://ann@mail.example.com"
password_command = "pass show mail/ann"

[club]
account = "pop3s://ann@192.0.2.25"
cacert = "club.pem"                  # --cacert, a file beside this one
servername = "mail.club.example"     # --servername
```

In a URL the last "@" separates user and host, so a user name may contain one: `pop3://info@example.com@127.0.0.1:1110`.

The password comes from the option that is typed: `--password-command`, `--password-file`, `--password-stdin`, `--netrc` or
`--keyring`. Without one, it comes from the first of these: the `password_command` of `accounts.toml`, the environment variable
`POP3_PASSWORD`, a prompt. After `pop3 login ACCOUNT` no password is required: see [Sign in](../how-to/sign-in.md).

## Exit codes

| code | meaning |
|---|---|
| 0 | success |
| 1 | success with warnings; a command for servers or for tests failed |
| 2 | usage error |
| 3 | name resolution failed |
| 4 | connection failed or timed out |
| 5 | TLS or certificate failed, or the server could not prove its identity |
| 6 | not a POP3 server, or a protocol error |
| 7 | login rejected |
| 8 | temporary failure of the server |
| 9 | mailbox in use |
| 10 | POP or this login mechanism is switched off |
| 11 | message incomplete |
| 12 | the destination of `pop3 fetch` does not accept mail, or this machine has too little memory, threads or space for the output |
| 13 | deletion not confirmed |
| 14 | permanent failure of the server; an administrator must act |
| 15 | a bug of `pop3 fetch` ended the run of an account; its output names the file with the traceback |
| 130 | interrupted |

`pop3 monitor` exits with 0 to 3, as monitoring systems require, and `pop3 deliver` with the codes of sysexits.h,
as MTAs require. [Output as JSON](json.md) has the fields of `--json`."""


def verdicts() -> str:
    text = f"""{NOTE}
# Verdicts

`pop3 check` and `pop3 explain ID` print these verdicts. The exit code is that of a failure. A warning exits with 1.
Errors of the library have the same ids.
"""
    for heading, rows in GROUPS.items():
        text += f"\n## {heading}\n" + "".join(map(_verdict, rows))
    return text


def _verdict(row: Explanation) -> str:
    """Return the section of a verdict."""
    fixes = (("Administrator", row.admin), ("You", row.you), ("Exit code", str(row.exit)))
    paragraphs = [f"### `{row.id}`", f"**{row.verdict}** {row.why}".rstrip(), row.more]
    paragraphs.append("\n".join(f"- {name}: {fix}" for name, fix in fixes if fix))
    return "".join(f"\n{each}\n" for each in paragraphs if each)


def misbehaviours() -> str:
    from restante.misbehave.catalogue import STAGES
    from restante.misbehave.profiles import LIKE
    from restante.misbehave.smtp.catalogue import SMTP_FAULTS
    from restante.misbehave.smtp.catalogue import STAGES as SMTP_STAGES

    stages = "\n".join(
        f"## {stage}\n\n| fault | the server | a good client | `pop3 check` | seen |\n"
        f"|---|---|---|---|---|\n" + "\n".join(_fault(fault) for fault in rows) + "\n"
        for stage, rows in STAGES.items()
    )
    profiles = "\n".join(
        f"| `{name}` | {row.sentence} | {_parts(row)} | {row.seen} |" for name, row in LIKE.items()
    )
    count = sum(map(len, STAGES.values()))
    smtp = "\n".join(
        f"### {stage}\n\n| fault | the server | a good program | seen |\n|---|---|---|---|\n"
        + "\n".join(
            f"| `{fault.name}` | {fault.sentence} | {fault.good_client} | {fault.seen} |"
            for fault in rows
        )
        + "\n"
        for stage, rows in SMTP_STAGES.items()
    )
    return f"""{NOTE}
# Misbehaviours

`pop3 misbehave NAME` serves POP3 with one of these {count} faults, and everything else is right:
[how to test a client](../how-to/test-clients.md). The user is joe, the password secret, and
there are two messages, unless the fault says otherwise. A good client fetches all messages, and deletes each one that it has
stored whole. The column `pop3 check` has the verdicts that the check may give. A fault of TLS shows to a client that requires
TLS. Names add up: `retr-cut+slow-latency`.

{stages}
## Known servers

| name | the server | its faults, by name or as rules | seen |
|---|---|---|---|
{profiles}

## SMTP

`pop3 dev --fault NAME`, its page, `MemoryServer.misbehave` and the mark `smtp_faults` switch on these {len(SMTP_FAULTS)} faults of
SMTP, for programs that send mail: [a mailbox for development](../how-to/develop.md). A refused message is not stored, and a
refused recipient does not get it.

{smtp}"""


def _fault(fault: Fault) -> str:
    verdict = " ".join(f"`{each}`" for each in fault.verdict) or "passes"
    if fault.verdict and fault.deep:
        verdict += " with `--deep`"
    return f"| `{fault.name}` | {fault.sentence} | {fault.good_client} | {verdict} | {fault.seen} |"


def _parts(profile: Profile) -> str:
    return " ".join(f"`{each}`" for each in (*profile.faults.split(), *profile.rules.splitlines()))


def metrics() -> str:
    rows = "\n".join(map(_metric, (*METRICS, *FOUND)))
    values = "\n".join(
        f"| `{metric.name}` | `{label}` | {', '.join(f'`{value}`' for value in known)} |"
        for metric in METRICS
        for label, known in metric.labels.items()
    )
    return f"""{NOTE}
# Metrics

`/metrics` has these metrics, if the configuration has an address in its table [metrics]:
[how to set it up](../how-to/metrics.md). Counters count since the start of the server. They are sums over all
workers, and survive the end of a worker and a reload. No label has a user, an address or a domain.

| metric | type | labels | meaning |
|---|---|---|---|
{rows}

The upper bounds of a histogram are in seconds.

## Values of labels

The words are those of [the log](log.md). Any other word counts as `other`.

| metric | label | values |
|---|---|---|
{values}
"""


def _metric(metric: MetricSpec) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    bounds = ", ".join(f"{bound:g}" for bound in metric.buckets)
    meaning = f"{metric.meaning} Bounds: {bounds}." if bounds else metric.meaning
    return f"| `{metric.name}` | {metric.kind} | {labels} | {meaning} |"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "configuration.md": configuration,
    "metrics.md": metrics,
    "misbehaviours.md": misbehaviours,
    "rfc.md": requirements.page,
    "toolbox.md": toolbox,
    "verdicts.md": verdicts,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
