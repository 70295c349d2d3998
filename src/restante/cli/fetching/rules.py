"""From the tables [[NAME.fetch.rule]] to a destination that follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.destinations.rules import Condition, Rule, RulesDestination
from restante.fetch.destinations.urls import open_destination
from restante.user_commands import split_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.cli.options.fetch_settings import RuleSettings
    from restante.fetch.destinations.urls import DestinationSettings
    from restante.fetch.interfaces import Destination


def open_with_rules(
    destinations: Sequence[Destination],
    rules: Sequence[RuleSettings],
    settings: DestinationSettings,
) -> list[Destination]:
    """Return a destination that follows rules. Raises ValueError: a rule is invalid."""
    if len(destinations) != 1:
        raise ValueError("rules choose one destination for each message, so `to` must be one URL")
    opened = [_make_rule(number, rule, settings) for number, rule in enumerate(rules, 1)]
    return [RulesDestination(opened, destinations[0], str(settings.state))]


def _make_rule(number: int, rule: RuleSettings, settings: DestinationSettings) -> Rule:
    if not rule.to and not rule.filter:
        raise ValueError(f"rule {number} has neither to nor filter")
    if rule.allow_drop and not rule.filter:
        raise ValueError(f"rule {number} has allow_drop, which only a filter can have")
    found = rule.condition
    condition = Condition(found.header, found.has, found.equals) if found else Condition()
    try:
        to = open_destination(rule.to, settings) if rule.to else None
        filter_ = split_command(rule.filter) if rule.filter else []
        return Rule(condition, to, filter_, rule.allow_drop)
    except ValueError as error:
        raise ValueError(f"rule {number}: {error}") from None
