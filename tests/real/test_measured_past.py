"""A service's past, predicted from the logs of real nginx and real Gunicorn.

Goal: what the command says of a service is right within the targets of the validation, the wait
included. Method: three routes at a load that changes, on four sync workers behind nginx; one half
of the two logs is predicted from the other. Another server is found out by the same logs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from plain_gunicorn import plain_gunicorn

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


async def send(address: tuple[str, int]) -> None:
    """Send every request when it is due, whatever became of the others."""
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.1

    async def ask(path: str, moment: float) -> bytes:
        await asyncio.sleep(start + moment - loop.time())
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        response = await reader.read()
        writer.close()
        return response

    responses = await asyncio.gather(*(ask(*each) for each in paths_and_moments()))
    assert all(response.startswith(b"HTTP/1.1 200") for response in responses)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what nginx and Gunicorn have logged, and Gunicorn's configuration."""
    folder = tmp_path_factory.mktemp("past")
    (folder / "application.py").write_text(APPLICATION, encoding="utf-8")
    config = f"workers = 4\naccesslog = 'gunicorn.log'\naccess_log_format = {LOG_FORMAT!r}\n"
    (folder / "gunicorn.conf.py").write_text(config, encoding="utf-8")
    with (
        plain_gunicorn(folder, "application:app", "--config", "gunicorn.conf.py") as server,
        running_nginx(Proxy("nginx"), ("127.0.0.1", server.port), folder / "nginx.log") as address,
    ):
        assert not isinstance(address, str)
        asyncio.run(send(address))
    # The request that finds out whether the server is up has no route.
    return folder


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


def test_the_second_half_is_predicted_from_the_first_within_the_validations_targets(
    logs: Path,
) -> None:
    document = against(logs)
    figures = {figure["name"]: figure for figure in document["figures"]}
    assert document["trust"] == "validated", document["figures"]
    # The wait is there, and only nginx saw it.
    assert figures["mean wait"]["logged"] > 0.003
    assert figures["upstream time mean"]["logged"] > figures["request time mean"]["logged"]
    assert {route["name"] for route in document["routes"]} == {"/health", "/items/:id", "/report"}
    assert [name for name in figures if name.startswith("share")] == [
        f"share of worker {number}" for number in (1, 2, 3, 4)
    ]


def test_without_nginx_the_wait_is_not_judged(logs: Path) -> None:
    document = backtest(logs)
    assert document["trust"] == "validated", document["figures"]
    assert "mean wait" not in {figure["name"] for figure in document["figures"]}
    assert any("Gunicorn's log does not have the wait" in line for line in document["advice"])


def test_another_server_than_theirs_is_found_out(logs: Path) -> None:
    document = against(logs, "--workers", "3")
    assert document["trust"] == "off"
    wait = next(figure for figure in document["figures"] if figure["name"] == "mean wait")
    assert wait["predicted"] > 1.5 * wait["logged"]
