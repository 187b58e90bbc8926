"""A service's past, predicted from the logs of real nginx and real Gunicorn.

Goal: what the command says of a service is right within the targets of the validation, the wait
included. Method: three routes at a load that changes, on four sync workers behind nginx, and on two
gthread workers of two threads beside them; one half of the two logs of each is predicted from the
other. Another server is found out by the same logs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from looks import Measured, Measurements
from plain_gunicorn import plain_gunicorn
from waiting import wait_for

from reference_app.rig.nginx import find_nginx, running_nginx
from sim.cli import main
from sim.experiment import Proxy

pytestmark = pytest.mark.skipif(
    find_nginx() is None, reason="nginx is not installed (Debian: apt-get install nginx-light)"
)

APPLICATION = """
import time

def app(environ, start_response):
    route, _, number = environ["PATH_INFO"][1:].partition("/")
    times = {"health": 0.005, "items": 0.02 + float(number or 0) / 1000, "report": 0.12}
    time.sleep(times.get(route, 0.0))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

LOG_FORMAT = '%(t)s "%(r)s" %(s)s %(D)s %(p)s'
NGINX_FORMAT = '[$time_local] $msec "$request" $status $upstream_response_time'

#: Settings of the servers, which wait and so leave the cores to each other.
SERVERS = {
    "sync": "workers = 4\n",
    "gthread": "workers = 2\nthreads = 2\nworker_connections = 2\n",
}

#: Requests / s, one after the other; each for so many s.
RATES, STEP = (25.0, 60.0, 35.0, 60.0), 3.0


def paths_and_moments() -> Iterator[tuple[str, float]]:
    random, now = Random(7), 0.0
    while now < STEP * len(RATES):
        now += random.expovariate(RATES[min(len(RATES) - 1, int(now / STEP))])
        kind = random.random()
        if kind < 0.25:
            yield "/health", now
        elif kind < 0.8:
            yield f"/items/{random.randrange(40)}", now
        else:
            yield "/report", now


async def send(addresses: list[tuple[str, int]]) -> int:
    """Send every request to each server when it is due, whatever became of the others.

    Returns:
        How many requests each server has got.
    """
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.1

    async def ask(address: tuple[str, int], path: str, moment: float) -> bytes:
        await asyncio.sleep(start + moment - loop.time())
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        response = await reader.read()
        writer.close()
        return response

    requests = list(paths_and_moments())
    responses = await asyncio.gather(
        *(ask(address, *each) for each in requests for address in addresses)
    )
    assert all(response.startswith(b"HTTP/1.1 200") for response in responses)
    return len(requests)


#: What remains of each server: its configuration, and what Gunicorn and nginx have logged.
FILES = ("gunicorn.conf.py", "gunicorn.log", "nginx.log")


def written(servers: dict[str, str]) -> dict[str, dict[str, str]]:
    """The text of `FILES` of each server, by name; ``servers`` has their settings."""
    folders, addresses = {}, []
    with ExitStack() as running:
        for name, settings in servers.items():
            folder = folders[name] = Path(running.enter_context(TemporaryDirectory()))
            (folder / "application.py").write_text(APPLICATION, encoding="utf-8")
            log = f"accesslog = 'gunicorn.log'\naccess_log_format = {LOG_FORMAT!r}\n"
            (folder / "gunicorn.conf.py").write_text(settings + log, encoding="utf-8")
            server = running.enter_context(
                plain_gunicorn(folder, "application:app", "--config", "gunicorn.conf.py")
            )
            address = running.enter_context(
                running_nginx(Proxy("nginx"), ("127.0.0.1", server.port), folder / "nginx.log")
            )
            assert not isinstance(address, str)
            addresses.append(address)
        number = asyncio.run(send(addresses))
        for folder in folders.values():
            # Servers log a request when its client has the response.
            wait_for(partial(are_logged, folder, number), "the last line of a log")
        return {
            name: {file: (folder / file).read_text("utf-8") for file in FILES}
            for name, folder in folders.items()
        }


EXHIBIT = Measurements(written, {"logs": SERVERS}, few=True, seconds=lambda _: STEP * len(RATES))


@pytest.fixture(scope="module")
def logs(
    tmp_path_factory: pytest.TempPathFactory, measured: Measured[str, dict[str, dict[str, str]]]
) -> dict[str, Path]:
    """For each server a folder with what nginx and Gunicorn have logged, and its configuration."""
    folders = {}
    for name, texts in measured["logs"].items():
        folder = folders[name] = tmp_path_factory.mktemp(name)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    # The request that finds out whether the server is up has no route.
    return folders


def are_logged(folder: Path, number: int) -> bool:
    """Whether both logs have so many requests of the test."""
    texts = [(folder / name).read_text("utf-8") for name in ("gunicorn.log", "nginx.log")]
    return all(text.count("\n") - text.count('"GET / HTTP') >= number for text in texts)


def backtest(folder: Path, *flags: str) -> dict[str, Any]:
    words = ["backtest", "--config", str(folder / "gunicorn.conf.py"), "--skip-path", "/", "--json"]
    words += ["--access-log", str(folder / "gunicorn.log"), *flags]
    with redirect_stdout(StringIO()) as printed:
        main(words)
    document: dict[str, Any] = json.loads(printed.getvalue())
    return document


def against(folder: Path, *flags: str) -> dict[str, Any]:
    nginx = ("--against", str(folder / "nginx.log"), "--against-format", NGINX_FORMAT)
    return backtest(folder, *nginx, *flags)


@pytest.mark.parametrize("name", SERVERS)
def test_the_second_half_is_predicted_from_the_first_within_the_validations_targets(
    logs: dict[str, Path], name: str
) -> None:
    document = against(logs[name])
    figures = {figure["name"]: figure for figure in document["figures"]}
    assert document["trust"] == "validated", document["figures"]
    # The wait is there, and only nginx saw it.
    assert figures["mean wait"]["logged"] > 0.003
    assert figures["upstream time mean"]["logged"] > figures["request time mean"]["logged"]
    assert {route["name"] for route in document["routes"]} == {"/health", "/items/:id", "/report"}
    workers = 4 if name == "sync" else 2
    assert [figure for figure in figures if figure.startswith("share")] == [
        f"share of worker {number}" for number in range(1, workers + 1)
    ]


def test_without_nginx_the_wait_is_not_judged(logs: dict[str, Path]) -> None:
    document = backtest(logs["sync"])
    assert document["trust"] == "validated", document["figures"]
    assert "mean wait" not in {figure["name"] for figure in document["figures"]}
    assert any("Gunicorn's log does not have the wait" in line for line in document["advice"])


def test_another_server_than_theirs_is_found_out(logs: dict[str, Path]) -> None:
    document = against(logs["sync"], "--workers", "3")
    assert document["trust"] == "off"
    wait = next(figure for figure in document["figures"] if figure["name"] == "mean wait")
    assert wait["predicted"] > 1.5 * wait["logged"]
