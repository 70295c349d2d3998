"""Each way to authenticate has its result, and its event in the log."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import io
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

import pytest
import scramp

from restante.auth.interfaces import CredentialsError
from restante.auth.passwords import scram
from restante.protocol.secret import Secret
from restante.protocol.server.needs import Authenticate, AuthMethod, StartScram
from restante.protocol.server.settings import ConnectionSecurity, Identity
from restante.server.connection.authentication import ConnectionAuthenticator
from restante.server.context import ServerContext
from restante.server.limits.failures import Note
from restante.server.limits.server_limits import ServerLimits
from restante.server.limits.throttle import LONGEST_DELAY, Throttle
from restante.server.log import event_log
from restante.storage.memory import MemoryStore
from server.doubles import SlowAccounts
from support.passwords import Passwords


class Wire:
    """A connection of which only the address counts."""

    address = "192.0.2.1"
    service = ""
    session_id = "one"
    tls = None


def _authenticator(context: ServerContext, wire: Wire) -> ConnectionAuthenticator:
    return ConnectionAuthenticator(context, cast("Any", wire))


class Waiting(Throttle):
    """A delay that does not end by itself."""

    async def _wait(self, pair: str, known: Note, ahead: int, ends: float) -> None:
        await asyncio.Event().wait()

    def has_recent_failures(self, address: str, user: str) -> bool:
        return True


def test_client_leaves_during_delay() -> None:
    """A client that leaves during its delay leaves no login half done."""
    accounts = SlowAccounts()

    async def go_away() -> None:
        log, writer = event_log.configure_log("text", io.StringIO())
        limits = ServerLimits(throttle=Waiting())
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=log, limits=limits)
        authenticator = _authenticator(context, Wire())
        work = asyncio.ensure_future(
            cast(
                "Any",
                authenticator.authenticate(
                    Authenticate(AuthMethod.PASSWORD, "ann", Secret(b"secret"))
                ),
            )
        )
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        writer.close()

    asyncio.run(go_away())  # a coroutine that was never awaited would be an error
    assert not accounts.asked


class Certified(Wire):
    """A connection with the certificate of one whose name could be written in fewer characters."""

    class tls:  # noqa: N801  # as the wire's
        """The TLS of the connection."""

        @staticmethod
        def client_names() -> tuple[str, ...]:
            return ("a\N{SOFT HYPHEN}nn",)


class Everybody:
    """Accounts for all names."""

    async def identify(self, user: str) -> Identity:
        return Identity(user)


def test_certificate_name_is_prepared() -> None:
    """rfc6856-s2/saslprep: a name in a certificate is prepared like one that a client sends."""

    async def identities() -> list[Identity]:
        log, writer = event_log.configure_log("text", io.StringIO())
        accounts = cast("Any", Everybody())
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=log)
        authenticator = _authenticator(context, Certified())
        needs = [Authenticate(AuthMethod.CERTIFICATE, name, Secret(b"")) for name in ("", "ann")]
        met = [await cast("Any", authenticator.authenticate(need)) for need in needs]
        writer.close()
        return met

    assert asyncio.run(identities()) == [Identity("ann")] * 2


class Keyed:
    """Accounts with the same made-up keys, and no secret, for all names."""

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        return scram.fake_keys(mechanism, user, b"key", {scram.ScramParameters()})

    async def shared_secret(self, user: str) -> Secret:
        if user == "ann":
            return Secret(b"tanstaaf")
        raise CredentialsError("no secret")

    async def identify(self, user: str) -> Identity:
        return Identity(user)


class Clear(Wire):
    """A connection without TLS."""

    @staticmethod
    def channel() -> ConnectionSecurity:
        return ConnectionSecurity()


class Noting(Throttle):
    """Failures, noted by name."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__()
        self._noted = noted
        self.never = False  # has anybody a turn

    @contextlib.asynccontextmanager
    async def one_at_a_time(
        self, address: str, user: str, secret: bytes = b"", patience: float = LONGEST_DELAY
    ) -> AsyncIterator[None]:
        if self.never:
            await asyncio.Event().wait()
        async with super().one_at_a_time(address, user, secret, patience):
            yield

    def note_failure(self, address: str, user: str, secret: bytes = b"") -> None:
        self._noted.append(user)


FIRST = StartScram("SCRAM-SHA-256", "Ann", b"n,,n=Ann,r=abc")
ANSWER = Secret(b"c=biws,r=x,p=y")
CRAM = Authenticate(AuthMethod.CRAM_MD5, "ann", Secret(b"0" * 32), b"<1@host>")


@pytest.mark.parametrize(
    ("ending", "counted"),
    [
        ("cancelled", True),
        ("hung up", True),
        ("another mechanism", True),
        ("answered, and hung up", True),
        ("answered", False),
    ],
)
def test_a_challenge_without_an_answer_is_a_failure(ending: str, counted: bool) -> None:
    """Only a guesser asks for the challenge of a name and goes no further."""
    log, _ = event_log.configure_log("text", io.StringIO())
    context = ServerContext(store=MemoryStore(), authenticator=cast("Any", Keyed()), log=log)
    noted: list[str] = []
    throttle = context.limits.throttle = Noting(noted)

    async def try_it() -> None:
        authenticator = _authenticator(context, Clear())
        exchange = await authenticator.start_scram(FIRST)
        final = Authenticate(AuthMethod.SCRAM, "Ann", ANSWER, exchange)
        assert not noted
        match ending:
            case "cancelled":
                await authenticator.start_scram(FIRST)
            case "hung up":
                authenticator.leave()
            case "another mechanism":
                cast("Any", authenticator.authenticate(CRAM)).close()
            case "answered, and hung up":
                throttle.never = True
                work = asyncio.ensure_future(cast("Any", authenticator.authenticate(final)))
                await asyncio.sleep(0)
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
            case "answered":
                cast("Any", authenticator.authenticate(final)).close()

    asyncio.run(try_it())
    assert noted == ["ann"] * counted


@pytest.mark.parametrize("method", [AuthMethod.APOP, AuthMethod.CRAM_MD5])
def test_a_digest_is_computed_for_unknown_names_too(
    monkeypatch: pytest.MonkeyPatch, method: AuthMethod
) -> None:
    """The time of APOP and CRAM-MD5 does not reveal which names have an account."""
    computed: list[bytes] = []
    compare = hmac.compare_digest

    def counted(first: bytes, second: bytes) -> bool:
        computed.append(first)
        return compare(first, second)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    log, _ = event_log.configure_log("text", io.StringIO())
    context = ServerContext(store=MemoryStore(), authenticator=cast("Any", Keyed()), log=log)
    authenticator = _authenticator(context, Clear())

    async def fail(user: str) -> str:
        need = Authenticate(method, user, Secret(b"0" * 32), b"<1@host>")
        with pytest.raises(CredentialsError) as caught:
            await cast("Any", authenticator.authenticate(need))
        return caught.value.reason

    assert asyncio.run(fail("ann")) == "wrong digest"
    assert asyncio.run(fail("nobody")) == "no secret"
    assert len(computed) == 2


class CachedLater(SlowAccounts):
    """Accounts whose login cache asks a database before it answers."""

    def __init__(self, identity: Identity | None) -> None:
        super().__init__()
        self.gate.set()
        self.identity = identity

    async def cached_login(self, _user: str, _password: Secret) -> Identity | None:
        return self.identity


@pytest.mark.parametrize("cached", [Identity("ann"), None])
def test_login_cache_that_asks_first(cached: Identity | None) -> None:
    """A cached login that no longer holds is checked like any other."""
    accounts = CachedLater(cached)

    async def log_in() -> Identity:
        log, writer = event_log.configure_log("text", io.StringIO())
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=log)
        try:
            need = Authenticate(AuthMethod.PASSWORD, "ann", Secret(b"secret"))
            cached = _authenticator(context, Wire()).authenticate(need)
            return await cast("Awaitable[Identity]", cached)
        finally:
            writer.close()

    assert asyncio.run(log_in()).name == "ann"
    assert accounts.asked == (cached is None)


class Restricted:
    """Accounts that may log in from one network; `cached_login` knows each password."""

    def __init__(self, *, late: bool) -> None:
        self._late = late
        self._identity = Identity("ann", networks=("192.0.2.0/25",))

    async def verify(self, user: str, password: Secret) -> Identity:
        return self._identity

    async def identify(self, user: str) -> Identity:
        return self._identity

    def cached_login(
        self, user: str, password: Secret
    ) -> Identity | Awaitable[Identity | None] | None:
        return self.verify(user, password) if self._late else self._identity


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("method", [AuthMethod.PASSWORD, AuthMethod.CERTIFICATE])
def test_login_from_another_network(method: AuthMethod, late: bool) -> None:
    """A login from another network is a failure like a wrong password, and the log says why."""
    output = io.StringIO()

    async def log_in() -> list[bool]:
        log, writer = event_log.configure_log("text", output)
        accounts = cast("Any", Restricted(late=late))
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=log)
        admitted = []
        for address in ("192.0.2.1", "192.0.2.200"):
            wire = Certified()
            wire.address = address
            need = Authenticate(method, "ann", Secret(b"secret"))
            try:
                result = _authenticator(context, wire).authenticate(need)
                identity = result if isinstance(result, Identity) else await result
            except CredentialsError:
                admitted.append(False)
            else:
                admitted.append(identity.name == "ann")
        throttle = context.limits.throttle
        assert [throttle.failures(a, "ann")[0] for a in ("192.0.2.1", "192.0.2.200")] == [0, 1]
        writer.close()
        return admitted

    assert asyncio.run(log_in()) == [True, False]
    assert output.getvalue().count('reason="the address is not in allow_nets"') == 1


@pytest.mark.parametrize("changed", [False, True])
def test_password_changed_after_the_challenge(*, changed: bool) -> None:
    """The proof of an earlier password is wrong, also if its login began before the change."""
    accounts, output = Passwords(), io.StringIO()
    accounts.known["ann"] = "secret"

    async def log_in() -> Identity:
        log, writer = event_log.configure_log("text", output)
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=log)
        authenticator = _authenticator(context, Clear())
        client = scramp.ScramClient(["SCRAM-SHA-256"], "ann", "secret")
        first = client.get_client_first().encode()
        exchange = await authenticator.start_scram(StartScram("SCRAM-SHA-256", "ann", first))
        client.set_server_first(exchange.challenge.decode())
        if changed:
            accounts.known["ann"] = "other"
        final = Secret(client.get_client_final().encode())
        need = Authenticate(AuthMethod.SCRAM, "ann", final, exchange)
        try:
            return await cast("Awaitable[Identity]", authenticator.authenticate(need))
        finally:
            writer.close()

    if not changed:
        assert asyncio.run(log_in()) == Identity("ann")
        return
    with pytest.raises(CredentialsError):
        asyncio.run(log_in())
    assert 'reason="the keys were changed during the login"' in output.getvalue()


class Strangers(Keyed):
    """Accounts in which no name is known."""

    async def identify(self, user: str) -> Identity:
        raise CredentialsError(f"no user {user}")


def test_scram_of_an_unknown_name() -> None:
    """The log says that a name is unknown, which gets a challenge like any other."""
    output = io.StringIO()

    async def log_in() -> None:
        log, writer = event_log.configure_log("text", output)
        accounts = cast("Any", Strangers())
        context = ServerContext(store=MemoryStore(), authenticator=accounts, log=log)
        authenticator = _authenticator(context, Clear())
        need = Authenticate(AuthMethod.SCRAM, "Ann", ANSWER, await authenticator.start_scram(FIRST))
        with pytest.raises(CredentialsError):
            await cast("Awaitable[Identity]", authenticator.authenticate(need))
        writer.close()

    asyncio.run(log_in())
    assert 'reason="no user Ann"' in output.getvalue()


class Asked(Keyed):
    """Accounts for all names, which note the names that they are asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def verify(self, user: str, password: Secret) -> Identity:
        self.names.append(user)
        if password.reveal() == b"wrong":
            raise CredentialsError
        return Identity(user)

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        self.names.append(user)
        return await super().scram_keys(mechanism, user)

    async def shared_secret(self, user: str) -> Secret:
        self.names.append(user)
        raise CredentialsError("no secret")

    async def user_of(self, token: Secret) -> str:
        return token.reveal().decode()

    async def identify(self, user: str) -> Identity:
        self.names.append(user)
        return Identity(user)


@pytest.mark.parametrize(
    ("method", "user", "response", "asked"),
    [
        (AuthMethod.PASSWORD, "ann", b"x", "ann@example.com"),
        (AuthMethod.PASSWORD, "Ann", b"x", "Ann@example.com"),
        (AuthMethod.PASSWORD, "ann@example.org", b"x", "ann@example.org"),
        (AuthMethod.TOKEN, "", b"ann", "ann@example.com"),
        (AuthMethod.TOKEN, "ann", b"ann@example.com", "ann@example.com"),
        (AuthMethod.TOKEN, "ann@example.com", b"ann", "ann@example.com"),
        (AuthMethod.CERTIFICATE, "", b"", "ann@example.com"),
        (AuthMethod.CERTIFICATE, "ann", b"", "ann@example.com"),
        (AuthMethod.APOP, "ann", b"0" * 32, "ann@example.com"),
        (AuthMethod.CRAM_MD5, "ann", b"0" * 32, "ann@example.com"),
        (AuthMethod.SCRAM, "ann", b"", "ann@example.com"),
    ],
)
def test_default_domain(method: AuthMethod, user: str, response: bytes, asked: str) -> None:
    """A name without a domain gets the default one, by every mechanism."""
    accounts = Asked()

    async def log_in() -> None:
        log, writer = event_log.configure_log("text", io.StringIO())
        context = ServerContext(
            store=MemoryStore(),
            authenticator=accounts,
            tokens=cast("Any", accounts),
            default_domain="example.com",
            log=log,
        )
        authenticator = _authenticator(context, CertifiedInClear())
        need = Authenticate(method, user, Secret(response), b"<1@host>")
        if method is AuthMethod.SCRAM:
            await authenticator.start_scram(StartScram("SCRAM-SHA-256", user, b"n,,n=ann,r=abc"))
        else:
            with contextlib.suppress(CredentialsError):
                await cast("Awaitable[Identity]", authenticator.authenticate(need))
        writer.close()

    asyncio.run(log_in())
    assert set(accounts.names) == {asked}


class CertifiedInClear(Clear, Certified):
    """A connection with a certificate that knows no channel binding."""

    class tls(Certified.tls):  # noqa: N801  # as the wire's
        """The TLS of the connection."""

        @staticmethod
        def bindings() -> dict[str, bytes]:
            return {}


def test_guesses_of_one_account() -> None:
    """A guesser that omits the domain guesses at the same account."""

    async def guess() -> int:
        log, writer = event_log.configure_log("text", io.StringIO())
        context = ServerContext(
            store=MemoryStore(), authenticator=Asked(), default_domain="example.com", log=log
        )
        for user in ("ann", "ann@example.com"):
            need = Authenticate(AuthMethod.PASSWORD, user, Secret(b"wrong"))
            with contextlib.suppress(CredentialsError):
                await cast("Any", _authenticator(context, Wire()).authenticate(need))
        writer.close()
        return context.limits.throttle.failures(Wire.address, "ann@example.com")[0]

    assert asyncio.run(guess()) == 1  # the same password is one guess


class SmtpWire(Wire):
    """A client that sends mail."""

    service = "smtp"


class OneMaster:
    """The password of the master user admin is `other`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def split(self, name: str) -> tuple[str, str]:
        account, _, master = name.rpartition("*")
        return account or master, master if account else ""

    def cached_login(self, account: str, master: str, password: Secret) -> None:
        """Know nothing."""

    async def verify(self, account: str, master: str, password: Secret) -> Identity:
        self.asked.append((account, master))
        if (master, password.reveal()) != ("admin", b"other"):
            raise CredentialsError("wrong password, of the master user")
        return Identity(account, master=master)


def _by_master(need: Authenticate, wire: Wire) -> tuple[list[tuple[str, str]], str, Throttle]:
    """Return what is asked of the master users, the identity's master, and the failures."""
    masters = OneMaster()
    accounts = Asked()

    async def log_in() -> tuple[str, Throttle]:
        log, writer = event_log.configure_log("text", io.StringIO())
        context = ServerContext(
            store=MemoryStore(),
            authenticator=accounts,
            masters=cast("Any", masters),
            tokens=cast("Any", accounts),
            default_domain="example.com",
            log=log,
        )
        try:
            result = _authenticator(context, wire).authenticate(need)
            identity = result if isinstance(result, Identity) else await result
        except CredentialsError:
            return "", context.limits.throttle
        finally:
            writer.close()
        return identity.master, context.limits.throttle

    master, throttle = asyncio.run(log_in())
    return masters.asked, master, throttle


@pytest.mark.parametrize(
    ("user", "master"), [("ann*admin", ""), ("ann@example.com*admin", ""), ("ann", "admin")]
)
def test_master_user(user: str, master: str) -> None:
    """A master user opens an account by its name, or by an authorization identity."""
    need = Authenticate(AuthMethod.PASSWORD, user, Secret(b"other"), master=master)
    asked, opened, _ = _by_master(need, Wire())
    assert (asked, opened) == ([("ann@example.com", "admin")], "admin")


def test_needs_do_not_change() -> None:
    """The authenticator completes the names, and the need of the session keeps its own."""
    need = Authenticate(AuthMethod.PASSWORD, "ann*admin", Secret(b"other"))
    asked, _, _ = _by_master(need, Wire())
    assert asked == [("ann@example.com", "admin")]
    assert (need.user, need.master) == ("ann*admin", "")


def test_guesses_at_a_master_user() -> None:
    """A wrong password is a guess at the master user, whichever account it is for."""
    need = Authenticate(AuthMethod.PASSWORD, "ann*Admin", Secret(b"wrong"))
    _, opened, throttle = _by_master(need, Wire())
    names = ("/admin", "admin", "ann@example.com")
    assert [throttle.failures(Wire.address, name)[0] for name in names] == [1, 0, 0]
    assert opened == ""


@pytest.mark.parametrize("master", ["", "admin"])
def test_master_users_send_no_mail(master: str) -> None:
    """A master user cannot authenticate for another service than POP3."""
    user = "ann" if master else "ann*admin"
    need = Authenticate(AuthMethod.PASSWORD, user, Secret(b"other"), master=master)
    asked, opened, _ = _by_master(need, SmtpWire())
    assert (asked, opened) == ([], "")


@pytest.mark.parametrize("method", [AuthMethod.TOKEN, AuthMethod.CERTIFICATE, AuthMethod.APOP])
def test_only_passwords_name_master_users(method: AuthMethod) -> None:
    """By other methods, the name of an account with a separator is just a name."""
    need = Authenticate(method, "ann*admin", Secret(b"ann*admin"), b"<1@host>")
    asked, opened, _ = _by_master(need, CertifiedInClear())
    assert (asked, opened) == ([], "")


@pytest.mark.parametrize("user", ["Ann", " ann", "ánn"])
def test_guesses_without_further_names(user: str) -> None:
    """Without default domain, junk and master users, guesses count by account."""

    async def guess() -> list[int]:
        log, writer = event_log.configure_log("text", io.StringIO())
        context = ServerContext(store=MemoryStore(), authenticator=Asked(), log=log)
        need = Authenticate(AuthMethod.PASSWORD, user, Secret(b"wrong"))
        with contextlib.suppress(CredentialsError):
            await cast("Any", _authenticator(context, Wire()).authenticate(need))
        writer.close()
        return [context.limits.throttle.failures(Wire.address, name)[0] for name in ("ann", "")]

    assert asyncio.run(guess()) == [1, 0]


class Similar:
    """Accounts in a database that ignores accents, spaces and invisible characters."""

    async def identify(self, user: str) -> Identity:
        return Identity("é" if user.lower() == "é" else "ann")


@pytest.mark.parametrize("method", [AuthMethod.TOKEN, AuthMethod.CERTIFICATE])
@pytest.mark.parametrize(
    ("proved", "account"),
    [
        ("ann", "ann"), ("ANN", "ann"), ("alias", "ann"), ("é", "é"), ("É", "é"),
        (" ann", None), ("ann ", None), ("ánn", None), ("a\0nn", None), ("ann  b", None),
    ],
)  # fmt: skip
def test_a_proved_name_is_not_another_name(
    method: AuthMethod, proved: str, account: str | None
) -> None:
    """A user whose issuer lets users choose their names logs in by no name that is similar."""

    class Proved(Wire):
        """A client that proves a name."""

        class tls:  # noqa: N801  # as the wire's
            """The TLS of the connection."""

            @staticmethod
            def client_names() -> tuple[str, ...]:
                return (proved,)

        async def user_of(self, token: Secret) -> str:
            assert token.reveal() == b"token"
            return proved

    async def identified() -> Identity | None:
        log, writer = event_log.configure_log("text", io.StringIO())
        accounts = cast("Any", Similar())
        context = ServerContext(
            store=MemoryStore(), authenticator=accounts, log=log, tokens=Proved()
        )
        need = Authenticate(method, "", Secret(b"token"))
        try:
            return cast(
                "Identity", await cast("Any", _authenticator(context, Proved()).authenticate(need))
            )
        except CredentialsError:
            return None
        finally:
            writer.close()

    assert asyncio.run(identified()) == (Identity(account) if account else None)
