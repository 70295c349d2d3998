"""The passwords of destinations: each server gets that of its own user alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.cli.options.password import password_of_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTING = "to_password_command"


class DestinationPasswords:
    """Finds the password of a destination's user by the setting `to_password_command`.

    That is one command, or a table of them by USER@HOST.
    """

    def __init__(self, commands: str | Mapping[str, str]) -> None:
        self._one = commands if isinstance(commands, str) else ""
        self._by_place = {} if isinstance(commands, str) else _in_lower_case(commands)
        self._served = ""  # the user and the host that the one command is for

    def find(self, user: str, host: str) -> Callable[[], str] | None:
        """Return what gives the password, None without a command.

        Raises ValueError: one command would send the password of one server to another.
        """
        place = f"{user}@{host}".lower()
        self._served = self._served or place
        if self._one and place != self._served:
            raise ValueError(
                f"{SETTING} is one command, but the destinations have two users, {self._served} and"
                f" {place}; write a table with a command for each:"
                f' {SETTING} = {{ "{self._served}" = "...", "{place}" = "..." }}'
            )
        command = self._one or self._by_place.get(place, "")
        return password_of_command(command, SETTING) if command else None


def _in_lower_case(commands: Mapping[str, str]) -> dict[str, str]:
    return {place.lower(): command for place, command in commands.items()}
