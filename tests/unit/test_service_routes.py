"""Outside of the rig, no request makes the service crash or hang; its container changes no file.

Goal: traps are the rig's alone. Method: every route of the service is asked with all that a trap is
made of; the applications with traps refuse to be imported where the rig has made no board.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE_APP = ROOT / "reference_app"

#: What a client could try: names of disturbances, of the rig's traps, and long work by other names.
QUERIES = ("crash=1&hang=1", "trap=crash&seconds=3600&worker=1", "hang=3600&threads=2&exit_code=3")

#: s that an answer may take, in a process that is up.
AT_ONCE = 2.0


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service needs no flags here."""
    monkeypatch.setenv("LAUNCHDARKLY_OFFLINE", "1")


def test_no_route_of_the_service_crashes_or_hangs() -> None:
    script = """
import sys
from reference_app.app import app
client = app.test_client()
rules = sorted(str(rule) for rule in app.url_map.iter_rules() if rule.endpoint != "static")
for rule in rules:
    for query in sys.argv[1:]:
        for method in ("GET", "POST"):
            answer = client.open(f"{rule}?{query}", method=method)
            print(rule, method, answer.status_code, flush=True)
for path in ("/crash", "/hang", "/trap", "/control", "/debug", "/console"):
    print(path, "GET", client.get(path).status_code, flush=True)
"""
    began = time.monotonic()
    done = _run(script, *QUERIES)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    routes = {rule for rule, _, status in lines if status != "404"}
    assert {"/", "/health", "/flags"} < routes
    assert not any("crash" in rule or "hang" in rule or "trap" in rule for rule in routes)
    # 405 where a route takes no POST.
    assert {status for rule, _, status in lines if rule in routes} <= {"200", "405"}
    assert {status for rule, _, status in lines if rule not in routes} == {"404"}
    assert time.monotonic() - began < 60.0 + AT_ONCE * len(lines)


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
        env={key: value for key, value in os.environ.items() if "TRAPS" not in key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
