"""How the service starts: from which settings, in which order, and who imports what."""

from __future__ import annotations

import json
import runpy
import signal
import socket
import sys
from importlib.metadata import distributions
from pathlib import Path

from gunicorn.config import Config
from plain_gunicorn import ROOT, get_json, plain_gunicorn
from waiting import wait_for

from reference_app.rig.releases import Gunicorn
from site_docs.runs.page_experiments import FAQ_RELEASE

PRODUCTION = ROOT / "reference_app" / "gunicorn.conf.py"

#: An application that says which process imported it, and takes its time for that.
IMPORTED = """
import json, os, time
IMPORTED_BY = os.getpid()
time.sleep({seconds})
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({{"pid": os.getpid(), "imported_by": IMPORTED_BY}}).encode()]
"""


def test_the_settings_of_the_service() -> None:
    settings = runpy.run_path(str(PRODUCTION))
    expected = {
        "bind": "0.0.0.0:8000",
        "workers": 2,
        "threads": 2,
        "preload_app": True,
        "timeout": 30,
    }
    assert {name: settings[name] for name in expected} == expected


def test_the_settings_are_names_that_the_file_leaves_behind(
    tmp_path: Path, gunicorn: Gunicorn
) -> None:
    assert PRODUCTION.read_text(encoding="utf-8").splitlines()[5] != "workers = 2"
    (tmp_path / "gunicorn.conf.py").write_text(
        "import math\n" * 20 + "threads = int(math.sqrt(9))\nworkers = threads - 1\n",
        encoding="utf-8",
    )
    (tmp_path / "slow.py").write_text(IMPORTED.format(seconds=0), encoding="utf-8")
    with plain_gunicorn(tmp_path, "slow:app", gunicorn=gunicorn) as server:
        server.wait_for_log("Booting worker", times=2)
        assert "Using worker: gthread" in server.log()
        assert len(server.workers()) == 2


def test_the_container_runs_the_same_command() -> None:
    lines = (ROOT / "reference_app" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    (command,) = (line.removeprefix("CMD ") for line in lines if line.startswith("CMD "))
    program, *arguments = json.loads(command)
    assert program == "gunicorn"
    parsed = Config().parser().parse_args(arguments)
    assert parsed.args == ["reference_app.app:app"]
    copied = [line for line in lines if line.startswith("COPY") and line.endswith(" .")]
    assert parsed.config == "gunicorn.conf.py"
    assert "COPY reference_app/gunicorn.conf.py ." in copied


def test_preload_decides_who_imports_the_application(tmp_path: Path, gunicorn: Gunicorn) -> None:
    (tmp_path / "slow.py").write_text(IMPORTED.format(seconds=0), encoding="utf-8")
    with plain_gunicorn(tmp_path, "slow:app", "--preload", gunicorn=gunicorn) as server:
        answer = get_json(server.port, "/")
        assert answer["imported_by"] == server.master.pid != answer["pid"]
    with plain_gunicorn(tmp_path, "slow:app", gunicorn=gunicorn) as server:
        answer = get_json(server.port, "/")
        assert answer["imported_by"] == answer["pid"] != server.master.pid


def test_who_connects_before_a_worker_is_ready_is_served(
    tmp_path: Path, gunicorn: Gunicorn
) -> None:
    (tmp_path / "slow.py").write_text(IMPORTED.format(seconds=0.6), encoding="utf-8")
    with plain_gunicorn(tmp_path, "slow:app", ready=False, gunicorn=gunicorn) as server:
        wait_for(lambda: "Listening at" in server.log())
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            # The worker still imports the application.
            client.settimeout(0.3)
            try:
                early = client.recv(1)
            except TimeoutError:
                early = b""
            assert early == b""
            client.settimeout(5)
            assert client.recv(12).startswith(b"HTTP/1.")


def test_a_reload_brings_new_code_only_without_preload(tmp_path: Path, gunicorn: Gunicorn) -> None:
    def answer_after_reload(*flags: str) -> str:
        module = tmp_path / "release.py"
        text = "def app(environ, start_response):\n"
        text += "    start_response('200 OK', [])\n    return [b'{}']\n"
        module.write_text(text.format("old"), encoding="utf-8")
        with plain_gunicorn(tmp_path, "release:app", *flags, gunicorn=gunicorn) as server:
            (old,) = server.workers()
            module.write_text(text.format("newer"), encoding="utf-8")
            server.master.send_signal(signal.SIGHUP)
            wait_for(lambda: old not in server.workers() and len(server.workers()) == 1)
            return server.get()[1]

    assert answer_after_reload() == "newer"
    assert answer_after_reload("--preload") == "old"


def test_a_preloaded_service_survives_a_reload_with_a_broken_release(
    tmp_path: Path, gunicorn: Gunicorn
) -> None:
    module = tmp_path / "release.py"
    module.write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n    return [b'fine']\n",
        encoding="utf-8",
    )
    with plain_gunicorn(tmp_path, "release:app", "--preload", gunicorn=gunicorn) as server:
        (old,) = server.workers()
        module.write_text("raise RuntimeError('no database')\n", encoding="utf-8")
        server.master.send_signal(signal.SIGHUP)
        wait_for(lambda: old not in server.workers() and len(server.workers()) == 1)
        assert server.get()[1] == "fine"
    # The next start imports it, in the master itself.
    with plain_gunicorn(
        tmp_path, "release:app", "--preload", ready=False, gunicorn=gunicorn
    ) as server:
        assert server.master.wait(10) != 0
        assert "Error: no database" in server.log()
        assert "Booting worker" not in server.log()


def test_gunicorn_names_its_documentation(gunicorn: Gunicorn) -> None:
    places = sys.path if gunicorn.directory is None else [str(gunicorn.directory)]
    found = distributions(name="gunicorn", path=places)
    links = next(iter(found)).metadata.get_all("Project-URL") or []
    site = (
        "https://docs.gunicorn.org" if gunicorn.release == FAQ_RELEASE else "https://gunicorn.org"
    )
    assert f"Documentation, {site}" in links
