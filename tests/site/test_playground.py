"""The playground's model: the same bytes as the command, and scripts without a type error.

Method: Node runs the engine of the page, Pyodide and the packed sources included, on every example
of the repository and on command lines that use the flags of the controls; ``python -m sim --json``
predicts them here.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from pathlib import Path

import pytest
from mkdocs.exceptions import PluginError

from sim.cli import main
from site_docs.playground import assets, sources
from site_docs.playground.in_page import Prediction, course, difference, experiment_of
from site_docs.rendering import playground

ROOT = Path(__file__).parents[2]

EXAMPLES = tuple(
    ("--experiment", path.relative_to(ROOT).as_posix())
    for path in sorted((ROOT / "experiments").rglob("*.toml"))
)

#: What the controls of the page say.
FLAGS = (
    (),
    ("--workers", "2", "--threads", "2", "--worker-connections", "2", "--gunicorn", "24.1.1"),
    ("--gunicorn", "23.0.0", "--workers", "2", "--threads", "4", "--reuse-port"),
    ("--workers", "4", "--cores", "4", "--io", "lognorm:0.05,2", "--cpu", "bimodal:0.9,0.001,0.02"),
    ("--threads", "4", "--connection", "keepalive", "--io", "uniform:0.01,0.09", "--rate", "40"),
    (
        *("--workers", "2", "--threads", "4", "--preload", "--launchdarkly"),
        *("--launchdarkly-latency", "0.3", "--disturb", "10 signal KILL worker 1"),
    ),
    ("--proxy", "nginx", "--proxy-keepalive", "8", "--threads", "4", "--rate", "40"),
    ("--workers", "2", "--cpu", "const:0.01", "--rate", "40", "--cpu-limit", "0.5"),
    ("--threads", "2", "--rate", "45", "--probe", "liveness period=2 timeout=1"),
    ("--worker-class", "gevent", "--workers", "2", "--rate", "40"),
    (
        *("--workers", "2", "--threads", "2", "--rate", "20"),
        *("--route", "/report share=.05 io=exp:1.2 cpu=const:.08"),
        *("--route", "/ share=.95 io=exp:.03 cpu=exp:.004"),
    ),
    ("--arrivals", "closed", "--users", "8", "--think", "exp:0.1", "--duration", "5"),
)

#: Each is predicted by itself: of the files one suffices, and intervals need two.
ACCEPTED = (
    *((*words, "--replications", "1") for words in EXAMPLES),
    *((*words, "--replications", "2") for words in FLAGS),
)

REFUSED = (
    ("--workers", "two"),
    ("--rate", "0"),
    ("--experiment", "experiments/no-such.toml"),
    ("--disturb", "10 explode"),
    ("--config", "gunicorn.conf.py"),
    ("--save", "run.jsonl"),
)


def command(words: tuple[str, ...]) -> str:
    """What ``python -m sim --json`` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        main([*words, "--json"])
    return printed.getvalue()


#: Of each command line: the document, as text, or why it is refused.
Answers = dict[tuple[str, ...], str | dict[str, str]]


@pytest.fixture(scope="module")
def answers() -> Answers:
    """What the page's engine answers to each command line, in Node."""
    python = assets.precompile()
    commands = [*ACCEPTED, *REFUSED]
    done = subprocess.run(
        assets.node("command.mjs", str(assets.PYODIDE_HOME), str(python)),
        input="".join(json.dumps(words) + "\n" for words in commands),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(commands, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("words", ACCEPTED, ids=" ".join)
def test_the_page_has_the_numbers_of_the_command_byte_for_byte(
    words: tuple[str, ...], answers: Answers
) -> None:
    # A band of machines takes longer than a reader waits.
    assert answers[words] == command((*words, "--machines", "0"))


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_the_command_refuses_the_page_refuses_in_one_line(
    words: tuple[str, ...], answers: Answers
) -> None:
    answer = answers[words]
    assert isinstance(answer, dict)
    assert answer["refused"]
    assert "\n" not in answer["refused"]
    assert "Traceback" not in answer["refused"]


def test_the_difference_is_that_of_the_command(tmp_path: Path) -> None:
    traffic = "[traffic]\nrate = 50.0\nduration = 5.0\n"
    paths = []
    for name, server in (("a", "workers = 2\nthreads = 2"), ("b", "workers = 1\nthreads = 4")):
        path = tmp_path / f"{name}.toml"
        path.write_text(f"replications = 3\n[server]\n{server}\n{traffic}", encoding="utf-8")
        paths.append(str(path))
    expected = json.loads(command(("compare", *paths, "--replications", "3", "--jobs", "1")))
    a, b = (Prediction(("--experiment", path)) for path in paths)
    for prediction in (a, b):
        while prediction.step(compared=True) < 3:
            pass
    found = json.loads(difference(a, b))
    assert {key: found[key] for key in ("measures", "verdict", "replications", "experiments")} == {
        key: expected[key] for key in ("measures", "verdict", "replications", "experiments")
    }


def test_a_page_says_that_its_files_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    place = '<h1>Playground</h1><div data-playground=""></div>'

    def fail() -> None:
        raise assets.AssetsError("npm ci failed (no <network>)")

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(assets, "collect", fail)
    assert playground.files() == {}
    page = playground.mount(place)
    assert "npm ci failed (no &lt;network&gt;)" in page
    assert "<script" not in page
    monkeypatch.setenv("CI", "true")
    with pytest.raises(PluginError, match="no <network>"):
        playground.files()
    monkeypatch.undo()
    assert f"{assets.SITE}/page.js" in playground.files()
    assert f'src="../{assets.SITE}/page.js"' in playground.mount(place)


def test_without_a_network_and_without_packages_it_says_so_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (tmp_path / name).write_bytes((assets.DIRECTORY / name).read_bytes())
    monkeypatch.setattr(assets, "DIRECTORY", tmp_path)
    monkeypatch.setattr(assets, "STAMP", tmp_path / "no-stamp")
    # Nobody listens at the discard port.
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(assets.AssetsError, match=r"npm\S* ci failed \(npm error code ECONNREFUSED"):
        assets.install()


def test_a_configuration_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text("workers = 3\nraise SystemExit('it was run')\n", encoding="utf-8")
    for words in (("--config", str(path)), (f"--config={path}",), ("-c", str(path))):
        assert experiment_of(words)[0].server.workers == 3


def test_typescript_finds_no_error() -> None:
    assert assets.check_types() == ""


def test_the_archive_is_the_same_each_time() -> None:
    assert sources.archive() == sources.archive()


def test_the_course_counts_what_runs_and_what_waits() -> None:
    prediction = Prediction(("--workers", "1", "--threads", "2", "--rate", "60", "--duration", "5"))
    prediction.step()
    assert prediction.first is not None
    counted = course(prediction.first)
    assert max(counted["running"]) == 2
    assert min(counted["running"]) >= 0 <= min(counted["waiting"])
    # Little's law, over the same run: mean number in the system = busy and waiting time / span.
    rows = prediction.first.requests
    inside = sum(row.latency for row in rows) / counted["time"][-1]
    moments = len(counted["time"])
    seen = (sum(counted["running"]) + sum(counted["waiting"])) / moments
    assert seen == pytest.approx(inside, rel=0.05)
    assert counted["running"][-1] == counted["waiting"][-1] == 0
