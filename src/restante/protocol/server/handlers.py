"""One function a command.

A handler that needs only the session returns the octets of the reply. Any other handler is a
generator, which yields needs and returns these octets. If a handler raises Refusal, the reply is
-ERR. RFC 1939 sections 4 to 7, RFC 2449.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from restante.protocol import stuffing
from restante.protocol.errors import Refusal, ResponseCode, TlsRequired
from restante.protocol.secret import Secret
from restante.protocol.server import sasl
from restante.protocol.server.capabilities import capability_lines
from restante.protocol.server.maildrop import PART, MaildropView, join_lines
from restante.protocol.server.needs import (
    Authenticate,
    AuthMethod,
    CommitDeletions,
    CorrectSize,
    LockMaildrop,
    NameClient,
    OpenMessage,
    Reply,
    SendMultiline,
    SendPart,
    StartServerTls,
)
from restante.protocol.server.sasl_exchange import SaslExchange
from restante.protocol.server.session import TRANSACTION, UPDATE, EndReason
from restante.protocol.status import OK, multiline_reply, ok, say
from restante.protocol.translations.languages import LANGUAGES, match

if TYPE_CHECKING:
    from restante.protocol.server.maildrop import Listing, MessageList
    from restante.protocol.server.needs import Body
    from restante.protocol.server.session import Session
    from restante.protocol.server.settings import Identity


def capa(session: Session) -> bytes:
    """List the capabilities. RFC 2449 section 5."""
    return multiline_reply(
        say("Capability list follows", session.language), capability_lines(session)
    )


def stls(session: Session) -> Reply:
    """Start TLS, and discard everything sent in clear text. RFC 2595 section 4."""
    if session.channel.tls:
        raise Refusal("TLS is active already.")
    if not session.channel.can_start_tls:
        raise Refusal("TLS is not available here.")
    if session.utf8:
        raise Refusal("STLS must come before UTF8.")  # RFC 6856 section 2.1
    session.channel = yield from StartServerTls(say("Begin TLS now.", session.language))
    session.reset_after_stls()
    return b""


def xclient(session: Session, address: str) -> Reply:
    """Let a trusted proxy name the address of its client, once. STLS cannot follow."""
    if not (yield from NameClient(address)):
        session.end = EndReason.FULL_ADDRESS
        raise Refusal("Too many connections, try again later.", ResponseCode.SYS_TEMP)
    session.names_client = False
    # What came before TLS may be forged, so TLS cannot begin now: RFC 2595 section 4.
    session.channel = replace(session.channel, can_start_tls=False)
    return OK


def utf8(session: Session) -> bytes:
    """Allow UTF-8 in headers. RFC 6856 section 2."""
    session.utf8 = True
    return say("UTF-8 it is.", session.language)


def lang(session: Session, tag: str | None) -> bytes:
    """Switch the language of replies, or list the languages. RFC 6856 section 3."""
    if tag is None:
        names = [f"{language.tag} {language.name}" for language in LANGUAGES.values()]
        return multiline_reply(say("Languages follow", session.language), names)
    chosen = session.settings.language if tag == "*" else match(tag)
    if chosen is None:
        raise Refusal("This language is not spoken here.")
    session.language = chosen
    return ok(f"{chosen} {session.translate('Language chosen.')}")


def user(session: Session, name: str) -> bytes:
    """Set the user name. Known and unknown names get the same reply. RFC 1939 section 13."""
    if not session.channel.clear_text:
        raise TlsRequired(name)
    session.user = name
    return OK


def pass_(session: Session, password: Secret) -> Reply:
    """Log in by password, then lock and open the maildrop. RFC 1939 sections 4 and 7."""
    session.logins += 1
    identity = yield sasl.verification(session.user, password)
    return (yield from _log_in(session, identity))


def apop(session: Session, name: str, digest: str) -> Reply:
    """Log in by a digest of the greeting's timestamp and a shared secret. RFC 1939 section 7."""
    session.logins += 1
    if not session.timestamp:
        raise Refusal("APOP is not offered here.")
    response, challenge = Secret(digest.encode()), session.timestamp.encode()
    identity = yield from Authenticate(AuthMethod.APOP, name, response, challenge)
    return (yield from _log_in(session, identity))


def auth(session: Session, mechanism: str | None, initial: bytes | None) -> Reply:
    """Log in by SASL, or list the mechanisms. RFC 5034 section 4."""
    if mechanism is None:
        return multiline_reply(
            say("Mechanisms follow", session.language), sasl.offered_mechanisms(session)
        )
    session.logins += 1
    row = sasl.find_mechanism(session, mechanism)
    if row.server_first and initial is not None:
        raise Refusal("In this mechanism the server speaks first.")
    return (yield from _log_in(session, (yield from row.log_in(SaslExchange(session, initial)))))


def _log_in(session: Session, identity: Identity) -> Reply:
    """Lock and open the maildrop of an authenticated user."""
    if identity.tls_required and not session.channel.tls:
        raise TlsRequired(identity.name)
    session.identity = identity
    delay = session.offer.login_delay if identity.login_delay is None else identity.login_delay
    contents: MessageList = yield LockMaildrop(identity, session.utf8, delay)
    session.view = MaildropView(contents)
    session.state = TRANSACTION
    return say("Logged in.", session.language)


def stat(session: Session) -> bytes:
    """Count the messages that are not marked. RFC 1939 section 5."""
    return b"+OK %d %d\r\n" % (session.view.count, session.view.octets)


def list_(session: Session, number: int | None) -> bytes | Reply:
    """Give the size of one message, or of all that are not marked. RFC 1939 section 5."""
    view = session.view
    if number is not None:
        return ok(f"{number} {view.contents.sizes[view.require_readable(number)]}")
    status = say("{count} messages:", session.language).replace(b"{count}", b"%d" % view.count)
    return _list(view, status, view.contents.scan_listing)


def uidl(session: Session, number: int | None) -> bytes | Reply:
    """Give the unique-id of one message, or of all that are not marked. RFC 1939 section 7."""
    view = session.view
    if number is not None:
        return b"+OK " + join_lines([f"{number} {view.contents.uids[view.index(number)]}\r\n"])
    return _list(view, OK, view.contents.uid_listing)


def _list(view: MaildropView, status: bytes, listing: Listing) -> bytes | Reply:
    """Give the lines of all messages that are not marked."""
    if len(view.contents.sizes) > PART:
        return _list_in_parts(view, status, listing)
    lines = None if view.marked else listing.kept.get(0)  # the usual case, without one more call
    return status + (lines or listing.part(0, view.marked)) + stuffing.TERMINATOR


def _list_in_parts(view: MaildropView, status: bytes, listing: Listing) -> Reply:
    """Give the lines as fast as the client reads: hundreds of thousands have 20 megabytes."""
    yield SendPart(status)
    for start in range(0, len(view.contents.sizes), PART):
        yield SendPart(listing.part(start, view.marked))
    return stuffing.TERMINATOR


def retr(session: Session, number: int) -> Reply:
    """Send a whole message. RFC 1939 section 5."""
    index = session.view.require_readable(number)
    stored: Body = yield OpenMessage(index)
    size = session.view.contents.sizes[index]
    status = say("{octets} octets", session.language).replace(b"{octets}", b"%d" % size)
    if isinstance(stored, bytes):
        reply, octets = stuffing.encode_message(stored, status)
    else:
        wire = stuffing.DotStuffer()
        yield from SendMultiline(status, stored, wire)
        reply, octets = b"", wire.octets
    session.retrieved += 1
    if octets != size:
        yield CorrectSize(index, octets)
    return reply


def top(session: Session, number: int, lines: int) -> Reply:
    """Send a message's header and the first lines of its body. RFC 1939 section 7."""
    stored: Body = yield OpenMessage(session.view.require_readable(number), lines)
    if isinstance(stored, bytes):
        return stuffing.encode_top(stored, lines, OK)
    yield from SendMultiline(OK, stored, stuffing.TopStuffer(lines))
    return b""


def dele(session: Session, number: int) -> bytes:
    """Mark a message; only QUIT removes it. RFC 1939 section 5."""
    session.view.mark(number)
    return say("Marked to be deleted.", session.language)


def rset(session: Session) -> bytes:
    """Take all marks away. RFC 1939 section 5."""
    session.view.unmark_all()
    return OK


def noop(_session: Session) -> bytes:
    """Do nothing, but restart the clock. RFC 1939 section 5."""
    return OK


def quit_(session: Session) -> bytes:
    """End a session that never logged in. RFC 1939 section 4."""
    session.end = EndReason.QUIT
    return say("Logging out.", session.language)


def quit_and_update(session: Session) -> Reply:
    """Remove what is marked, and say so when it is durable. RFC 1939 section 6.

    This is the only place that asks for a removal.
    """
    # Only QUIT removes mail: a client that loses its connection must find all its mail again, since
    # it may not have stored what it fetched. So the state changes first, and the end of the session
    # is "update failed" until the driver confirms that the removal is durable.
    session.state = UPDATE
    session.end = EndReason.UPDATE_FAILED
    yield CommitDeletions(tuple(sorted(session.view.marked)))
    session.end = EndReason.QUIT
    return say("Logging out.", session.language)
