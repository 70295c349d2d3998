"""Domains below which anybody can have a name."""

from __future__ import annotations

import importlib
import itertools
import pkgutil

import pytest

from restante.client.mail_address import is_below
from restante.client.public_suffix import is_public_suffix, load_rules


@pytest.mark.parametrize(
    ("domain", "public"),
    [
        ("com", True),
        ("unlisted", True),
        ("co.uk", True),
        ("github.io", True),
        ("xn--55qx5d.cn", True),
        ("anything.ck", True),  # *.ck
        ("www.ck", False),  # !www.ck
        ("example.com", False),
        ("example.co.uk", False),
        ("co.example.com", False),
        ("xn--a.cn", False),  # no such letters
    ],
)
def test_public_suffix(domain: str, public: bool) -> None:
    """Rules, wildcards and exceptions count, and so do names beyond ASCII."""
    assert is_public_suffix(domain) is public


def test_nothing_vouches_below() -> None:
    """Below a public suffix no name vouches for another, though both end alike."""
    assert is_below("pop.example.com", "example.com")
    assert not is_below("pop.github.io", "github.io")
    assert is_below("github.io", "github.io")


def test_whole_list() -> None:
    """Exceptions, wildcards and one in 20 of the rules give the answer of the list's own parser."""
    listed = importlib.import_module("publicsuffixlist").PublicSuffixList()
    lines = load_rules().split("\n")
    rules = [line for line in lines if line and not line.startswith("//")]
    assert len(rules) > 9000
    assert all(rule == rule.strip() for rule in rules)
    asked = rules[::20] + [rule for rule in rules if rule.startswith(("!", "*"))]
    names = (rule.removeprefix("!").replace("*", "any") for rule in asked)
    for name in itertools.chain.from_iterable((name, f"x.{name}") for name in names):
        assert is_public_suffix(name) == bool(listed.is_public(name)), name


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the error names it, as any import does."""
    monkeypatch.setattr(pkgutil, "get_data", lambda *_: None)
    with pytest.raises(ImportError, match="publicsuffixlist is missing"):
        load_rules.__wrapped__()
