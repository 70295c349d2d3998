"""Long replies, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restante.protocol.server.needs import SendMultiline
    from restante.server.connection.backend import SessionBackend
    from restante.server.connection.write_buffer import WriteBuffer


async def send(stream: SendMultiline, output: WriteBuffer, world: SessionBackend) -> None:
    """Send a long reply piece by piece, as fast as the peer reads.

    Raises Refusal: nothing was sent yet. Raises Exception: it cannot be sent to its end.
    """
    status = stream.status
    try:
        async for chunk in stream.body:
            output.add(status + stream.wire.feed(chunk))
            status = b""
            await output.drain()
            if output.closing or stream.wire.complete:
                break
    except Exception as error:
        if status:
            raise world.error_reply(error) from error
        raise
    finally:
        await world.close_body(stream.body)
    output.add(status + stream.wire.finish())
