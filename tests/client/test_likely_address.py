"""Errors about accounts offer the address that was probably meant."""

from __future__ import annotations

import pytest

from restante.client.likely_address import find_likely, mail_domain, suggest
from support.command import pop3

LIKELY = [
    "ann(at)example.com",
    "ann at example.com",
    "ann [at] example [dot] com",
    "ann AT example DOT com",
    "ann@example,com",
    "ann@example..com",
    "ann@.example.com",
    "Ann Smith ann@example.com",
    "ann @example.com",
    "ann\u00a0@\u200bexample.com",
    "ann@@example.com",
    "ann@example.com/",
    "Email: ann@example.com",
    "pop3:ann@example.com",
    "<ann@example.com",
    "ann@example.com my password",
]


@pytest.mark.parametrize("text", LIKELY)
def test_likely(text: str) -> None:
    """An address with common mistakes is found."""
    assert find_likely(text) == "ann@example.com"


def test_port() -> None:
    """A server with its port becomes a URL."""
    assert find_likely("ann@mail.example.com:995") == "pop3s://ann@mail.example.com:995"


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "ann", "pop.example.com", "ann@example.com;ben@example.com",
        "ann@example.com ben@example.com", "ann@ exam ple", "a@b:c@d", "@" * 2000,
    ],
)  # fmt: skip
def test_unlikely(text: str) -> None:
    """A text that may mean nothing, or several addresses, has no suggestion."""
    assert suggest(text) == ""


@pytest.mark.parametrize("text", ["ann:secret@example.com", "pop3://ann:secret@example.com"])
def test_no_password(text: str) -> None:
    """A password is in no suggestion."""
    assert "secret" not in suggest(text)


def test_mail_domain() -> None:
    """The name of a server gives the domain of its addresses."""
    assert mail_domain("pop.gmail.com") == "gmail.com"
    assert mail_domain("mail.com") == "mail.com"
    assert mail_domain("example.com") == "example.com"


ERRORS = [
    (["ann(at)example.com"], "no @; did you mean ann@example.com?"),
    (["ann at example.com"], "no @; did you mean ann@example.com?"),
    (["mail.example.com:995"], '"mail.example.com:995" has no @, so it names no user'),
    (["mail.example.com:995"], "pop3 probe mail.example.com:995"),
    (["pop.gmail.com"], "as in user@gmail.com"),
    (["https://mail.example.com/inbox"], "a web page is not an account; use the mail address"),
    (["imaps://ann@imap.example.com"], "IMAP is another protocol than POP3"),
    (["ann@example,com"], "did you mean ann@example.com?"),
    (["Ann Smith ann@example.com"], "did you mean ann@example.com?"),
    (["ann", "@example.com"], "did you mean ann@example.com?"),
    (["ann@example.com:995"], "did you mean pop3s://ann@example.com:995?"),
    (["ann@example.com ben@example.com"], "is more than one address; name one\n"),
    (["Email: ann@example.com"], "did you mean ann@example.com?"),
]


@pytest.mark.parametrize(("words", "said"), ERRORS, ids=lambda row: str(row)[:40])
@pytest.mark.parametrize("command", ["check", "ls"])
def test_commands(command: str, words: list[str], said: str) -> None:
    """Commands say what is wrong with an account, and what was probably meant."""
    ended = pop3(command, *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_extra_argument() -> None:
    """A password as an argument is not repeated in the error."""
    ended = pop3("check", "ann@example.com", "hunter2")
    assert ended.code == 2
    assert "hunter2" not in ended.err
    assert "pop3 asks for a password" in ended.err
