"""Options by object and by name; what cannot be is refused before anything is sent."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import typing
from typing import Any

import pytest

import restante
from restante import blocking
from restante.client.options import OptionArgs, Options, Target, merge, parse_url
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server

MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"nonsense": 4}, TypeError, "unknown option nonsense: known are .*reply_seconds"),
    ({"family": 5}, ValueError, "family is 5: it must be 4 or 6, or 0 for both"),
    ({"wrong_size": "fail"}, ValueError, "wrong_size is 'fail': it must be 'warn' or 'error'"),
    ({"mechanisms": "PLAIN"}, ValueError, r"mechanisms is 'PLAIN': write \('PLAIN',\)"),
    ({"mechanisms": ("PLAN",)}, ValueError, "unknown mechanism PLAN: known are .*PLAIN.*USER"),
    ({"server_name": "a..b"}, ValueError, "'a..b' is not a host"),
    ({"server_name": "a" * 64}, ValueError, "at most 63 characters"),
    ({"connect_seconds": 0}, ValueError, "connect_seconds is 0: it must be a number over 0"),
    ({"reply_seconds": -1}, ValueError, "reply_seconds is -1: it must be a number over 0"),
    ({"reply_seconds": None}, ValueError, "reply_seconds is None: it must be a number over 0"),
    ({"reply_seconds": "3"}, ValueError, "reply_seconds is '3': it must be a number over 0"),
    ({"total_seconds": 0}, ValueError, "total_seconds is 0: it must be a number over 0, or None"),
    ({"total_seconds": float("nan")}, ValueError, "total_seconds is nan"),
    ({"window": -1}, ValueError, "window is -1: it must be a number of octets"),
    ({"context": True}, ValueError, "context is True: it must be an ssl.SSLContext, or None"),
    ({"server_name": None}, ValueError, "server_name is None: it must be text"),
    ({"insecure_plaintext": "no"}, ValueError, "insecure_plaintext is 'no': it must be True or"),
    ({"require_tls": None}, ValueError, "require_tls is None: it must be True or False"),
    ({"capa": 1}, ValueError, "capa is 1: it must be True or False"),
    ({"token": "token"}, ValueError, "token is 'token': it must be True or False"),
    ({"initial_response": "x"}, ValueError, "initial_response is 'x': it must be True or False"),
    ({"utf8": "utf-8"}, ValueError, "utf8 is 'utf-8': it must be True or False"),
    ({"resolve": {"a": "::1"}}, ValueError, "resolve has 'a': '::1'; write"),
    ({"resolve": {("a", 1): "b"}}, ValueError, r"resolve has \('a', 1\): 'b'; write \(host, p"),
    ({"resolve": {("a", 1): 7}}, ValueError, r"resolve has \('a', 1\): 7; write"),
    ({"trace": True}, ValueError, "trace is True: it must be a function of two texts, or None"),
    ({"notice": "x"}, ValueError, "notice is 'x': it must be a function of two texts, or None"),
]


@pytest.mark.parametrize(
    ("given", "kind", "text"), MISTAKES, ids=[str(given) for given, _, _ in MISTAKES]
)
def test_invalid_option_names_valid_ones(
    given: dict[str, Any], kind: type[Exception], text: str
) -> None:
    """An invalid option is rejected, with the valid values."""

    async def opened(where: str) -> None:
        async with restante.connect(where, PASSWORD, **given):
            pass

    with faulty_server() as server:
        where = server.url
        with pytest.raises(kind, match=text):
            blocking.connect(where, PASSWORD, **given)
        with pytest.raises(kind, match=text):
            asyncio.run(opened(where))
        with pytest.raises(kind, match=text):
            restante.check(where, PASSWORD, **given)
    assert not server.commands


@pytest.mark.parametrize("value", [None, b"secret", 5])
@pytest.mark.parametrize("name", ["account", "password"])
def test_account_and_password_are_text(name: str, value: Any) -> None:
    """An account or a password of an unset variable is an error before anything is sent."""

    async def connect(*given: Any) -> None:
        async with restante.connect(*given):
            pass

    with faulty_server() as server:
        given = (value, PASSWORD) if name == "account" else (server.url, value)
        for call in (
            lambda: blocking.connect(*given),
            lambda: restante.check(*given),
            lambda: asyncio.run(connect(*given)),
        ):
            with pytest.raises(TypeError, match=f"the {name} must be str, and is"):
                call()
    assert server.commands == []


@pytest.mark.parametrize("host", ["", "mail example.com"])
def test_a_target_has_a_host(host: str) -> None:
    """A target whose host cannot be one is an error before the DNS is asked."""
    target = restante.Target(host, 110, "none", "ann")
    for call in blocking.connect, restante.check:
        with pytest.raises(ValueError, match="is not a host"):
            call(target, PASSWORD)


def test_options_by_name_change_those_of_the_object() -> None:
    """Options by name override those of the object."""
    options = merge(Options(reply_seconds=7, window=1), {"window": 2})
    assert (options.reply_seconds, options.window) == (7, 2)
    with faulty_server() as server:
        with blocking.connect(server.url, PASSWORD, Options(window=1), reply_seconds=3) as drop:
            assert drop.session.options == Options(window=1, reply_seconds=3)
        with pytest.raises(TypeError, match="unknown option nonsense"):
            blocking.connect(server.url, PASSWORD, Options(), nonsense=4)  # type: ignore[call-arg]


def test_options_by_name_are_those_of_the_object() -> None:
    """`OptionArgs` has the names and types of `Options`."""
    fields = {field.name: field.type for field in dataclasses.fields(Options)}
    named = {name: hint.__forward_arg__ for name, hint in OptionArgs.__annotations__.items()}
    assert named == fields
    assert typing.is_typeddict(OptionArgs)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--mechanism", "PLAN"), "unknown mechanism PLAN"),
        (("--timeout", "-1"), "--timeout"),
        (("--connect-timeout", "0"), "--connect-timeout"),
        (("--max-time", "0"), "--max-time"),
    ],
)
def test_the_command_says_so_as_of_any_wrong_option(words: tuple[str, ...], text: str) -> None:
    """An invalid option of the command line exits with 2, without a traceback."""
    ran = pop3("check", "pop3://ann@127.0.0.1:9", *words)
    assert ran.code == 2
    assert text in ran.err
    assert "Traceback" not in ran.err


def test_a_trace_that_fails_leaves_no_socket() -> None:
    """An error of the program's own function, such as a closed file, closes the connection."""

    def fail(_way: str, _line: str) -> None:
        raise OSError("the disk is full")

    async def connect(url: str) -> None:
        async with restante.connect(url, PASSWORD, trace=fail):
            pass

    with faulty_server() as server:
        for call in (lambda: blocking.connect(server.url, PASSWORD, trace=fail),
                     lambda: asyncio.run(connect(server.url))):  # fmt: skip
            with pytest.raises(OSError, match="the disk is full"):
                call()
            gc.collect()  # a socket that is open is a ResourceWarning, and that is an error
    assert server.commands == []


@pytest.mark.parametrize(
    ("port", "tls", "text"),
    [
        (70_000, "implicit", "port is 70000: it must be a number from 1 to 65535"),
        ("110", "none", "port is '110': it must be a number"),
        (True, "none", "port is True: it must be a number"),
        (995, "ssl", "tls is 'ssl': it must be 'implicit', 'starttls' or 'none'"),
    ],
)
def test_invalid_target(port: Any, tls: Any, text: str) -> None:
    """Without this a wrong word would mean no TLS, and a large port another one."""
    with pytest.raises(ValueError, match=text):
        restante.Target("localhost", port, tls, "ann")


@pytest.mark.parametrize("name", ["host", "user"])
def test_a_target_has_texts(name: str) -> None:
    """A host or a user of an unset variable is an error."""
    given: dict[str, Any] = {"host": "localhost", "port": 995, "tls": "implicit", "user": "ann"}
    with pytest.raises(ValueError, match=f"{name} is None: it must be text"):
        restante.Target(**given | {name: None})


@pytest.mark.parametrize("seconds", [1e10, float("inf")])
def test_times_without_end(seconds: float) -> None:
    """A time limit may be longer than what the system's calls wait at most."""
    limits = {"connect_seconds": seconds, "reply_seconds": seconds, "total_seconds": None}
    with faulty_server() as server:
        with blocking.connect(server.url, PASSWORD, **limits) as drop:  # type: ignore[arg-type]
            assert len(drop) == 2
        assert restante.check(server.url, PASSWORD, **limits).ok  # type: ignore[arg-type]


@pytest.mark.parametrize("mechanism", ["", ";AUTH=*", ";auth=+APOP", ";AUTH=SCRAM-SHA-256"])
def test_pop_url(mechanism: str) -> None:
    """A pop URL names user, host and port; its mechanism is not used: rfc2384-s2/url."""
    url = f"pop://ann%3B1{mechanism}@mail.example.com:8110"
    assert parse_url(url) == Target("mail.example.com", 8110, "starttls", "ann;1")
