"""The other nodes of a cluster: a request of an administrator is passed on to all of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from restante.auth.usernames import with_domain
from restante.json_input import read_json
from restante.junk import without_suffix
from restante.server.config.addresses import canonical_address
from restante.server.control.messages import Action, ControlReply, ControlRequest, NodeState
from restante.server.log.session_ids import is_session_id
from restante.storage.errors import StoreError
from restante.storage.peers import AsksPeers, KicksUsers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.server.context import ServerContext
    from restante.storage.peers import PeerAnswers, PeerNode

PATIENCE = 2.5  # seconds: each node sees requests once a second
LONGEST_ANSWER = 16 * 1024 * 1024  # octets, of a process with some 50,000 connections


async def ask_others(context: ServerContext, request: ControlRequest, reply: ControlReply) -> None:
    """Pass a request on, and put what the other nodes say into the reply."""
    store = context.store
    if not isinstance(store, AsksPeers):
        return
    passed = msgspec.structs.replace(request, others=False, but=[], at=reply.node)
    content = msgspec.json.encode(passed)
    try:
        answers = await store.ask_nodes(content, request.but, PATIENCE)
        if answers.silent and _kicks_user(request) and isinstance(store, KicksUsers):
            full = with_domain(request.who, context.default_domain)
            for name in {request.who, full}:
                await store.kick(name)
            reply.everywhere = without_suffix(full, context.junk_suffix) == full
        if request.action is Action.STATUS:
            reply.nodes = [_describe(node) for node in await store.list_nodes()]
    except StoreError as error:
        reply.error = f"the other nodes were not asked: {error}"
        return
    reply.others = list(decode_answers(answers))
    reply.silent = [_describe(node) for node in answers.silent]


def _kicks_user(request: ControlRequest) -> bool:
    """Return whether a request is to kick a user, and not an address or a session."""
    is_other = canonical_address(request.who) or is_session_id(request.who)
    return request.action is Action.KICK and not is_other


def encode_request(action: Action, who: str) -> bytes:
    """Return a request to other nodes as the database carries it."""
    return msgspec.json.encode(ControlRequest(action=action, who=who))


def decode_answers(answers: PeerAnswers) -> Iterator[ControlReply]:
    """Yield the replies of other nodes, but not what only a newer node could read."""
    for answer in answers.received:
        with contextlib.suppress(ValueError):
            yield read_json(answer, ControlReply)


def encode_answer(reply: ControlReply) -> bytes:
    """Return a reply as the database carries it."""
    content = msgspec.json.encode(reply)
    if len(content) > LONGEST_ANSWER:
        reply.sessions = []
        reply.error = f"it has too many sessions to send; run the command at {reply.node}"
        content = msgspec.json.encode(reply)
    return content


def _describe(node: PeerNode) -> NodeState:
    return NodeState(
        node=node.name, worker=node.process, alive=node.alive, seen=round(node.seen, 1)
    )
