"""The services of a process that serves clients, beside its listeners."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from restante.server.composition.components import opening_store
from restante.server.tasks.account_watch import watching_accounts
from restante.server.tasks.peers import sharing_with_peers
from restante.storage.peers import HasPeers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from restante.server.config.schema import Config
    from restante.server.context import ServerContext
    from restante.server.control.service import ControlService
    from restante.server.metrics.listener import MetricsListener, ServedMetrics
    from restante.server.tls.certificates import Certificates


@contextlib.asynccontextmanager
async def running_services(
    config: Config,
    context: ServerContext,
    certificates: Sequence[Certificates],
    metrics: MetricsListener | None,
) -> AsyncIterator[ServedMetrics | None]:
    """Run what sessions depend on, and what shows them to administrators, while the block runs.

    Listeners open in the block, and their sessions end in it: before the store does, and while
    administrators still see them. The block gets the metrics of this process, None without them.
    Raises ConfigError.
    """
    control = _build_control(config, context, certificates)
    async with (
        opening_store(context.store),
        sharing_with_peers(context, control),
        watching_accounts(context),
        _serving_control(config, control),
        _serving_metrics(metrics, context, certificates) as served_metrics,
    ):
        yield served_metrics


def _build_control(
    config: Config,
    context: ServerContext,
    certificates: Sequence[Certificates],
) -> ControlService | None:
    """Return the service for administrators and other nodes, None if no program can ask."""
    if config.control.folder is None and not isinstance(context.store, HasPeers):
        return None
    from restante.server.control.service import ControlService

    return ControlService(context, certificates)


def _serving_control(
    config: Config, service: ControlService | None
) -> contextlib.AbstractAsyncContextManager[None]:
    """Serve at the control socket of this process while the block runs, if it has one."""
    if config.control.folder is None or service is None:
        return contextlib.nullcontext()
    from restante.server.control.service import serving_control

    return serving_control(config.control, service)


@contextlib.asynccontextmanager
async def _serving_metrics(
    metrics: MetricsListener | None, context: ServerContext, certificates: Sequence[Certificates]
) -> AsyncIterator[ServedMetrics | None]:
    """Answer questions about the server while the block runs, if it measures itself."""
    if metrics is None:
        yield None
        return
    async with metrics.serve(context, certificates) as served:
        yield served
