"""The card as text, JSON, XML and HTML."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from restante.misbehave.finding import FAULTS, NAMED
from restante.misbehave.score import picture, report
from restante.misbehave.score.judge import VERDICTS, ScoreFinding
from restante.misbehave.score.runner import Card, Outcome


@pytest.fixture
def card() -> Card:
    half = (
        ScoreFinding("HALF", "stored message 1 in part"),
        ScoreFinding("SILENT", "exited with 0"),
    )
    return Card(
        ["client", "--out={out}", "a b"],
        [
            Outcome(FAULTS["login-refused"], (), 0.5),
            Outcome(FAULTS["retr-cut"], half, 1.25, 0, "oh \x1b[2J & <b>no</b>"),
        ],
        [FAULTS["stls-refused"]],
    )


def test_text(card: Card) -> None:
    """One line for each finding, and a summary."""
    assert list(report.table(card, 8)) == [
        "retr-cut  HALF     stored message 1 in part",
        "          SILENT   exited with 0",
    ]
    assert report.summary(card) == "1 of 2 clean: 1 HALF"
    assert report.describe_skipped(card) == "1 skipped, which require STLS"


def test_known_servers_in_the_picture(card: Card) -> None:
    """The picture has a square for a known server, which is a sum of faults."""
    card.outcomes.append(Outcome(NAMED["like-mailpit"], (), 0.5))
    drawn = picture.as_svg(card)
    assert "Known servers</text>" in drawn
    assert "like-mailpit: the server behaves like Mailpit" in drawn


def test_json(card: Card) -> None:
    """JSON has every run, and the output of those that were not clean."""
    found = report.as_json(card)
    assert found["verdicts"] == {"HALF": 1, "clean": 1}
    assert found["skipped"] == ["stls-refused"]
    assert [run["verdict"] for run in found["faults"]] == ["clean", "HALF"]
    assert found["faults"][1]["findings"][1] == {"verdict": "SILENT", "detail": "exited with 0"}


def test_junit(card: Card) -> None:
    """The XML is read again, and has no control characters."""
    suite = ET.fromstring(report.as_junit(card))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "HALF: stored message 1 in part"
    assert r"\x1b[2J & <b>" in (failure.text or "")


def test_html(card: Card) -> None:
    """The page loads nothing, escapes what the client printed, and has a square for each run."""
    page = picture.as_html(card)
    assert page.count("<rect ") == 2
    assert "&lt;b&gt;no" in page
    assert r"\x1b[2J" in page
    assert not re.search(r"\x1b|<script|<img|<link|url\(|src=|href=", page)


def test_colors() -> None:
    """Each verdict has a color of its own."""
    assert list(picture.COLORS) == list(VERDICTS)
    assert len(set(picture.COLORS.values())) == len(VERDICTS)
