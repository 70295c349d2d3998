"""All checks in their order, and a run of them."""

from __future__ import annotations

import contextlib
import ssl
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from restante.client.other_protocols import describe_server, protocol_of
from restante.conformance.check import (
    Check,
    Deviation,
    LoginRejectedError,
    NotTestable,
    Result,
    Verdict,
)
from restante.conformance.checks import (
    after_login,
    before_login,
    deletion,
    extensions,
    final,
    message_octets,
    sasl,
    tls,
)
from restante.conformance.context import ARRIVAL
from restante.conformance.delivery import DeliveryError
from restante.conformance.raw_connection import ClosedError, quote
from restante.conformance.sample_messages import all_samples
from restante.protocol.client.replies import strip_noise
from restante.system_errors import find_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from restante.conformance.context import ConformanceContext

SCHEMA = "restante.verify/1"
MOST_MESSAGES = 500  # in the mailbox before a delivery: some 20 checks read the header of each

MODULES = (before_login, tls, sasl, after_login, message_octets, deletion, extensions, final)
"""In this order: a wrong password, and checks of all replies of a run, come last."""

CHECKS: tuple[Check, ...] = tuple(check for module in MODULES for check in module.GROUP.checks)


@dataclass(slots=True)
class Conformance:
    """The results of a run."""

    server: str
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # of the run itself, such as deliveries

    def count(self, verdict: str) -> int:
        """Return the number of checks with a verdict."""
        return sum(result.verdict == verdict for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """Return the run for json.dumps."""
        return {
            "schema": SCHEMA,
            "server": self.server,
            "passed": self.count("pass"),
            "failed": self.count("fail"),
            "skipped": self.count("skip"),
            "problems": self.problems,
            "checks": [
                {
                    "ids": list(result.check.ids),
                    "name": result.check.name,
                    "title": result.check.title,
                    "verdict": result.verdict,
                    "evidence": result.evidence,
                    "seconds": round(result.seconds, 3),
                }
                for result in self.results
            ],
        }


def run(
    context: ConformanceContext,
    checks: Iterable[Check] = CHECKS,
    on_result: Callable[[Result], object] = lambda _: None,
) -> Conformance:
    """Run checks. The messages that were delivered are deleted again, whatever happens.

    Raises OSError, ssl.SSLError, Deviation, NotTestable: there is no connection, or no login, to
    begin with. Raises DeliveryError: the messages of the run do not arrive, or the mailbox is too
    large to find them in.
    """
    conformance = Conformance(f"{context.server.host}:{context.server.port}")
    with context.open_connection():
        if context.greeting.startswith(b"-ERR"):
            raise Deviation(f"the server rejects connections: {quote(context.greeting)}")
        if protocol_of(strip_noise(context.greeting)) != "unknown":
            raise Deviation(describe_server(strip_noise(context.greeting)))
    try:
        if context.server.user:
            if context.requires_starttls():
                context.server = replace(context.server, tls="starttls")
            with context.open_session():
                pass
            _deliver(context, conformance)
        for check in checks:
            result = _carry_out(check, context)
            conformance.results.append(result)
            on_result(result)
    finally:
        _clean_up(context, conformance)
    return conformance


def _deliver(context: ConformanceContext, conformance: Conformance) -> None:
    """Deliver all samples, once for all checks. The first, a plain one, must be accepted.

    Raises DeliveryError: it is not, the mailbox is too large to find them in, or none arrives.
    """
    if context.deliver is None:
        return
    before = context.count_in_new_session()
    if before > MOST_MESSAGES:
        raise DeliveryError(
            f"the mailbox of {context.server.user} has {before} messages, and the checks would "
            f"read the header of each many times; use an account with at most {MOST_MESSAGES}, "
            "or test without a delivery"
        )
    sent = 0
    for sample in all_samples(context.run_id):
        context.delivered[sample.name] = sample  # an interrupted delivery may have succeeded
        try:
            context.deliver.put(sample.stored)
        except DeliveryError as rejected:  # many servers reject lines that SMTP does not allow
            if not sent:
                raise
            context.rejected[sample.name] = str(rejected)
        else:
            sent += 1
    try:
        there = context.wait_for(before + sent)
    except LoginRejectedError as rejected:
        text = f"after the delivery of {sent} test messages, {rejected}"
        raise LoginRejectedError(text) from None
    late = f"{ARRIVAL:g} s after their delivery"
    if there <= before:
        raise DeliveryError(
            f"the server lists none of {sent} messages {late}; make sure that they arrive in the "
            f"mailbox of {context.server.user}"
        )
    if there < before + sent:
        conformance.problems.append(f"{there} of {before + sent} messages are listed {late}")


def _carry_out(check: Check, context: ConformanceContext) -> Result:
    begun = time.monotonic()
    verdict: Verdict = "pass"
    evidence = ""
    try:
        check.run(context)
    except (NotTestable, DeliveryError) as why:
        verdict, evidence = "skip", str(why)
    except ssl.SSLCertVerificationError as why:  # not a matter of POP3
        verdict = "skip"
        evidence = f"{why.verify_message}; trust the certificate with --cacert FILE or --insecure"
    except (Deviation, OSError, ssl.SSLError) as trouble:
        evidence = find_reason(trouble) if isinstance(trouble, OSError) else str(trouble)
        verdict = "fail"
        context.close_shared_session(broken=isinstance(trouble, (ClosedError, OSError)))
    except (ValueError, IndexError) as trouble:
        verdict, evidence = "fail", f"a reply cannot be parsed: {trouble}"
        context.close_shared_session(broken=True)
    return Result(check, verdict, evidence, time.monotonic() - begun)


def _clean_up(context: ConformanceContext, conformance: Conformance) -> None:
    """Delete the messages of this run by the server, and by hand if that fails.

    Then none is `delivered` any more.
    """
    context.close_shared_session()
    if context.deliver is None or not context.delivered:
        return
    with contextlib.suppress(Deviation, NotTestable, OSError, ValueError, IndexError):
        with context.open_session() as connection:
            for numbers in context.find_samples(connection).values():
                for number in numbers:
                    connection.expect_ok(f"DELE {number}")
            connection.expect_ok("QUIT")
        context.deliver.clean_up()
        context.delivered.clear()
        return
    context.deliver.clean_up()
    if context.deliver.exact:
        context.delivered.clear()
    else:
        conformance.problems.append("test messages may remain in the mailbox")
