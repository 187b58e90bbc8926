"""Measures what a server's processes take of the memory, and learns `MemoryCosts` from it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from reference_app.rig.client_process import replay
from reference_app.rig.rig_config import COLLECT
from reference_app.rig.server import RunningServer, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic, WorkerClass
from sim.experiment.distribution import Distribution
from sim.experiment.endpoint import TOTAL_TOKENS
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release_defaults import default_memory
from sim.experiment.worker_class import TRAITS
from sim.run import Memory

#: Workers of the servers that are measured, which show what more of them take.
WORKERS = 2

#: Pool threads of the server that shows what one of them takes.
MANY_THREADS = 16

#: Requests for each worker: what a first request imports and allocates is there after them.
REQUESTS = 50

#: s between two looks at a worker that collects garbage, and that it may take.
LOOK = 0.05
COLLECTING = 10.0

_PSS_ANON = re.compile(r"^Pss_Anon: +(\d+) kB$", re.MULTILINE)

#: Starts a server as `running_server` does.
Serve = Callable[[Experiment], AbstractContextManager[RunningServer]]


@dataclass(frozen=True, slots=True)
class _Pages:
    """Bytes of one process.

    Attributes:
        private: its unique set size (USS).
        anonymous: its part of the pages that no file backs, which only forks can share.
        files: of each file, the pages that it maps and has not written to.
    """

    private: int
    anonymous: int
    files: Counter[str]


def memory_of(server: RunningServer) -> Memory | None:
    """The memory that the server's processes take now; None without a master and a worker.

    Pages of files count once, and as the server's: PSS would give a part of Python's own code to
    any other Python on the machine, the rig's for one.
    """
    workers = [_pages(process) for process in server.living_workers().values()]
    own = [pages for pages in workers if pages is not None]
    master = None
    with suppress(psutil.NoSuchProcess):
        master = _pages(psutil.Process(server.containers()[-1].process.pid))
    if master is None or not own:
        return None
    files: Counter[str] = Counter()
    for pages in (master, *own):
        files |= pages.files
    total = files.total() + sum(pages.anonymous for pages in (master, *own))
    private = sum(pages.private for pages in own)
    return Memory(
        total=total,
        shared=total - private - master.private,
        master=master.private,
        worker=round(private / len(own)),
    )


def _pages(process: psutil.Process) -> _Pages | None:
    """What the process has; None when it has ended, or the kernel does not tell."""
    try:
        private = process.memory_full_info().uss
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        maps = process.memory_maps()
    except (OSError, psutil.Error):
        return None
    anonymous = _PSS_ANON.search(rollup)  # Linux 5.9 or newer
    if anonymous is None:
        return None
    files = Counter({each.path: each.rss - each.anonymous for each in maps})
    return _Pages(private, 1024 * int(anonymous[1]), files)


def collect(server: RunningServer) -> None:
    """Let every worker collect all its garbage, and wait until it has copied what that copies."""
    workers = server.living_workers().values()
    for worker in workers:
        worker.send_signal(COLLECT)
    before = -1
    deadline = time.monotonic() + COLLECTING
    while time.monotonic() < deadline:
        time.sleep(LOOK)
        private = sum(worker.memory_full_info().uss for worker in workers)
        if private == before:
            return
        before = private


def exercise(server: RunningServer, experiment: Experiment) -> None:
    """Keep every pool thread busy for a while."""
    replay(experiment, 0, server.addresses, lambda _: None, lambda *_: None)


def measure_memory(
    serve: Serve = running_server,
    exercise: Callable[[RunningServer, Experiment], None] = exercise,
    *,
    launchdarkly: bool = True,
    functions: bool = True,
    advance: Callable[[], None] = lambda: None,
    worker_class: WorkerClass = "gthread",
) -> MemoryCosts:
    """Learn this machine's `MemoryCosts` from four servers, or seven; some 2 s each.

    One less of a worker class without threads.

    What full collections copy of a preloaded application is the difference to a server that has
    frozen it: in the others, automatic collections may have copied a part before the first look.

    Args:
        serve: starts a server.
        exercise: sends it requests until every pool thread has run.
        launchdarkly: whether to measure the LaunchDarkly client too; if not, the defaults hold.
        functions: whether an ASGI application has plain functions, which run in threads; if not,
            the default of a thread holds.
        advance: called after each server.
        worker_class: of the servers.

    Raises:
        ExperimentError: when a server does not boot, or the kernel does not tell what memory
            its processes have.
    """

    def look(
        threads: int, *, preload: bool, enabled: bool = False, freeze: bool = False
    ) -> tuple[Memory, Memory]:
        """The memory before and after the workers' full collections."""
        experiment = replace(
            experiment_of(
                WORKERS,
                threads,
                preload=preload,
                launchdarkly=enabled,
                worker_class=worker_class,
            ),
            gc_freeze=freeze,
        )
        with serve(experiment) as server:
            exercise(server, experiment)
            first = memory_of(server)
            collect(server)
            lasting = memory_of(server)
        advance()
        if first is None or lasting is None:
            raise ExperimentError(
                "the kernel does not tell the memory of Gunicorn's processes; expected Linux 5.9 "
                "or newer"
            )
        return first, lasting

    own_first, own = look(1, preload=False)
    _, lasting = look(1, preload=True)
    _, frozen = look(1, preload=True, freeze=True)
    costs = replace(
        default_memory(worker_class),
        shared=own.shared,
        master=own.master,
        worker=own.worker,
        preloaded_shared=lasting.shared,
        preloaded_master=lasting.master,
        preloaded_worker=lasting.worker,
        copied=_more(own, own_first),
        preloaded_copied=_more(lasting, frozen),
    )
    threads = many_threads(worker_class, functions=functions)
    if threads > 1:
        _, threaded = look(threads, preload=True)
        costs = replace(costs, thread=_more(threaded, lasting) / (threads - 1))
    if not launchdarkly:
        return costs
    _, own_client = look(1, preload=False, enabled=True)
    _, client = look(1, preload=True, enabled=True)
    _, client_frozen = look(1, preload=True, enabled=True, freeze=True)
    return replace(
        costs,
        flag_client=(_more(own_client, own) + _more(client, lasting)) / 2,
        preloaded_client_copied=max(0.0, costs.preloaded_copied - _more(client, client_frozen)),
    )


def _more(one: Memory, other: Memory) -> float:
    """By how much one server has more memory than another, or than before, for each worker."""
    return max(0.0, (one.total - other.total) / WORKERS)


def many_threads(worker_class: WorkerClass, *, functions: bool = True) -> int:
    """Threads of the server that shows what one of them takes; 1 where the class has none.

    Of an ASGI class they are anyio's, which run plain ``functions``.
    """
    traits = TRAITS[worker_class]
    if traits.asgi:
        return TOTAL_TOKENS if functions else 1
    return MANY_THREADS if traits.threads else 1


def experiment_of(
    workers: int,
    threads: int,
    *,
    preload: bool,
    launchdarkly: bool,
    worker_class: WorkerClass = "gthread",
) -> Experiment:
    """A server, and closed-loop traffic that makes every pool start all its threads."""
    requests = REQUESTS * workers
    traits = TRAITS[worker_class]
    return Experiment(
        Server(
            workers=workers,
            threads=threads if traits.threads else 1,
            worker_class=worker_class,
            preload_app=preload,
        ),
        launchdarkly=replace(LaunchDarkly(), enabled=launchdarkly, latency=0.0),
        traffic=Traffic(
            arrivals="closed",
            users=3 * workers * threads,
            requests=max(requests, 6 * workers * threads),
            io=Distribution("const", (0.01,)),
            endpoint="def" if traits.asgi and threads > 1 else "async",
        ),
    )
