"""What recording costs: CPU of its two hooks beside that of a request, in one run.

``python tests/benchmarks/recorder.py``: a gthread worker answers requests of a small Flask
application, which gives the CPU of a request; the hooks, on their own, write as many lines. The
difference between two servers would drown in their noise: it is a hundredth.
"""

from __future__ import annotations

import sys
import tempfile
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import process_time
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from plain_gunicorn import plain_gunicorn

from sim.reading.recorder import record

APPLICATION = """
from flask import Flask, jsonify
app = Flask(__name__)

@app.get("/users/<int:number>")
def user(number):
    return jsonify(number=number)
"""

REQUESTS = 4000
ROUNDS = 5


def of_a_request(folder: Path) -> float:
    """CPU of the worker for each request, s."""
    (folder / "application.py").write_text(APPLICATION, encoding="utf-8")
    with plain_gunicorn(folder, "application:app", "--threads", "2", "--keep-alive", "5") as server:
        (worker,) = server.workers()
        connection = HTTPConnection("127.0.0.1", server.port)
        for number in (200, REQUESTS):
            before = worker.cpu_times()
            for _ in range(number):
                connection.request("GET", "/users/17")
                connection.getresponse().read()
        after = worker.cpu_times()
        connection.close()
        return float(after.user + after.system - before.user - before.system) / REQUESTS


def of_the_hooks(folder: Path) -> float:
    """CPU of both hooks for each request, s."""
    pre_request, post_request = record(str(folder / "demand.csv"))
    request = SimpleNamespace(path="/users/17")
    began = process_time()
    for _ in range(REQUESTS):
        pre_request(None, request)
        post_request(None, request, {}, None)
    return (process_time() - began) / REQUESTS


def main() -> None:
    """Measure both by turns, and print the ratio."""
    requests, hooks = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            requests.append(of_a_request(Path(folder)))
            hooks.append(of_the_hooks(Path(folder)))
        print(f"request {1e6 * requests[-1]:.0f} us, hooks {1e6 * hooks[-1]:.1f} us")  # noqa: T201
    part = median(hooks) / median(requests)
    per = f"{1e6 * median(hooks):.1f} us of {1e6 * median(requests):.0f} us"
    print(f"median: {per}, {part:.1%}")  # noqa: T201


if __name__ == "__main__":
    main()
