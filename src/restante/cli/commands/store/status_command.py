"""`pop3 store status`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from restante.cli.commands.store.configuration import cluster_settings
from restante.cli.commands.store.parts import ClusterParts, run_with_parts
from restante.cli.options.server import read_config_option
from restante.protocol.text import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from restante.storage.cluster.status import ClusterStatus, NodeStatus, ReplicaStatus


@click.command("status")
@read_config_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print the state of each database as a line of JSON."
)
def command(file: Path, *, as_json: bool) -> None:
    """Show the nodes, the mail and the replicas of a cluster."""
    from restante.cli.output.terminal import plain
    from restante.storage.cluster.status import read_status

    async def show(parts: ClusterParts) -> None:
        status = await read_status(parts.database)
        if as_json:
            click.echo(to_json({"database": parts.name, **dataclasses.asdict(status)}))
            return
        for line in _describe(status):
            click.echo(plain(line))

    run_with_parts(cluster_settings(file), show, headings=not as_json)


def _describe(status: ClusterStatus) -> Iterator[str]:
    from restante.diagnosis.wording import messages, octets, quantity

    yield f"PostgreSQL {status.postgresql}, tables of version {status.tables}"
    if status.synchronous:
        yield "Commits wait for a synchronous standby."
    else:
        yield "Commits do not wait for a standby: a failover can lose the last deliveries."
    for replica in status.replicas:
        yield f"  {_describe_replica(replica)}"
    mail = f"{messages(status.messages)}, {octets(status.octets)}"
    yield f"{quantity(status.boxes, 'maildrop')}: {mail}"
    alive = [node for node in status.nodes if node.alive]
    yield f"Nodes alive: {len(alive)}"
    for node in status.nodes:
        yield f"  {_describe_node(node)}"
    for move in status.moves:
        again = f"run `pop3 store move {move.owner} --to {move.target}` again if it was killed"
        yield f"A move of {move.owner} to the database {move.target} has not ended: {again}"
    yield f"Bodies that wait for the sweep: {status.waiting}{_describe_age(status.oldest)}"
    if status.marked:
        hint = "`pop3 store check --repair` makes messages of them"
        yield f"  without a message: {status.marked}; {hint}"


def _describe_replica(replica: ReplicaStatus) -> str:
    if replica.state is None:
        return f"{replica.name}: its state is hidden; grant pg_monitor to the role of Restante"
    return f"{replica.name}: {replica.kind}, {replica.state}, {replica.lag:.1f} s behind"


def _describe_node(node: NodeStatus) -> str:
    from restante.diagnosis.wording import quantity

    name = node.id if node.name is None else f"{node.name}, process {node.process}"
    if not node.alive:
        return f"{name}: dead for {-node.remaining:.0f} s"
    return f"{name}: {quantity(node.leases, 'maildrop')} in use"


def _describe_age(seconds: float | None) -> str:
    return "" if seconds is None else f", the first for {seconds / 86_400:.1f} days"
