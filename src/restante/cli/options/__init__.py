"""Options and arguments that several commands share.

For commands on mail: `account` parses ACCOUNT, with `account_file` (names of the user's own),
`account_target` (its server) and `connection` (TLS, time limits, ...). `account_errors` says what
was probably meant. `password`, `netrc_file` and `stored_tokens` find the credentials, and
`maildrop` opens the account. `prompts` asks a person, `confirmation` about servers of other
domains. `fetch_settings` has the options of `pop3 fetch`, and `toml_lines` finds the line of a
setting.

For administrators: `server` has the options of `serve` and `deliver`, `control` finds a running
server. `account_names` finds the account that is meant: in a file (`accounts`), in the table of a
cluster (`table_accounts`), or in PAM, LDAP or a database (`source_accounts`). `locks` and
`app_passwords` are the lists of these, and `node_lists` those that a cluster imports.

Values: `values` that are not empty and numbers of seconds, `times`, and `size`. Here: `add_options`
and `options_of`, for lists of options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import click

F = TypeVar("F", bound="Callable[..., Any]")


def add_options(command: F, options: Sequence[Callable[[F], F]]) -> F:
    """Return a command with more options, which the help shows in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def options_of(*decorators: Callable[[Any], Any]) -> list[click.Option]:
    """Return the options that decorators add to a command."""

    def command() -> None:
        """Hold the options."""

    for decorator in decorators:
        decorator(command)
    return list(command.__click_params__)  # type: ignore[attr-defined]
