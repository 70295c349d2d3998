"""The log of logins that were rejected though the password was right."""

from __future__ import annotations

import pytest

from restante.protocol.secret import Secret
from restante.protocol.server.settings import AuthOffer, Identity
from restante.server.connection.transport import ListenerPolicy
from restante.server.limits.counters import CountLimit
from restante.server.limits.server_limits import ServerLimits
from restante.storage.errors import LockedError, StoreError
from server.doubles import ScriptedStore
from support.live import Live, serving


def log_in(live: Live, user: str) -> bytes:
    """Try to log in, and hang up."""
    live.add(user, "secret")
    with live.connect() as client:
        client.read_line()
        client.say(f"USER {user}")
        return client.say("PASS secret")


def refused(user: str, code: str, reason: str) -> str:
    return (
        "level=warning event=login_refused address=127.0.0.1"
        f" user={user} code={code} reason={reason} session="
    )


def test_login_during_session() -> None:
    """policy/lock-wait: a login is rejected because another session holds the maildrop."""
    with serving(lock_timeout=0) as live:
        live.add("bob", "secret")
        with live.connect() as first:
            first.log_in("bob", "secret")
            assert log_in(live, "bob").startswith(b"-ERR [IN-USE] Another session ")
        live.wait_for_log(refused("bob", "IN-USE", '"the maildrop of bob is in use"'))


def test_login_over_session_limit() -> None:
    """A login is rejected because the user has too many sessions."""
    with serving(limits=ServerLimits(users=CountLimit(1))) as live:
        live.add("bob", "secret")
        with live.connect() as first:
            first.log_in("bob", "secret")
            assert log_in(live, "bob").startswith(b"-ERR [IN-USE] Too many sessions ")
        reason = '"the user has limits.sessions_per_user sessions already"'
        live.wait_for_log(refused("bob", "IN-USE", reason))


def test_login_too_soon() -> None:
    """rfc2449-s8.1/response-codes: a login is rejected because it came too soon after another."""
    with serving(offer=lambda: AuthOffer(login_delay=600)) as live:
        assert log_in(live, "bob").startswith(b"+OK")
        assert log_in(live, "bob").startswith(b"-ERR [LOGIN-DELAY]")
        reason = '"the user logged in less than 600 seconds ago"'
        live.wait_for_log(refused("bob", "LOGIN-DELAY", reason))


def test_login_during_mbox_lock() -> None:
    """A login is rejected because another program holds the mbox, and the reply says so."""
    store = ScriptedStore()
    store.acquire_error = LockedError("another program holds the mbox")
    with serving(store=store) as live:
        said = log_in(live, "bob")
        live.wait_for_log(refused("bob", "IN-USE", '"another program holds the mbox"'))
    assert said == b"-ERR [IN-USE] Another program holds this maildrop.\r\n"


@pytest.mark.parametrize("permanent", [False, True])
def test_login_without_maildrop(*, permanent: bool) -> None:
    """A login is rejected because the maildrop cannot be opened."""
    store = ScriptedStore()
    store.acquire_error = StoreError("no way in", permanent=permanent)
    code = "SYS/PERM" if permanent else "SYS/TEMP"
    with serving(store=store) as live:
        log_in(live, "bob")
        live.wait_for_log(refused("bob", code, '"no way in"'), "event=trouble")


def test_login_incident() -> None:
    """known-bug/exception-text: a login that fails for an unexpected error names the incident."""
    store = ScriptedStore()
    store.acquire_error = RuntimeError("a detail")
    with serving(store=store) as live:
        said = log_in(live, "bob").decode()
        text = said.partition("[SYS/TEMP] ")[2].strip()
        live.wait_for_log(refused("bob", "SYS/TEMP", f'"{text}"'), "a detail")


def test_a_login_that_succeeds_is_not_among_them() -> None:
    """A login that succeeds is not logged as rejected."""
    with serving() as live:
        assert log_in(live, "bob").startswith(b"+OK")
        live.wait_for_log("event=session")
        assert "login_refused" not in live.log.getvalue()


@pytest.mark.parametrize(
    ("commands", "user"),
    [
        (["USER bob", "PASS secret", "USER bob"], "bob"),
        (["USER bob", "AUTH PLAIN"], "bob"),
        (["AUTH PLAIN", "AUTH PLAIN", "QUIT"], ""),
    ],
)
def test_client_without_tls_logged_once(commands: list[str], user: str) -> None:
    """policy/cleartext: a client that gives up for lack of TLS is logged once."""
    offer = AuthOffer(mechanisms=frozenset({"PLAIN"}))
    with serving(endpoint=ListenerPolicy(clear_text="never"), offer=lambda: offer) as live:
        with live.connect() as client:
            client.read_line()
            assert all(client.say(command) for command in commands)
        live.wait_for_log("event=session", refused(user, "AUTH", '"no TLS"'))
        assert live.log.getvalue().count("login_refused") == 1


def test_refusal_in_clear_text_has_the_whole_name() -> None:
    """A search of the log for an account also finds clients that send its name without a domain."""
    policy = ListenerPolicy(clear_text="never")
    with serving(endpoint=policy, default_domain="example.com") as live:
        with live.connect() as client:
            client.read_line()
            client.say("USER bob")
        live.wait_for_log(refused("bob@example.com", "AUTH", '"no TLS"'))


def test_an_account_that_must_use_tls_is_told_of_by_name() -> None:
    """A login without TLS for an account that requires it is logged with the user."""

    class Strict:
        async def verify(self, user: str, password: Secret) -> Identity:
            return Identity(user, tls_required=True)

    with serving(authenticator=Strict()) as live:
        assert log_in(live, "bob").startswith(b"-ERR [AUTH] No logins in clear text ")
        live.wait_for_log(refused("bob", "AUTH", '"no TLS"'))
