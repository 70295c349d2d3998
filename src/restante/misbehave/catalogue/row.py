"""How a row of the catalogue is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.misbehave.conversation import add
from restante.misbehave.fault import Fault, Surroundings
from restante.misbehave.rules import parse_rules

if TYPE_CHECKING:
    from restante.misbehave.conversation import Alteration
    from restante.misbehave.fault import GoodClient


def row(  # noqa: PLR0913, PLR0917  # a row of a table
    name: str,
    sentence: str,
    good_client: GoodClient,
    does: str | Alteration | tuple[str | Alteration, ...] = "",
    verdict: str = "",
    seen: str = "",
    **surroundings: Any,
) -> Fault:
    """Return a fault. `does` is its rules, or its functions.

    `surroundings` are fields of `Surroundings`; `security`, `deep` and `silent` are those of
    `Fault`.
    """
    does = does if isinstance(does, tuple) else (does,)
    parts = [parse_rules(each) if isinstance(each, str) else each for each in does]
    silent = any("silence" in each for each in does if isinstance(each, str))
    fault_fields: dict[str, Any] = {"silent": silent}
    fault_fields |= {
        key: surroundings.pop(key) for key in ("security", "deep", "silent") if key in surroundings
    }
    return Fault(
        name=name,
        sentence=sentence,
        good_client=good_client,
        verdict=tuple(verdict.split()),
        seen=seen,
        conversation=add(*parts),
        surroundings=Surroundings(**surroundings),
        **fault_fields,
    )
