"""Flags, files and defaults make one experiment, and nothing that was asked is dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from sim.arguments import add_experiment_arguments, experiment_from
from sim.distribution import Distribution
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server, TraceRow, Traffic
from sim.flags import FLAGS
from sim.gunicorn_config import known_settings
from sim.one_line_parser import OneLineParser


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.chdir(tmp_path)


def parsed(*arguments: str) -> tuple[Experiment, tuple[str, ...]]:
    parser = OneLineParser()
    add_experiment_arguments(parser)
    return experiment_from(parser.parse_args(arguments))


def written(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def test_no_flags_are_the_defaults() -> None:
    assert parsed() == (Experiment(), ())


def test_flags_reach_their_fields() -> None:
    experiment, notices = parsed(
        *("-w", "2", "--threads", "2", "-k", "gthread", "--keep-alive", "5", "--reuse-port"),
        *("--rate", "7", "--requests", "50", "--io", "const:0.1", "--connection", "keepalive"),
        *("--cores", "4", "--seed", "3", "--replications", "2"),
        *("--client-timeout", "2", "--timeout", "9", "--retries", "3", "--retry-delay", "0.5"),
        *("--launchdarkly", "--launchdarkly-latency", "0.5"),
        *("--launchdarkly-unreachable", "--no-launchdarkly-postfork"),
    )
    assert notices == ()
    assert experiment.server == Server(
        workers=2, threads=2, worker_class="gthread", keepalive=5, reuse_port=True, timeout=9
    )
    assert experiment.traffic == Traffic(
        rate=7.0,
        requests=50,
        io=Distribution("const", (0.1,)),
        connection="keepalive",
        timeout=2.0,
        retries=3,
        retry_delay=0.5,
    )
    assert experiment.launchdarkly == LaunchDarkly(
        enabled=True, latency=0.5, reachable=False, postfork=False
    )
    assert (experiment.host.cores, experiment.seed, experiment.replications) == (4, 3, 2)


def test_every_field_of_the_experiment_has_a_flag() -> None:
    flags = {(flag.table, flag.field) for flag in FLAGS}
    for table in ("host", "traffic", "launchdarkly"):
        for field in fields(getattr(Experiment(), table)):
            assert (table, field.name) in flags or field.name == "trace", field.name


def test_later_sources_win() -> None:
    toml = written("x.toml", "[server]\nworkers = 2\nthreads = 2\nbacklog = 9\n")
    conf = written("gunicorn.conf.py", "workers = 3\nthreads = 3\n")
    experiment, _ = parsed("--experiment", toml, "--config", conf, "-w", "4")
    assert experiment.server == Server(workers=4, threads=3, backlog=9)


def test_one_thread_at_last_is_the_sync_worker_again() -> None:
    toml = written("x.toml", "[server]\nthreads = 2\n")
    assert parsed("--experiment", toml)[0].server.worker_class == "gthread"
    assert parsed("--experiment", toml, "--threads", "1")[0].server.worker_class == "sync"


def test_a_duration_replaces_a_files_number_of_requests() -> None:
    toml = written("x.toml", "[traffic]\nrequests = 5\n")
    assert parsed("--experiment", toml)[0].traffic.requests == 5
    traffic = parsed("--experiment", toml, "--duration", "9")[0].traffic
    assert (traffic.requests, traffic.duration) == (None, 9.0)


def test_a_trace_is_its_own_kind_of_arrivals() -> None:
    trace = written("t.csv", "arrival_s,io_s,cpu_s\n0,1,2\n")
    rows = (TraceRow(0.0, 1.0, 2.0),)
    assert parsed("--trace", trace)[0].traffic == Traffic(arrivals="trace", trace=rows)
    toml = written("x.toml", "[traffic]\ntrace = 't.csv'\n")
    assert parsed("--experiment", toml)[0].traffic.trace == rows
    assert parsed("--experiment", toml, "--arrivals", "poisson")[0].traffic == Traffic()


def test_a_config_that_calls_postfork_turns_launchdarkly_on() -> None:
    conf = written(
        "gunicorn.conf.py",
        "def post_fork(server, worker):\n    import ldclient\n    ldclient.get().postfork()\n",
    )
    assert parsed("--config", conf)[0].launchdarkly.enabled
    assert not parsed("--config", conf, "--no-launchdarkly")[0].launchdarkly.enabled


def test_flags_of_launchdarkly_override_a_file() -> None:
    toml = written(
        "x.toml", "[launchdarkly]\nenabled = true\nreachable = false\npostfork = false\n"
    )
    flags = ("--launchdarkly-reachable", "--launchdarkly-postfork")
    assert parsed("--experiment", toml, *flags)[0].launchdarkly == LaunchDarkly(enabled=True)
    assert parsed("--experiment", toml, "--no-launchdarkly")[0].launchdarkly == LaunchDarkly(
        reachable=False, postfork=False
    )


def test_a_commands_own_number_of_replications_is_in_its_help() -> None:
    parser = OneLineParser()
    add_experiment_arguments(parser, replications=1)
    assert "independent repetitions [1]" in parser.format_help()
    toml = written("x.toml", "replications = 4\n")
    for arguments, replications in (([], 1), (["--replications", "3"], 3)):
        args = parser.parse_args(["--experiment", toml, *arguments])
        assert experiment_from(args)[0].replications == replications


def test_what_is_not_modelled_is_named() -> None:
    conf = written("gunicorn.conf.py", "reload = True\nloglevel = 'debug'\nbacklog = 7\n")
    key = written("key.pem", "")
    _, notices = parsed(
        *("--config", conf, "--max-requests", "100", "--timeout", "5"),
        *("--bind", ":80", "-b", ":81", "--keyfile", key, "--access-logfile", "-"),
    )
    assert notices == (
        "gunicorn.conf.py: not modelled: reload; no effect on queueing: loglevel",
        "command line: not modelled: --keyfile; no effect on queueing: --bind, --access-logfile",
    )


def test_every_flag_of_gunicorn_is_accepted() -> None:
    parser = OneLineParser()
    add_experiment_arguments(parser)
    for setting in known_settings().values():
        for name in setting.cli or ():
            alone = setting.action in ("store_true", "store_const")
            value = [] if alone else ["sync" if setting.name == "worker_class" else "1"]
            parser.parse_args([name, *value])


def test_a_commands_own_flag_keeps_its_name() -> None:
    parser = OneLineParser()
    parser.add_argument("--name", dest="name")
    add_experiment_arguments(parser)
    args = parser.parse_args(["--name", "mine", "-n", "gunicorns"])
    assert args.name == "mine"
    assert experiment_from(args)[1] == ("command line: no effect on queueing: --name",)


def test_abbreviations_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("--worker", "2")
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: unrecognized arguments: --worker 2\n"


REFUSED = {
    "both ends": ("--duration 1 --requests 1", "--duration and --requests are both given"),
    "users of an open loop": ("--users 3", "--users is given, but arrivals is 'poisson'"),
    "thinking in an open loop": ("--arrivals constant --think const:1", "--think is given"),
    "rate of a closed loop": ("--arrivals closed --rate 5", "--rate is given, but arrivals is"),
    "trace without one": ("--arrivals trace", "expected --trace FILE"),
    "LaunchDarkly off": ("--launchdarkly-latency 1", "expected --launchdarkly"),
    "unreachable without it": ("--launchdarkly-unreachable", "^--launchdarkly-unreachable is giv"),
    "postfork without it": ("--no-launchdarkly-postfork", "^--no-launchdarkly-postfork is given"),
    "delay of no retry": ("--retry-delay 1", "--retry-delay is given without retries; expected"),
    "Gunicorn refuses": ("--http2-max-frame-size 1", "--http2-max-frame-size is 1; Gunicorn"),
    "missing costs": ("--costs no.toml", "no.toml: cannot be read"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_flags_that_contradict_are_refused(arguments: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        parsed(*arguments.split())


@pytest.mark.parametrize("flag", ["--rate", "--duration", "--io", "--cpu", "--requests"])
def test_a_trace_leaves_nothing_to_say(flag: str) -> None:
    trace = written("t.csv", "arrival_s,io_s,cpu_s\n0,1,2\n")
    value = "const:1" if flag in ("--io", "--cpu") else "1"
    with pytest.raises(ExperimentError, match=f"{flag} is given, but arrivals is 'trace'"):
        parsed("--trace", trace, flag, value)


PRINT_WORKERS = """
from sim.arguments import add_experiment_arguments, experiment_from
from sim.one_line_parser import OneLineParser
parser = OneLineParser()
add_experiment_arguments(parser)
print(experiment_from(parser.parse_args())[0].server.workers)
"""


def test_web_concurrency_is_the_default_as_in_gunicorn() -> None:
    # In a process of its own, because Gunicorn reads it once, at import.
    for arguments, workers in (([], "3\n"), (["-w", "2"], "2\n")):
        done = subprocess.run(
            [sys.executable, "-c", PRINT_WORKERS, *arguments],
            env={**os.environ, "WEB_CONCURRENCY": "3"},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert done.stdout == workers
