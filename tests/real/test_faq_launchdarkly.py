"""The SDK beside Gunicorn: its threads, what a fork leaves of them, and what requests cost it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import closing

import psutil
from ldclient.client import LDClient
from ldclient.config import Config
from ldclient.context import Context
from plain_gunicorn import get, get_json
from waiting import wait_for

from reference_app.launchdarkly.flag_process import flag_process
from reference_app.rig.releases import Gunicorn
from reference_app.rig.server import running_server
from sim.experiment import Experiment, LaunchDarkly, Server

#: s of `/work` that make a pool start all its threads.
BUSY = "/work?io=0.1"


def config(url: str) -> Config:
    return Config("sdk-0", base_uri=url, stream_uri=url, events_uri=url)


def test_the_sdk_starts_threads_of_its_own() -> None:
    before = set(threading.enumerate())
    with flag_process() as service, closing(LDClient(config(service.url), start_wait=5)) as client:
        assert client.is_initialized()
        started = [thread for thread in threading.enumerate() if thread not in before]
        names = {thread.name for thread in started}
        classes = {type(thread).__name__ for thread in started}
        assert "ldclient.events.processor" in names
        assert "StreamingUpdateProcessor" in classes


def test_a_fork_leaves_the_sdk_without_threads(gunicorn: Gunicorn) -> None:
    def threads(*, postfork: bool) -> int:
        launchdarkly = LaunchDarkly(enabled=True, latency=0.0, postfork=postfork)
        experiment = Experiment(
            Server(workers=1, threads=2, preload_app=True), launchdarkly=launchdarkly
        )
        with running_server(experiment, gunicorn=gunicorn) as server:
            (pid,) = server.workers().values()
            return int(psutil.Process(pid).num_threads())

    assert threads(postfork=False) == 1
    assert threads(postfork=True) > 8


def test_a_worker_of_one_thread_has_flags_too(gunicorn: Gunicorn) -> None:
    for worker_class in ("sync", "gthread"):
        server_settings = Server(workers=1, threads=1, worker_class=worker_class, preload_app=True)
        launchdarkly = LaunchDarkly(enabled=True, latency=0.0)
        experiment = Experiment(server_settings, launchdarkly=launchdarkly)
        with running_server(experiment, gunicorn=gunicorn) as server:
            health = json.loads(get(server.port, "/health")[1])
            assert health["launchdarkly"]["state"] == "valid"
            flags = get_json(server.port, "/flags?user=alice")["flags"]
            assert flags["new-checkout"]["value"] is True


def test_flags_are_evaluated_without_the_network() -> None:
    alice = Context.create("alice")
    with flag_process() as service, closing(LDClient(config(service.url), start_wait=5)) as client:
        assert client.variation("new-checkout", alice, False) is True
        os.kill(service.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: psutil.Process(service.pid).status() == psutil.STATUS_STOPPED)
            began = time.monotonic()
            values = {client.variation("new-checkout", alice, False) for _ in range(500)}
            # A single answer of a service that stands still would take longer than that.
            assert time.monotonic() - began < 1.0
        finally:
            os.kill(service.pid, signal.SIGCONT)
    assert values == {True}
