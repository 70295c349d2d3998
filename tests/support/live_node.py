"""A node of a cluster in a thread, which asks and answers other nodes at once."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from restante.protocol.secret import Secret
from restante.server.config.addresses import ListenAddress
from restante.server.config.server_sections import ControlSection
from restante.server.connection.transport import PLAIN
from restante.server.context import ServerContext
from restante.server.control.service import ControlService, prepare_folder, serving_control
from restante.server.listener import ListenConfig, serve_listeners
from restante.server.log import event_log
from restante.server.tasks.peers import sharing_with_peers
from restante.storage.cluster import ClusterStore
from support.cluster import settings
from support.live import PATIENCE, Live
from support.passwords import Passwords
from support.thread import Stage, in_thread

SHARE_PAUSE = 0.01  # seconds


@contextlib.contextmanager
def live_node(dsn: Secret, folder: Path, **options: Any) -> Iterator[Live]:
    """Run a node while the block runs, with its control socket in a folder. Ann has an account."""

    async def run(stage: Stage[Live]) -> None:
        log, writer = event_log.configure_log("text", lines := io.StringIO())
        passwords, store = Passwords(), ClusterStore(settings(dsn))
        passwords.known["ann"] = "secret"
        context = ServerContext(store=store, authenticator=passwords, log=log, **options)
        service, section = ControlService(context), ControlSection(folder=folder)
        prepare_folder(section)
        listens = [ListenConfig(ListenAddress("127.0.0.1", 0), PLAIN)]
        async with (
            store.open(),
            sharing_with_peers(context, service, SHARE_PAUSE),
            serve_listeners(context, listens, PATIENCE) as sockets,
            serving_control(section, service),
        ):
            await store.share({})  # from now on, other nodes know this one
            port = sockets[0].getsockname()[1]
            await stage.show(Live(port, context, stage.loop, passwords, lines, stage.stop))
        writer.close()

    with in_thread(run) as live:
        yield live
