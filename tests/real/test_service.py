"""The reference service and its flag service: real Gunicorn, real SDK, loopback only."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from ldclient.client import LDClient
from ldclient.config import Config
from ldclient.context import Context
from plain_gunicorn import get
from waiting import wait_for

from reference_app.flags import FLAG_SERVICE_URL, OFFLINE, SDK_KEY, client_config, start_wait
from reference_app.launchdarkly.flag_process import FlagProcess, flag_process
from reference_app.rig.releases import Gunicorn
from reference_app.rig.server import RunningServer, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = ROOT / "reference_app" / "gunicorn.conf.py"
FAQ = Server(workers=2, threads=2, preload_app=True)


def answers_by_pid(port: int, path: str, pids: set[int]) -> dict[int, dict[str, Any]]:
    """Ask until each worker in ``pids`` has answered."""
    answers: dict[int, dict[str, Any]] = {}

    def all_answered() -> bool:
        status, body = get(port, path)
        assert status == 200
        answer = json.loads(body)
        answers[answer["pid"]] = answer
        return pids <= answers.keys()

    wait_for(all_answered)
    return answers


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


# --- /work ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def offline() -> Iterator[RunningServer]:
    with running_server(Experiment(server=FAQ)) as server:
        yield server


@pytest.mark.parametrize("name", ["io", "cpu"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "soon", "", "100000.5"])
def test_work_refuses_what_is_no_time(offline: RunningServer, name: str, value: str) -> None:
    status, body = get(offline.port, f"/work?{name}={quote(value)}")
    assert status == 400
    assert body == f"{name} is {value!r}; expected seconds from 0 to 100000\n"


def test_work_waits_without_cpu_and_computes_with_it(offline: RunningServer) -> None:
    workers = offline.workers().values()

    def cpu_time() -> float:
        times = [psutil.Process(pid).cpu_times() for pid in workers]
        return float(sum(t.user + t.system for t in times))

    def work(query: str) -> tuple[dict[str, Any], float]:
        before = cpu_time()
        status, body = get(offline.port, f"/work?{query}")
        assert status == 200
        answer = json.loads(body)
        assert answer["pid"] in workers
        assert answer["thread"] in (1, 2)
        return answer, cpu_time() - before

    asked = time.monotonic()
    waited, cpu = work("io=0.2")
    assert asked <= waited["started"] <= waited["ended"] <= time.monotonic()
    assert waited["ended"] - waited["started"] >= 0.2
    assert cpu < 0.1
    computed, cpu = work("cpu=0.2")
    assert computed["ended"] - computed["started"] >= 0.2
    assert 0.19 <= cpu < 0.3


def test_offline_there_is_no_sdk_thread(offline: RunningServer) -> None:
    status, body = get(offline.port, "/health")
    assert status == 200
    assert json.loads(body)["launchdarkly"]["offline"] is True
    for pid in offline.workers().values():
        assert psutil.Process(pid).num_threads() <= 1 + FAQ.threads
    assert not [event for event in offline.events() if event.kind.startswith("postfork")]


# --- flags in forked workers ---------------------------------------------------------------------


def test_every_worker_evaluates_real_flags_after_postfork(gunicorn: Gunicorn) -> None:
    experiment = Experiment(server=FAQ, launchdarkly=LaunchDarkly(enabled=True, latency=0.3))
    with running_server(experiment, gunicorn=gunicorn) as server:
        workers = set(server.workers().values())
        for user, checkout in (
            ("alice", (True, "TARGET_MATCH")),
            ("beta-7", (True, "RULE_MATCH")),
            ("bob", (False, "FALLTHROUGH")),
        ):
            for answer in answers_by_pid(server.port, f"/flags?user={user}", workers).values():
                flags = answer["flags"]
                flag = flags["new-checkout"]
                assert (flag["value"], flag["reason"]["kind"]) == checkout
                assert flags["request-limit"] == {"value": 100, "reason": {"kind": "OFF"}}
        assert get(server.port, "/flags?user=")[0] == 400
        for answer in answers_by_pid(server.port, "/health", workers).values():
            assert answer["launchdarkly"] == {
                "offline": False,
                "initialized": True,
                "state": "valid",
            }
        times = {(event.kind, event.process): event.time for event in server.events()}
        for worker in ("worker 1", "worker 2"):
            assert 0.3 <= times["ready", worker] - times["fork", worker] < 1.3
            assert ("postfork", worker) in times
        assert server.flag_service is not None
        status = server.flag_service.status()
        assert (status["streams"], status["refused"]) == (3, 0)

        # A flag that changes reaches the workers, which proves that their streams live.
        server.flag_service.change(flags={"request-limit": True})
        wait_for(lambda: '"value":100}' not in get(server.port, "/flags")[1])


def test_a_worker_that_cannot_reach_the_flags_boots_after_start_wait(gunicorn: Gunicorn) -> None:
    launchdarkly = LaunchDarkly(enabled=True, latency=0.0, start_wait=0.5)
    experiment = Experiment(server=FAQ, launchdarkly=launchdarkly)
    with running_server(experiment, gunicorn=gunicorn) as server:
        assert server.flag_service is not None
        server.flag_service.change(reachable=False)
        os.kill(server.workers()[1], signal.SIGKILL)
        wait_for(lambda: ("ready", "worker 3") in {(e.kind, e.process) for e in server.events()})
        times = {(event.kind, event.process): event.time for event in server.events()}
        assert 0.5 <= times["ready", "worker 3"] - times["fork", "worker 3"] < 1.5
        assert ("postfork failed", "worker 3") in times
        assert ("postfork", "worker 3") not in times
        assert server.flag_service.status()["refused"] >= 1
        # It still has the flags that the master loaded before the fork.
        answers = answers_by_pid(server.port, "/flags?user=alice", {server.workers()[3]})
        assert answers[server.workers()[3]]["flags"]["new-checkout"]["value"] is True


def test_without_preload_each_worker_starts_a_client_of_its_own() -> None:
    experiment = Experiment(
        server=Server(workers=1, threads=2), launchdarkly=LaunchDarkly(enabled=True, latency=0.0)
    )
    with running_server(experiment) as server:
        assert json.loads(get(server.port, "/health")[1])["launchdarkly"]["state"] == "valid"
        assert server.flag_service is not None
        assert server.flag_service.status()["streams"] == 1


# --- the production configuration, alone ---------------------------------------------------------


@contextmanager
def production(config: Path) -> Iterator[tuple[int, psutil.Process]]:
    """`gunicorn --config CONFIG` in an environment that sets nothing: its port and master."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    foreign = {SDK_KEY, FLAG_SERVICE_URL, OFFLINE, "GUNICORN_CMD_ARGS"}
    command = [sys.executable, "-m", "gunicorn", "--config", str(config)]
    command += ["--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    master = psutil.Popen(
        [*command, "reference_app.app:app"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in foreign},
        stderr=subprocess.DEVNULL,
    )
    children: list[psutil.Process] = []
    try:
        wait_for(lambda: answers_health(port))
        children = master.children()
        yield port, master
    finally:
        with suppress(psutil.NoSuchProcess):
            children += master.children()
        master.kill()
        master.wait(5)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def answers_health(port: int) -> bool:
    try:
        return get(port, "/health")[0] == 200
    except OSError:
        return False


def flag_services(master: psutil.Process) -> list[int]:
    services = []
    for child in master.children():
        with suppress(psutil.NoSuchProcess):  # A worker that has just ended.
            if "reference_app.launchdarkly.flag_service" in child.cmdline():
                services.append(child.pid)
    return services


def workers_of(master: psutil.Process) -> set[int]:
    services = flag_services(master)
    return {child.pid for child in master.children() if child.pid not in services}


def test_production_works_alone_survives_a_reload_and_leaves_nothing() -> None:
    with production(PRODUCTION) as (port, master):
        services = flag_services(master)
        assert len(services) == 1
        wait_for(lambda: len(workers_of(master)) == 2)
        old = workers_of(master)
        for answer in answers_by_pid(port, "/flags?user=alice", old).values():
            assert answer["flags"]["new-checkout"]["value"] is True

        master.send_signal(signal.SIGHUP)
        wait_for(lambda: len(workers_of(master)) == 2 and not workers_of(master) & old)
        assert flag_services(master) == services
        new = workers_of(master)
        for answer in answers_by_pid(port, "/health", new).values():
            assert answer["launchdarkly"]["state"] == "valid"

        master.kill()
        wait_for(lambda: not any(map(alive, [*services, *new])))


def test_production_without_preload_has_one_flag_service(tmp_path: Path) -> None:
    config = tmp_path / "lazy.conf.py"
    config.write_text(
        "import runpy\n"
        f"globals().update(runpy.run_path({str(PRODUCTION)!r}))\n"
        "preload_app = False\n"
    )
    with production(config) as (port, master):
        (service,) = flag_services(master)
        assert json.loads(get(port, "/health")[1])["launchdarkly"]["state"] == "valid"
        master.terminate()
        wait_for(lambda: not alive(master.pid) and not alive(service))


# --- which flag service --------------------------------------------------------------------------


def test_the_environment_chooses_the_flag_service() -> None:
    key = "sdk-0000"
    assert client_config({OFFLINE: "1", SDK_KEY: key}).offline
    real = client_config({SDK_KEY: key, FLAG_SERVICE_URL: "http://127.0.0.1:1"})
    assert (real.sdk_key, real.stream_base_uri) == (key, "https://stream.launchdarkly.com")
    local = client_config({SDK_KEY: "", FLAG_SERVICE_URL: "http://127.0.0.1:1"})
    assert local.stream_base_uri == "http://127.0.0.1:1"
    assert local.events_base_uri == local.base_uri == "http://127.0.0.1:1"
    with pytest.raises(ExperimentError, match=r"^FLAG_SERVICE_URL is 'flags:8001'; expected an"):
        client_config({FLAG_SERVICE_URL: "flags:8001"})


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "long", ""])
def test_start_wait_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ExperimentError, match=r"^LAUNCHDARKLY_START_WAIT is .*; expected s >= 0$"):
        start_wait({"LAUNCHDARKLY_START_WAIT": text})


# --- the flag service alone ----------------------------------------------------------------------


@contextmanager
def sdk(service: FlagProcess, wait: float = 5.0) -> Iterator[LDClient]:
    url = service.url
    config = Config("local", base_uri=url, stream_uri=url, events_uri=url, flush_interval=0.1)
    client = LDClient(config, start_wait=wait)
    try:
        yield client
    finally:
        client.close()  # type: ignore[no-untyped-call]


def test_the_sdk_streams_from_the_flag_service_and_sends_it_events() -> None:
    with flag_process() as service, sdk(service) as client:
        assert client.is_initialized()
        carol = Context.create("carol")
        assert client.variation("request-limit", carol, 0) == 100
        service.change(flags={"request-limit": True})
        wait_for(lambda: client.variation("request-limit", carol, 0) == 1000)
        wait_for(lambda: service.status()["events"] > 0 and service.status()["diagnostics"] == 1)


def test_the_rollout_splits_users_by_its_weights() -> None:
    with flag_process() as service, sdk(service) as client:
        users = [Context.create(f"user-{number}") for number in range(2000)]
        values = [client.variation("banner-text", user, "") for user in users]
    for value, share in (("Welcome", 0.5), ("Welcome back", 0.3), ("Try the new checkout", 0.2)):
        deviation = math.sqrt(share * (1 - share) / len(users))
        assert abs(values.count(value) / len(users) - share) < 4 * deviation


def test_the_flag_service_can_be_off_from_the_start_and_come_back() -> None:
    with flag_process(reachable=False) as service:
        before = time.monotonic()
        with sdk(service, wait=0.3) as client:
            assert 0.3 <= time.monotonic() - before < 1.5
            assert not client.is_initialized()
            service.change(reachable=True)
            wait_for(client.is_initialized)


def test_the_flag_service_refuses_bad_control() -> None:
    with flag_process() as service:
        with pytest.raises(ExperimentError, match="latency is -1; expected s from 0 to 3600"):
            service.change(latency=-1)
        with pytest.raises(ExperimentError, match="unknown flag 'nope'; expected one of new-ch"):
            service.change(latency=1.0, flags={"nope": True})
        assert service.status()["latency"] == 0.0  # All of a change, or nothing.
    with pytest.raises(ExperimentError, match="failed"):
        service.status()


def start_flag_service(*flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "reference_app.launchdarkly.flag_service", *flags],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--port", "70000"), "--port is 70000; expected 0 to 65535"),
        (("--latency", "nan"), "latency is 'nan'; expected s from 0 to 3600"),
        (("--latency", "-1"), "latency is '-1'; expected s from 0 to 3600"),
        (("--slow",), "unrecognized arguments: --slow"),
    ],
)
def test_the_flag_service_refuses_bad_flags(flags: tuple[str, ...], message: str) -> None:
    with start_flag_service(*flags) as process:
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("flags", "how", "status"),
    [
        ((), signal.SIGTERM, 0),
        ((), signal.SIGINT, 130),
        (("--until-eof",), None, 0),
        (("--until-eof",), signal.SIGTERM, 0),
    ],
)
def test_the_flag_service_ends_when_told(
    flags: tuple[str, ...], how: signal.Signals | None, status: int
) -> None:
    with start_flag_service("--port", "0", *flags) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://127.0.0.1:")
            if how is not None:
                process.send_signal(how)
                assert process.wait(5) == status
            _, err = process.communicate(timeout=5)  # Closes its standard input.
        finally:
            process.kill()
    assert (process.returncode, err) == (status, "")
