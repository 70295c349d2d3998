"""The card of a client as text, as JSON and as JUnit's XML."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from restante.protocol.text import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.misbehave.score.runner import Card, Outcome

SCHEMA = "restante.score/1"


def summary(card: Card) -> str:
    """Return the line that sums a card up, such as "9 of 10 clean: 1 HALF"."""
    counts = [f"{count} {verdict}" for verdict, count in card.counts.items() if verdict != "clean"]
    text = f"{card.clean} of {len(card.outcomes)} clean"
    return f"{text}: {', '.join(counts)}" if counts else text


def table(card: Card, width: int) -> Iterator[str]:
    """Yield a line for each run that was not clean, with columns for names of `width`."""
    for outcome in card.outcomes:
        for place, finding in enumerate(outcome.findings):
            name = "" if place else outcome.fault.name
            yield f"{name:<{width}}  {finding.verdict:<8} {printable(finding.detail)}".rstrip()


def describe_skipped(card: Card) -> str:
    """Return the line about faults that were left out, "" for none."""
    if not card.skipped:
        return ""
    layers = {"starttls": "STLS", "implicit": "TLS from the first octet"}
    kinds = {layers[fault.security]: "" for fault in card.skipped if fault.security in layers}
    return f"{len(card.skipped)} skipped, which require {' or '.join(kinds)}"


def as_json(card: Card) -> dict[str, Any]:
    """Return a card for json.dumps."""
    return {
        "schema": SCHEMA,
        "command": list(card.command),
        "clean": card.clean,
        "verdicts": card.counts,
        "faults": [_outcome_as_json(outcome) for outcome in card.outcomes],
        "skipped": [fault.name for fault in card.skipped],
    }


def as_junit(card: Card) -> str:
    """Return a card in the XML of JUnit: a test for each fault."""
    failures = len(card.outcomes) - card.clean
    suite = ET.Element(
        "testsuite", name="pop3 misbehave score", tests=str(len(card.outcomes) + len(card.skipped)),
        failures=str(failures), errors="0", skipped=str(len(card.skipped)),
        time=f"{sum(outcome.seconds for outcome in card.outcomes):.3f}",
    )  # fmt: skip
    for outcome in card.outcomes:
        case = _add_case(suite, outcome.fault.name, outcome.seconds)
        if outcome.findings:
            text = "\n".join(f"{verdict}: {detail}" for verdict, detail in outcome.findings)
            head = f"{outcome.verdict}: {printable(outcome.detail)}"
            failure = ET.SubElement(case, "failure", type=outcome.verdict, message=head)
            failure.text = printable_lines(f"{text}\n\n{_promise(outcome)}\n\n{outcome.output}")
    for fault in card.skipped:
        ET.SubElement(_add_case(suite, fault.name, 0.0), "skipped")
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def command_line(card: Card) -> str:
    """Return the client's command as a shell reads it."""
    return printable(shlex.join(card.command))


def _promise(outcome: Outcome) -> str:
    fault = outcome.fault
    return f"The server {fault.sentence}. A good client {fault.good_client}."


def _add_case(suite: ET.Element, name: str, seconds: float) -> ET.Element:
    attributes = {"classname": "misbehave", "name": name, "time": f"{seconds:.3f}"}
    return ET.SubElement(suite, "testcase", attributes)


def _outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    fault = outcome.fault
    return {
        "name": fault.name,
        "server": fault.sentence,
        "good_client": str(fault.good_client),
        "verdict": outcome.verdict,
        "findings": [finding._asdict() for finding in outcome.findings],
        "exit": outcome.exit,
        "seconds": round(outcome.seconds, 3),
        "output": outcome.output if outcome.findings else "",
    }
