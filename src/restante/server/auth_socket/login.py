"""One login of a user, whose responses another program relays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from restante.auth.interfaces import UnavailableError
from restante.protocol.errors import Refusal, TlsRequired
from restante.protocol.server.needs import Authenticate, NewTimestamp, StartScram
from restante.protocol.server.session import Session
from restante.server.auth_socket.protocol import messages
from restante.server.auth_socket.protocol.conversation import AskUser, log_in
from restante.server.connection.authentication import ConnectionAuthenticator
from restante.server.connection.backend import new_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.protocol.server.needs import Need
    from restante.protocol.server.settings import Identity
    from restante.server.auth_socket.client import RelayedClient
    from restante.server.auth_socket.protocol.messages import LoginRequest
    from restante.server.context import ServerContext

TOO_LATE = "The login took too long, or was cancelled."


class RelayedLogin:
    """A login from its first line to its reply; `run` is called once.

    Attributes:
        user: the name that the user claims, or "".
    """

    def __init__(
        self,
        request: LoginRequest,
        client: RelayedClient,
        context: ServerContext,
        send: Callable[[bytes], None],
    ) -> None:
        self.user = ""
        self._request = request
        self._client = client
        self._context = context
        self._send = send
        self._method = ""  # in the words of the log
        self._authenticator = ConnectionAuthenticator(context, client)
        self._response: asyncio.Future[bytes] | None = None  # that is waited for

    @property
    def waits_for_user(self) -> bool:
        """Whether the next step is the user's."""
        return self._response is not None and not self._response.done()

    def respond(self, text: bytes) -> None:
        """Take the user's response, while `waits_for_user`."""
        assert self._response is not None
        self._response.set_result(text)

    async def run(self) -> Identity:
        """Authenticate the user, and log what becomes of it. Raises Refusal."""
        seconds = self._context.settings.authorization_timeout
        try:
            async with asyncio.timeout(seconds):
                identity = await self._converse()
        except TimeoutError:
            if self._response is not None and self._response.cancelled():  # it was the user's turn
                raise Refusal(TOO_LATE) from None
            text = f"the accounts gave no answer within {seconds:g} seconds"
            raise self._refusal(UnavailableError(text)) from None
        except TlsRequired as refusal:
            user = refusal.user or self.user
            self._context.session_log.login_refused(self._client, user, refusal, "no TLS")
            raise
        except Refusal:
            raise
        except Exception as error:
            raise self._refusal(error) from error
        finally:
            self._authenticator.leave()
        self._context.session_log.logged_in(self._client, identity, self._method)
        return identity

    async def _converse(self) -> Identity:
        context = self._context
        session = Session(
            settings=context.settings, offer=context.offer(), channel=self._client.channel()
        )
        conversation = log_in(self._request, session)
        advance, answer = conversation.send, None
        while True:
            try:
                need: Any = advance(answer)
            except StopIteration as end:
                return cast("Identity", end.value)
            try:
                advance, answer = conversation.send, await self._fulfil(need)
            except Refusal as refusal:
                advance, answer = conversation.throw, refusal

    async def _fulfil(self, need: Need[Any]) -> object:
        """Return what the login needs. Raises Refusal; TimeoutError: the user did not respond."""
        if isinstance(need, AskUser):
            return await self._ask(need.challenge)
        try:
            match need:
                case StartScram():
                    self.user = need.user
                    return await self._authenticator.start_scram(need)
                case Authenticate():
                    self.user, self._method = need.user, need.method.value
                    identity = self._authenticator.authenticate(need)
                    return await identity if hasattr(identity, "__await__") else identity
                case _:
                    assert isinstance(need, NewTimestamp), need
                    return new_timestamp()
        except Refusal:
            raise
        except Exception as error:
            raise self._refusal(error) from error

    async def _ask(self, challenge: bytes) -> bytes:
        """Have a challenge relayed, and wait for the response. Raises TimeoutError."""
        self._response = asyncio.get_running_loop().create_future()
        self._send(messages.challenge(self._request.id, challenge))
        async with asyncio.timeout(self._context.settings.login_timeout):
            return await self._response

    def _refusal(self, error: Exception) -> Refusal:
        return self._context.session_log.refusal_for(self._client, self.user, error)
