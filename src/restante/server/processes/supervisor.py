"""Supervises several workers on the same sockets.

The supervisor opens the sockets, so a port in use is reported before the first fork, and a
connection in the queue survives the end of a worker. All workers accept from the same socket, so an
idle worker gets the next connection. With a socket for each worker (SO_REUSEPORT), the kernel
distributes connections by a hash: also to a worker that is busy, and to one that has just died,
where they would wait for its successor. docs/explanation/workers.md has the figures.

The supervisor has no event loop and no thread, because neither survives a fork.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from restante.server.composition.components import log_not_reloaded
from restante.server.composition.extra_listeners import reconfigure, socket_settings
from restante.server.listener import close_sockets
from restante.server.processes.generation import build_generation
from restante.server.processes.signals import Signals
from restante.server.processes.worker import BEAT, DRAIN, start_worker
from restante.server.system.process import SLACK
from restante.server.system.service_manager import NOT_RELOADED
from restante.server.system.unix_sockets import CHECK_EVERY, close_replaced
from restante.system_errors import find_reason, find_remedy

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.server.config.schema import Config
    from restante.server.extra_listener import OpenedListeners
    from restante.server.processes.generation import Sockets, WorkerGeneration
    from restante.server.processes.worker import WorkerHandle, WorkerResources
    from restante.server.system.service_manager import ServiceManager

MAX_GENERATIONS: Final = 3  # at once: one that finishes, one that serves, one that starts
STEADY = 10.0  # seconds; an earlier crash counts as a crash at start
FIRST_PAUSE = 0.1  # seconds before a worker is replaced that crashed at start; each time twice
LONGEST_PAUSE = 10.0  # seconds
RENEW_PAUSE = 60.0  # seconds after which workers for new Unix sockets are tried again
MORE_ROOM = (
    "raise the limits of processes and memory (TasksMax, MemoryMax), or lower server.workers"
)
LONGEST_SILENCE = 30.0  # seconds without a sign of life after which a worker is killed


class RestartBackoff:
    """The pause before a worker is replaced. It doubles with each crash at the start."""

    def __init__(self) -> None:
        self._crashes: Counter[int] = Counter()  # one after the other, by number of the worker

    def delay(self, number: int, lived: float) -> float:
        """Return the pause before the next start, by the lifetime of the last worker."""
        crashes = 0 if lived >= STEADY else self._crashes[number]
        self._crashes[number] = min(crashes + 1, 20)
        return min(FIRST_PAUSE * 2 ** (crashes - 1), LONGEST_PAUSE) if crashes else 0


class SupervisorPhase(Enum):
    """The work of the supervisor. It is in one phase at a time.

    STARTING  starts a generation; the one before serves until all workers of the new one are ready
    SERVING   replaces workers that end; older generations finish their sessions
    STOPPING  waits until all workers have ended
    """

    STARTING = auto()
    SERVING = auto()
    STOPPING = auto()


class Supervisor:
    """Keeps `count` workers running; `load_config` reads the configuration again."""

    def __init__(
        self,
        count: int,
        inherited: WorkerResources,
        extra_listeners: OpenedListeners,
        load_config: Callable[[], Config],
        manager: ServiceManager,
    ) -> None:
        self._count = count
        self._inherited = inherited
        self._log = inherited.log
        self._extra_listeners = extra_listeners
        self._load_config = load_config
        self._manager = manager
        self._sockets: Sockets = {}
        self._workers: list[WorkerHandle] = []
        self._columns = list(range(MAX_GENERATIONS * count))  # free columns of the shared table
        self._due: dict[int, float] = {}  # when to start a worker, by its number
        self._backoff = RestartBackoff()
        self._phase = SupervisorPhase.STARTING
        self._reload_requested = False  # it begins once enough columns are free
        self._files_checked_at = time.monotonic()  # the files of Unix sockets
        self._renew_at = math.inf  # when workers for new Unix sockets are required
        self._listened_at = time.monotonic()  # when signs of life of workers were last read

    def run(self, config: Config, on_ready: Callable[[WorkerGeneration], None]) -> None:
        """Serve until SIGTERM or SIGINT; `on_ready` gets each generation once it is ready.

        Raises ConfigError, ListenError.
        """
        self._first = config
        self._on_ready = on_ready
        try:
            with Signals() as signals:
                self._start_generation(self._build_generation(config))
                while self._workers or self._phase is not SupervisorPhase.STOPPING:
                    pipes = [worker.pipe for worker in self._workers]
                    self._handle_signals(signals.wait(self._seconds_until_due(), pipes))
                    self._reap()
                    self._listen_to_workers()
                    self._manager.alive()
                    self._watch_clock()
                    self._finish_older_workers()
                    self._replace_lost_sockets()
                    self._start_next_generation()
                    self._start_if_due()
                    self._kill_if_due()
        finally:
            self._inherited.death_pipe.close()
            close_sockets(self._sockets)

    def _build_generation(self, config: Config) -> WorkerGeneration:
        extra_listeners = reconfigure(self._extra_listeners, config)
        return build_generation(
            config, self._inherited, self._sockets, extra_listeners, self._manager.sockets
        )

    def _start_generation(self, generation: WorkerGeneration) -> None:
        """Start the workers of this generation. Older ones finish once all of these are ready."""
        self._generation = generation
        self._sockets |= generation.sockets
        self._phase = SupervisorPhase.STARTING
        self._backoff = RestartBackoff()
        self._due = dict.fromkeys(range(self._count), 0.0)
        self._start_if_due()

    def _handle_signals(self, signals: set[int]) -> None:
        if signals & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        elif signal.SIGHUP in signals:
            self._reload_requested = True

    def _stop(self) -> None:
        if self._phase is not SupervisorPhase.STOPPING:
            self._log.info("stopping", workers=len(self._workers))
            self._manager.stopping()
        self._phase = SupervisorPhase.STOPPING
        self._due.clear()
        self._close_sockets()
        for worker in self._workers:
            self._end(worker, signal.SIGTERM, self._generation.config.timeouts.stop)

    def _close_sockets(self) -> None:
        """Close the listening sockets: once the workers have closed theirs, clients are refused."""
        close_sockets(self._sockets)
        for _, sockets in self._extra_listeners:
            for one in sockets:
                one.close()

    def _end(self, worker: WorkerHandle, number: signal.Signals, seconds: float) -> None:
        worker.send_signal(number)
        kill_at = time.monotonic() + seconds + SLACK
        worker.kill_at = min(kill_at, worker.kill_at or kill_at)

    def _reap(self) -> None:
        """Reap ended workers, and replace those that ended unexpectedly."""
        for worker in tuple(self._workers):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            os.close(worker.pipe)
            self._workers.remove(worker)
            self._inherited.clear_worker(worker.column)
            self._columns.append(worker.column)
            code = os.waitstatus_to_exitcode(status)
            expected = worker.kill_at is not None and code in (0, -signal.SIGTERM)
            log = self._log.info if expected else self._log.error
            log("worker_ended", worker=worker.pid, status=_describe_exit(code))
            if worker.generation is self._generation and worker.kill_at is None:
                now = time.monotonic()
                pause = self._backoff.delay(worker.number, now - worker.begun)
                self._due[worker.number] = now + pause

    def _listen_to_workers(self) -> None:
        """Kill workers without a sign of life; their end replaces them.

        If this process stood still itself, as on a frozen machine, all workers get more time.
        """
        now = time.monotonic()
        stood_still = now - self._listened_at > 2 * BEAT
        self._listened_at = now
        for worker in self._workers:
            worker.listen()
            if stood_still:
                worker.heard_at = now
            elif worker.ready and now - worker.heard_at > LONGEST_SILENCE:
                self._log.error("worker_hangs", worker=worker.pid, silent=round(LONGEST_SILENCE))
                worker.send_signal(signal.SIGKILL)
                worker.heard_at = now

    def _watch_clock(self) -> None:
        """Notice and log jumps of the clock by which workers remove mail."""
        if self._generation.removes_mail:
            self._inherited.clock.is_steady()

    def _finish_older_workers(self) -> None:
        """Let the workers of older generations finish, once all of this generation are ready."""
        current = [worker for worker in self._workers if worker.generation is self._generation]
        ready = [worker for worker in current if worker.ready]
        if self._phase is not SupervisorPhase.STARTING or len(ready) < self._count:
            return
        self._phase = SupervisorPhase.SERVING
        for worker in self._workers:
            if worker.generation is not self._generation and worker.kill_at is None:
                timeouts = worker.generation.config.timeouts
                number = DRAIN if worker.ready else signal.SIGTERM
                self._end(worker, number, timeouts.reload + timeouts.stop)
        unused = self._sockets.keys() - self._generation.sockets.keys()
        close_sockets({address: self._sockets.pop(address) for address in unused})
        self._on_ready(self._generation)

    def _replace_lost_sockets(self) -> None:
        """Replace Unix sockets whose files are gone. New workers will accept at the new ones."""
        now = time.monotonic()
        is_due = now - self._files_checked_at >= CHECK_EVERY
        if self._phase is not SupervisorPhase.SERVING or not is_due:
            return
        self._files_checked_at = now
        metrics = self._inherited.metrics
        changed = metrics is not None and metrics.replace_lost(self._log)
        before = self._extra_listeners
        self._extra_listeners = [
            (listener, listener.replace_lost(sockets, self._log)) for listener, sockets in before
        ]
        for (_, old), (_, new) in zip(before, self._extra_listeners, strict=True):
            changed |= close_replaced(old, new)
        if changed:
            self._renew_at = now

    def _start_next_generation(self) -> None:
        """Start a generation for a new configuration or new sockets, if one is required.

        After an error the old one stays. New sockets are then tried again; a reload is over.
        """
        is_due = self._reload_requested or self._renew_at <= time.monotonic()
        if self._phase is SupervisorPhase.STOPPING or not is_due:
            return
        if len(self._columns) < self._count:
            self._end_replaced_workers()
            return
        requested, self._reload_requested = self._reload_requested, False
        self._manager.reloading()
        try:
            config = self._load_config() if requested else self._generation.config
            self._start_generation(self._build_generation(config))
            self._renew_at = math.inf
            self._warn_unchanged(config)
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, the old workers go on
            log_not_reloaded(self._log, error)
        if self._renew_at < math.inf:
            self._renew_at = time.monotonic() + RENEW_PAUSE
        self._manager.end_reload(NOT_RELOADED)

    def _end_replaced_workers(self) -> None:
        """End the workers that finish, and those of an earlier reload that never served."""
        for worker in self._workers:
            is_earlier = worker.generation is not self._generation
            if worker.kill_at is not None or (is_earlier and not worker.ready):
                self._end(worker, signal.SIGTERM, worker.generation.config.timeouts.stop)

    def _warn_unchanged(self, config: Config) -> None:
        """Warn of changed settings that a reload cannot apply, since all workers share them."""
        if _shared_settings(config) != _shared_settings(self._first):
            remedy = (
                "restart the server to change server.workers, [log], [metrics], or the sockets of"
                " [delivery] and [auth_socket]"
            )
            self._log.warning("reload_is_partial", what=remedy)

    def _start_if_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, when in self._due.items() if when <= now]:
            del self._due[number]
            try:
                worker = start_worker(self._generation, number, self._columns[0], self._inherited)
            except OSError as error:
                problem = f"{find_reason(error)}; {find_remedy(error) or MORE_ROOM}"
                self._log.error("worker_not_started", problem=problem)
                self._due[number] = now + FIRST_PAUSE + self._backoff.delay(number, 0)
                continue
            self._workers.append(worker)
            self._columns.remove(worker.column)
            self._log.info("worker_started", worker=worker.pid)

    def _kill_if_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.kill_at is not None and worker.kill_at <= now:
                worker.send_signal(signal.SIGKILL)
                worker.kill_at = now + LONGEST_PAUSE

    def _seconds_until_due(self) -> float:
        """Return the seconds until the next action is due, at most until signs of life are read."""
        times = [*self._due.values(), *(w.kill_at for w in self._workers if w.kill_at is not None)]
        pause = min(BEAT, self._manager.alive_every or BEAT)
        return min(pause, max(0.0, min(times) - time.monotonic())) if times else pause


def _shared_settings(config: Config) -> list[object]:
    return [config.server.workers, config.log, config.metrics, *socket_settings(config)]


def _describe_exit(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"exit {code}"
    names = {number.value: number.name for number in signal.Signals}
    return names.get(-code, f"signal {-code}")
