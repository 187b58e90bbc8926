"""Settings that do nothing are named, and only where they do nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from sim.experiment import Host, LaunchDarkly, Proxy, Server, Traffic
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.idle_settings import RULES
from sim.reading.one_line_parser import OneLineParser


def notices(flags: str, varied: tuple[str, ...] = ()) -> tuple[str, ...]:
    parser = OneLineParser()
    add_experiment_arguments(parser)
    args: argparse.Namespace = parser.parse_args(flags.split())
    return experiment_from(args, varied)[1]


#: The rule's number, flags with which a setting does nothing, what is said, and flags with which
#: nothing is.
CASES = {
    "kept by sync": (
        0,
        "--keep-alive 5",
        "keepalive = 5 does nothing: sync closes each connection",
        "-k gthread --keep-alive 5 --connection keepalive",
    ),
    "clients of sync that keep": (
        1,
        "--connection keepalive",
        "Clients that keep connections open a new one for each request: sync",
        "--connection new",
    ),
    "clients of keepalive 0": (
        2,
        "-k gthread --keep-alive 0 --connection keepalive",
        "Clients that keep connections open a new one for each request: keepalive = 0",
        "-k gthread --keep-alive 1 --connection keepalive",
    ),
    "kept for nobody": (
        3,
        "-k gthread --keep-alive 5",
        "keepalive = 5 does nothing: these clients open a new connection",
        "-k gthread",
    ),
    "connections of sync": (
        4,
        "--worker-connections 10",
        "worker_connections = 10 does nothing: a sync worker has one",
        "-k gthread --worker-connections 10",
    ),
    "fewer connections than threads": (
        5,
        "--threads 8 --worker-connections 4",
        "8 threads in a worker with worker_connections = 4",
        "--threads 4 --worker-connections 4",
    ),
    "jitter of nothing": (
        6,
        "--max-requests-jitter 9",
        "max_requests_jitter = 9 does nothing",
        "--max-requests 9 --max-requests-jitter 9",
    ),
    "timeout of gthread": (
        7,
        "--threads 2 --timeout 9",
        "timeout = 9 bounds no request",
        "--timeout 9",
    ),
    "backlog": (
        8,
        "--backlog 5000",
        "backlog = 5000 is capped: the host's somaxconn is 4096",
        "--backlog 5000 --somaxconn 5000",
    ),
    "flags that never update": (
        9,
        "--preload --launchdarkly --no-launchdarkly-postfork",
        "Flags never update",
        "--preload --launchdarkly",
    ),
    "freezing what is not shared": (
        10,
        "--gc-freeze",
        "gc.freeze() keeps little shared",
        "--gc-freeze --preload",
    ),
    "postfork that is not needed": (
        11,
        "--launchdarkly --launchdarkly-postfork",
        "postfork() is not needed",
        "--preload --launchdarkly --launchdarkly-postfork",
    ),
    "one socket before 24": (
        12,
        "--reuse-port --gunicorn 23.0.0",
        "reuse_port changes no queue on Gunicorn 23.0.0",
        "--reuse-port --gunicorn 24.0.0",
    ),
    "a limit beyond the machine": (
        13,
        "--cpu-limit 2",
        "cpu_limit = 2 does nothing: the host's cores are 2",
        "--cpu-limit 2 --cores 4",
    ),
    "workers of a machine that is not theirs": (
        14,
        "--cpu-limit 0.5 --cores 64 -w 129",
        "workers = 129 is 2 x cores + 1 of the host's 64 cores",
        "--cpu-limit 0.5 --cores 64 -w 2",
    ),
    "threads of sync": (
        None,
        "-k sync --threads 4",
        "threads = 4 makes worker_class sync gthread",
        "-k gthread --threads 4",
    ),
    "kept for a proxy that keeps nothing": (
        16,
        "-k gthread --keep-alive 5 --proxy nginx",
        "keepalive = 5 does nothing: nginx opens a new connection for each request",
        "-k gthread --keep-alive 5 --proxy nginx --proxy-keepalive 16",
    ),
    "threads of an event loop": (
        15,
        "-k gevent --threads 4",
        "threads = 4 does nothing: a gevent worker runs all requests in the one thread",
        "-k gthread --threads 4",
    ),
    "preloaded before gevent patches": (
        17,
        "-k gevent --preload",
        "preload_app imports the application before gevent patches the standard library",
        "-k gthread --preload",
    ),
    "connections of a loop without a limit": (
        18,
        "-k uvicorn --worker-connections 50",
        "worker_connections = 50 does nothing: uvicorn ignores it",
        "-k gevent --worker-connections 50",
    ),
    "backlog of asgi": (
        19,
        "-k asgi --backlog 512",
        "backlog = 512 ends with the first boot of a worker: asgi listens once more, with "
        "asyncio's default of 100",
        "-k uvicorn --backlog 512",
    ),
    "graceful_timeout of uvicorn": (
        20,
        "-k uvicorn --graceful-timeout 9",
        "graceful_timeout = 9 bounds only a stop of the master",
        "-k asgi --graceful-timeout 9",
    ),
    "endpoints of a WSGI application": (
        21,
        "-k gevent --endpoint def",
        "endpoint = def does nothing: a gevent worker runs WSGI applications",
        "-k asgi --endpoint def",
    ),
    "blocking without a loop": (
        22,
        "--threads 4 --blocking-io 0.5",
        "blocking_io = 0.5 does nothing: without an event loop",
        "-k gevent --blocking-io 0.5",
    ),
    "blocking in threads": (
        23,
        "-k asgi --endpoint def --blocking-io 0.5",
        "blocking_io = 0.5 does nothing: endpoints declared with def",
        "-k asgi --blocking-io 0.5",
    ),
    "half the timeout of uvicorn": (
        24,
        "-k uvicorn --timeout 20",
        "timeout = 20 may be over after little more than half of it",
        "-k asgi --timeout 20",
    ),
    "a limit of uvicorn's": (
        25,
        "-k gevent --limit-concurrency 9",
        "limit_concurrency = 9 does nothing: only uvicorn's worker has it",
        "-k uvicorn --limit-concurrency 9",
    ),
    "a limit that nothing is below": (
        26,
        "-k uvicorn --limit-concurrency 1",
        "limit_concurrency = 1 answers every request with 503",
        "-k uvicorn --limit-concurrency 2",
    ),
}


@pytest.mark.parametrize(("_rule", "flags", "said", "other"), CASES.values(), ids=CASES)
def test_a_setting_that_does_nothing_is_named(
    _rule: int | None, flags: str, said: str, other: str
) -> None:
    assert sum(notice.startswith(said) for notice in notices(flags)) == 1
    assert not any(notice.startswith(said) for notice in notices(other))


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, *_ in CASES.values() if rule is not None} == set(range(len(RULES)))


def test_a_rule_reads_fields_that_there_are() -> None:
    fields = {
        f"{table}.{name}"
        for table, values in (
            ("server", Server()),
            ("host", Host()),
            ("traffic", Traffic()),
            ("launchdarkly", LaunchDarkly()),
            ("proxy", Proxy()),
        )
        for name in values.__slots__
    } | {".gc_freeze"}
    for rule in RULES:
        assert fields.issuperset((*rule.settings, *rule.reads))


def test_what_a_balancer_keeps_is_not_idle() -> None:
    # Its clients open new connections to it: that says nothing of those to Gunicorn.
    assert not any("keepalive" in notice for notice in notices("-k gthread --proxy alb"))
    said = notices("-k gthread --keep-alive 70 --proxy alb")
    assert not any("does nothing" in notice for notice in said)


def test_nothing_is_said_of_defaults_and_of_what_a_study_varies() -> None:
    assert notices("") == notices("--threads 4") == ()
    assert notices("--keep-alive 5", ("server.worker_class",)) == ()
    assert notices("-k sync --threads 4", ("server.threads",)) == ()


def test_a_configuration_without_postfork_leaves_flags_as_they_were(tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("preload_app = True\n", encoding="utf-8")
    said = notices(f"-c {conf} --launchdarkly")
    assert any(notice.startswith("Flags never update") for notice in said)
    said = notices(f"-c {conf} --launchdarkly --launchdarkly-postfork")
    assert not any(notice.startswith("Flags never update") for notice in said)
