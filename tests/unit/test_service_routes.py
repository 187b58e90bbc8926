"""Outside of the rig, no request makes the service crash or hang; its container changes no file.

Goal: traps are the rig's alone. Method: every route of the service is asked with all that a trap is
made of; the applications with traps refuse to be imported where the rig has made no board.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reference_app.paths import LONGEST_WORK, PLAIN_WORK, WORK

ROOT = Path(__file__).parents[2]
REFERENCE_APP = ROOT / "reference_app"

#: What a client could try: names of disturbances, of the rig's traps, and long work by other names.
QUERIES = ("crash=1&hang=1", "trap=crash&seconds=3600&worker=1", "hang=3600&threads=2&exit_code=3")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service needs no flags here."""
    monkeypatch.setenv("LAUNCHDARKLY_OFFLINE", "1")


#: Paths at which frameworks and the rig have something that is not the service's.
STRANGE = ("/crash", "/hang", "/trap", "/control", "/debug", "/console", "/docs")

FLASK = """
import sys
from reference_app.app import app
client = app.test_client()

def ask(method, path, query):
    return client.open(f"{path}?{query}", method=method).status_code

routes = sorted(str(rule) for rule in app.url_map.iter_rules() if rule.endpoint != "static")
"""

STARLETTE = """
import asyncio, sys
from reference_app.asgi_app import app

def ask(method, path, query):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": method, "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "headers": [], "client": None, "server": None,
    }
    asyncio.run(app(scope, receive, send))
    assert sent[-1]["type"] == "http.response.body" and not sent[-1].get("more_body")
    return sent[0]["status"]

routes = sorted(route.path for route in app.routes)
"""

ASK_ALL = """
strange, queries = sys.argv[1].split(), sys.argv[2:]
for path in (*routes, *strange):
    for query in queries:
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            known = "known" if path in routes else "strange"
            print(known, path, method, ask(method, path, query), flush=True)
"""


@pytest.mark.parametrize("framework", [FLASK, STARLETTE], ids=("flask", "starlette"))
def test_no_route_of_the_service_crashes_or_hangs(framework: str) -> None:
    # It ends by itself, and in time: `_run` gives it a minute.
    done = _run(framework + ASK_ALL, " ".join(STRANGE), *QUERIES)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    routes = {path for known, path, _, _ in lines if known == "known"}
    assert routes == {"/", "/health", "/flags", WORK, PLAIN_WORK}
    assert len(lines) == 7 * len(QUERIES) * (len(routes) + len(STRANGE))
    answers = {(known, method): set[str]() for known, _, method, _ in lines}
    for known, _, method, status in lines:
        answers[known, method].add(status)
    assert answers["known", "GET"] == answers["known", "HEAD"] == {"200"}
    # 405 where a route takes no such method.
    assert answers["known", "POST"] == {"200", "405"}
    assert all(answers["known", method] == {"405"} for method in ("PUT", "DELETE", "PATCH"))
    assert answers["known", "OPTIONS"] <= {"200", "405"}
    strange = set().union(*(answers[key] for key in answers if key[0] == "strange"))
    assert strange <= {"404", "405"}


def test_no_request_holds_a_thread_for_longer_than_a_minute() -> None:
    queries = [f"{name}={s}" for name in ("io", "cpu") for s in ("60.5", "100000", "inf")]
    for framework in (FLASK, STARLETTE):
        done = _run(framework + ASK_ALL, "", *queries)
        assert done.returncode == 0, done.stderr
        answers = [line.split() for line in done.stdout.splitlines()]
        of_work = {
            status
            for _, path, method, status in answers
            if path in (WORK, PLAIN_WORK) and method in ("GET", "HEAD", "POST")
        }
        assert of_work == {"400"}


@pytest.mark.parametrize("module", ["trapped_app", "trapped_asgi_app"])
def test_traps_are_there_only_where_the_rig_has_set_them(module: str) -> None:
    done = _run(f"import reference_app.rig.{module}")
    assert done.returncode != 0
    assert "TRAPS" in done.stderr


def test_what_is_served_in_production_knows_no_trap() -> None:
    script = """
import sys
import reference_app.app, reference_app.asgi_app
print([name for name in sys.modules if name.startswith("reference_app.rig")])
"""
    done = _run(script)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_container_has_no_rights_and_a_file_system_to_read() -> None:
    docker = (REFERENCE_APP / "Dockerfile").read_text(encoding="utf-8")
    last = docker.rpartition("FROM ")[2]
    user = re.search(r"^USER (\S+)$", last, re.MULTILINE)
    assert user is not None
    assert user[1] not in ("root", "0")
    # Nothing is put into the image as root after that, and nothing else starts.
    assert last.index("USER ") < last.index("\nCMD ")
    compose = (REFERENCE_APP / "compose.yaml").read_text(encoding="utf-8")
    services = re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", compose, re.MULTILINE)
    assert {name for name, _ in services} == {"web", "flags"}
    for name, text in services:
        for line in (
            "read_only: true",
            "cap_drop: [ALL]",
            "security_opt: [no-new-privileges:true]",
            "tmpfs: [/tmp]",
        ):
            assert f"    {line}" in text, (name, line)
        assert "privileged: true" not in text
        assert "volumes:" not in text


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={
            key: value
            for key, value in os.environ.items()
            if "TRAPS" not in key and key != LONGEST_WORK
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
