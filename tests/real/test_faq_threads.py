"""What threads of a worker share, what workers do not share, and what both cost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plain_gunicorn import ROOT, PlainGunicorn, get_json, plain_gunicorn, run_python

from reference_app.rig.releases import Gunicorn

#: Counts the requests of its process, and fails, waits or computes where the path says so.
APPLICATION = '''
import json, os, threading, time
seen = []

def compute(seconds):
    """When the thread had a core, and the GIL: without a break of half a millisecond."""
    spans = []
    end = time.thread_time() + seconds
    first = last = time.monotonic()
    while time.thread_time() < end:
        now = time.monotonic()
        if now - last > 0.0005:
            spans.append((first, last))
            first = now
        last = now
    return [*spans, (first, last)]

def app(environ, start_response):
    path, _, seconds = environ["PATH_INFO"].lstrip("/").partition("/")
    seen.append(threading.get_ident())
    if path == "fail":
        raise ZeroDivisionError
    if path == "wait":
        time.sleep(float(seconds))
    spans = compute(float(seconds)) if path == "compute" else []
    start_response("200 OK", [("Content-Type", "application/json")])
    answer = {"pid": os.getpid(), "thread": threading.get_ident(), "seen": len(seen)}
    return [json.dumps({**answer, "spans": spans}).encode()]
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.py").write_text(APPLICATION, encoding="utf-8")
    return tmp_path


@pytest.fixture
def one_worker(folder: Path, gunicorn: Gunicorn) -> Iterator[PlainGunicorn]:
    flags = ("--threads", "2", "--preload")
    with plain_gunicorn(folder, "plain:app", *flags, gunicorn=gunicorn) as server:
        yield server


def at_once(server: PlainGunicorn, path: str, number: int) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda _: get_json(server.port, path), range(number)))


def test_pool_threads_start_when_they_are_needed(folder: Path, gunicorn: Gunicorn) -> None:
    flags = ("--threads", "8", "--preload")
    with plain_gunicorn(folder, "plain:app", *flags, gunicorn=gunicorn) as server:
        (worker,) = server.workers()
        # The main thread, and one for the request that found out whether the server has started;
        # one more where a thread was not quite idle again when the next request came.
        assert 2 <= worker.num_threads() <= 3
        at_once(server, "/wait/0.2", 16)
        assert worker.num_threads() == 1 + 8


def test_threads_share_memory(one_worker: PlainGunicorn) -> None:
    before = get_json(one_worker.port, "/")["seen"]
    answers = at_once(one_worker, "/wait/0.1", 6)
    assert len({answer["thread"] for answer in answers}) == 2
    assert get_json(one_worker.port, "/")["seen"] == before + 7


def test_workers_share_no_memory(folder: Path, gunicorn: Gunicorn) -> None:
    flags = ("--workers", "2", "--preload")
    with plain_gunicorn(folder, "plain:app", *flags, gunicorn=gunicorn) as server:
        answers = [answer for _ in range(10) for answer in at_once(server, "/wait/0.02", 2)]
    most = {answer["pid"]: answer["seen"] for answer in answers}
    assert len(most) == 2
    # Together they saw all of them, and the one that looked whether the server has started.
    assert sum(most.values()) <= 21
    assert all(seen < 20 for seen in most.values())


def test_an_error_in_a_request_leaves_the_threads_alone(one_worker: PlainGunicorn) -> None:
    (worker,) = one_worker.workers()
    assert [one_worker.get("/fail")[0] for _ in range(8)] == [500] * 8
    assert len({answer["thread"] for answer in at_once(one_worker, "/wait/0.1", 4)}) == 2
    assert one_worker.workers() == [worker]


def computed_at_once(server: PlainGunicorn) -> float:
    """For how long two requests computed at the very same time, s, of 0.2 s in several rounds."""
    total = 0.0
    for _ in range(2):
        first, second = at_once(server, "/compute/0.1", 2)
        total += sum(
            max(0.0, min(end, other_end) - max(begin, other_begin))
            for begin, end in first["spans"]
            for other_begin, other_end in second["spans"]
        )
    return total


def test_threads_wait_at_once_and_compute_in_turn(one_worker: PlainGunicorn) -> None:
    began = time.monotonic()
    assert len({answer["thread"] for answer in at_once(one_worker, "/wait/0.4", 2)}) == 2
    assert time.monotonic() - began < 0.8
    assert computed_at_once(one_worker) < 0.001


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core computes one at a time")
def test_workers_compute_at_once(folder: Path) -> None:
    # Sync workers accept when they are free, so each has one of the two requests.
    with plain_gunicorn(folder, "plain:app", "--workers", "2", "--preload") as server:
        server.wait_for_log("Booting worker", times=2)
        # On a busy machine it may take a while until both have a core.
        assert any(computed_at_once(server) > 0.005 for _ in range(20))


def test_workers_are_tied_to_no_core(folder: Path, gunicorn: Gunicorn) -> None:
    with plain_gunicorn(folder, "plain:app", "--workers", "2", gunicorn=gunicorn) as server:
        server.wait_for_log("Booting worker", times=2)
        allowed = [os.sched_getaffinity(process.pid) for process in server.workers()]
    assert allowed == [os.sched_getaffinity(0)] * 2


START = """
import os
from threading import Thread
from time import perf_counter

def thread():
    it = Thread(target=lambda: None)
    it.start()
    it.join()

def process():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)

def seconds(start):
    began = perf_counter()
    start()
    return perf_counter() - began

for start in (thread, process):
    print(min(seconds(start) for _ in range(50)))
"""


def test_a_thread_starts_sooner_than_a_process() -> None:
    # The quickest of many: others have had a core before the slower ones.
    thread, process = map(float, run_python(START))
    assert thread < process / 2


# --- memory --------------------------------------------------------------------------------------


def unique_memory(*flags: str, folder: Path) -> list[int]:
    """Bytes that each worker of the service has for itself alone (USS), once it is ready."""
    (folder / "reference_app").symlink_to(ROOT / "reference_app")
    with plain_gunicorn(folder, "reference_app.app:app", *flags) as server:
        for _ in range(20):
            at_once(server, "/health", 4)
        return [process.memory_full_info().uss for process in server.workers()]


def test_preloaded_workers_share_most_of_their_memory(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("preloaded", "alone")]
    for folder in folders:
        folder.mkdir()
    preloaded = unique_memory("--workers", "2", "--preload", folder=folders[0])
    alone = unique_memory("--workers", "2", folder=folders[1])
    assert max(preloaded) < 0.7 * min(alone)


def test_threads_cost_less_memory_than_workers(folder: Path, gunicorn: Gunicorn) -> None:
    flags = ("--threads", "16", "--preload")
    with plain_gunicorn(folder, "plain:app", *flags, gunicorn=gunicorn) as server:
        (worker,) = server.workers()
        before = worker.memory_full_info().uss
        at_once(server, "/wait/0.1", 32)
        assert worker.num_threads() == 17
        threads = worker.memory_full_info().uss - before
    # Fifteen threads more take less than one worker has for itself.
    assert threads < before
