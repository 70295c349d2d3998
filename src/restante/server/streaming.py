"""Long replies, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restante.protocol.needs import Stream
    from restante.server.output import Output
    from restante.server.world import World


async def send(stream: Stream, output: Output, world: World) -> None:
    """Send a long reply piece by piece, as fast as the peer reads.

    Raises Refused: nothing was sent yet. Raises Exception: it cannot be sent to its end.
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
            raise world.refused(error) from error
        raise
    finally:
        await world.let_go(stream.body)
    output.add(status + stream.wire.finish())
