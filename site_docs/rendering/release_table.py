"""The page on releases: `sim.experiment.release.BEHAVIOURS` in words, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sim.experiment.release import BEHAVIOURS, KNOWN, Change, alike

SOURCE: Final = "https://github.com/benoitc/gunicorn/blob/{release}/gunicorn/{file}#L{line}"

_MODEL = "tests/model/test_releases.py::test_"
_REAL = "tests/real/test_release_behaviours.py::test_"


@dataclass(frozen=True, slots=True)
class Row:
    """A field of `sim.experiment.release.Release`, as the page has it.

    Attributes:
        part: of Gunicorn.
        question: what the field says.
        words: what each value means; a value that is not there says itself.
        tests: that hold the model, or the real server, to it.
    """

    part: str
    question: str
    words: Mapping[Any, str] = field(default_factory=dict)
    tests: tuple[str, ...] = ()


ROWS: Final[dict[str, Row]] = {
    "new_connection": Row(
        "`gthread`",
        "a new connection waits for its request",
        {"pool": "in a pool thread", "poller": "on the poller, and holds no thread"},
        (
            f"{_MODEL}how_long_a_silent_client_holds_a_thread",
            f"{_REAL}a_silent_client_keeps_a_thread_for_so_long",
        ),
    ),
    "data_timeout": Row(
        "`gthread`",
        "a silent client holds the thread that waits for it",
        {None: "until it sends or closes", 5.0: "5 s, then the poller has it"},
        (
            f"{_MODEL}how_long_a_silent_client_holds_a_thread",
            f"{_REAL}a_silent_client_keeps_a_thread_of_the_oldest_for_ever",
        ),
    ),
    "at_limit": Row(
        "`gthread`",
        "at `worker_connections`, the main thread",
        {
            "wait for futures": "waits for running requests, and polls nothing",
            "unregister listener": "stops accepting, and polls what it holds",
        },
        (
            f"{_MODEL}a_limit_on_connections_does_what_was_measured",
            f"{_REAL}two_by_two_with_and_without_a_limit",
            f"{_REAL}one_connection_is_never_read_at_a_limit_of_one",
        ),
    ),
    "finished_by": Row(
        "`gthread`",
        "a request is finished by",
        {"pool thread": "its pool thread, under a lock", "main thread": "the main thread"},
        (f"{_MODEL}requests_are_predicted_where_nothing_is_special",),
    ),
    "drain_timeout": Row(
        "`gthread`",
        "a body that the application has not read is read for",
        {
            0.0: "no time: the poller has the connection until more of it comes",
            None: "as long as the client sends, in its pool thread",
            5.0: "5 s at most",
        },
        (f"{_MODEL}how_long_an_unread_body_holds_a_thread",),
    ),
    "gthread_closing": Row(
        "`gthread`",
        "closing a connection of a `gthread` worker",
        {"at once": "is done at once", "linger": "waits up to 2 s for the client to close"},
        (
            f"{_MODEL}whether_closing_waits_for_the_client",
            f"{_REAL}closing_waits_for_the_client_or_does_not",
        ),
    ),
    "stop_seen": Row(
        "`gthread`",
        "an idle worker sees SIGTERM",
        tests=(
            f"{_MODEL}when_an_idle_worker_sees_sigterm",
            f"{_REAL}an_idle_worker_sees_sigterm_within_a_second_or_at_once",
        ),
    ),
    "stopping": Row(
        "`gthread`",
        "a worker that stops, or has reached `max_requests`,",
        {
            "wait for futures": "waits for running requests; connections without one are lost",
            "serve": "serves what it holds",
        },
        (
            f"{_MODEL}what_max_requests_loses",
            f"{_REAL}what_was_accepted_and_not_read_at_max_requests",
        ),
    ),
    "idle_at_stop": Row(
        "`gthread`",
        "idle kept connections at a stop",
        {
            "drop": "are dropped",
            "hold": "hold the worker, up to `graceful_timeout`",
            "drop when idle": "are dropped once no request runs",
            "linger": "are kept for 2 s at most",
        },
        (
            f"{_MODEL}what_becomes_of_idle_connections_at_a_stop",
            f"{_REAL}kept_connections_are_dropped_or_linger",
        ),
    ),
    "heartbeat_at_stop": Row(
        "`gthread`",
        "a worker that stops heartbeats",
        {False: "no: `timeout` may end its requests", True: "yes"},
        (f"{_MODEL}whether_a_stopping_worker_heartbeats",),
    ),
    "sync_abort": Row(
        "`sync`",
        "the client of a request that takes longer than `timeout` gets",
        {"no answer": "no answer", "500": "a 500"},
        (
            f"{_MODEL}what_a_sync_workers_client_gets_after_the_timeout",
            f"{_REAL}what_the_client_of_a_late_sync_worker_gets",
        ),
    ),
    "sync_closing": Row(
        "`sync`",
        "closing a connection of a `sync` worker",
        {"at once": "is done at once", "linger": "waits up to 2 s for the client to close"},
        (
            f"{_MODEL}whether_closing_waits_for_the_client",
            f"{_REAL}closing_waits_for_the_client_or_does_not",
        ),
    ),
    "asgi_idle": Row(
        "`asgi`",
        "an idle kept connection",
        {"hold": "stays until the client closes it", "expire": "is closed after `keepalive`"},
        (
            f"{_MODEL}how_long_an_asgi_worker_keeps_a_connection",
            f"{_REAL}an_idle_connection_of_an_asgi_worker_expires_or_does_not",
        ),
    ),
    "asgi_quit": Row(
        "`asgi`",
        "SIGQUIT or SIGINT to a worker",
        {"graceful": "does what SIGTERM does", "quick": "ends its requests within a second"},
        (f"{_MODEL}what_a_quick_stop_of_an_asgi_worker_loses",),
    ),
    "asgi_grace": Row(
        "`asgi`",
        "a request whose client has gone",
        {0.0: "is cancelled at once", 3.0: "is cancelled 3 s later"},
        (
            f"{_MODEL}when_an_asgi_worker_cancels_a_request",
            f"{_REAL}a_stopping_asgi_worker_does_not_wait_for_whom_nobody_waits",
        ),
    ),
    "asgi_closing": Row(
        "`asgi`",
        "the last response of a connection that the worker will close, as with `keepalive` 0",
        {"silent": "does not say so: its client sends again", "announced": "says so"},
        (
            f"{_MODEL}whether_an_asgi_worker_says_that_it_will_close",
            f"{_REAL}a_client_is_told_that_its_connection_will_be_closed_or_is_not",
        ),
    ),
    "asgi_closed": Row(
        "`asgi`",
        "a worker that stops, and has closed a connection before its client did,",
        {
            "gone": "ends with its last request",
            "counted": "**waits for the whole `graceful_timeout`**",
        },
        (
            f"{_MODEL}whether_a_stopping_asgi_worker_waits_for_what_it_has_closed",
            f"{_REAL}a_stopping_asgi_worker_waits_for_what_it_has_closed_or_does_not",
        ),
    ),
    "heartbeat_clock": Row(
        "master",
        "a worker that hangs before its first heartbeat, such as in `post_fork`,",
        {"wall": "is killed after `timeout`", "monotonic": "is never killed"},
        (
            f"{_MODEL}whether_a_hang_in_post_fork_is_killed",
            f"{_REAL}a_worker_that_hangs_in_post_fork_is_killed_or_never",
        ),
    ),
    "sigchld": Row(
        "master",
        "a worker that has died is reaped, and replaced,",
        {
            "in the handler": "by the signal handler, at once",
            "never": "**not at all**: the master does not know the signal's second name",
            "in the loop": "by the main loop, at once unless it reloads or stops",
        },
        (f"{_MODEL}only_24_0_0_does_not_replace_a_worker",),
    ),
    "sighup": Row(
        "master",
        "SIGHUP",
        {
            "return": "returns; workers are replaced meanwhile",
            "wait": "waits for old workers up to `graceful_timeout`, and replaces nobody meanwhile",
        },
        (
            f"{_MODEL}whether_a_reload_waits_for_old_workers",
            f"{_REAL}a_reload_returns_or_waits_for_old_workers",
        ),
    ),
    "reuse_port": Row(
        "master",
        "`reuse_port` makes",
        {"inherited": "one socket that all inherit", "each worker": "a socket for each worker"},
        (
            f"{_MODEL}how_many_sockets_reuse_port_is",
            f"{_REAL}reuse_port_is_one_socket_or_one_of_each_worker",
        ),
    ),
    "second_signal": Row(
        "master",
        "SIGINT or SIGQUIT to a master that stops already",
        {"ignored": "is ignored", "quick": "makes it stop quickly"},
        (
            f"{_MODEL}what_a_second_signal_does_to_a_master_that_stops",
            f"{_REAL}a_second_signal_to_a_master_is_ignored_or_hurries_it",
        ),
    ),
    "signal_queue": Row(
        "master",
        "signals that wait for the main loop",
        {5: "5 at most; more are lost", None: "are all kept"},
        (f"{_MODEL}how_many_signals_a_busy_master_keeps",),
    ),
}


def table(part: str) -> str:
    """The behaviours of a part of Gunicorn, each change with the line where it was read."""
    lines = ["| what | from this release on | held by |", "| --- | --- | --- |"]
    for name, row in ROWS.items():
        if row.part == part:
            changes = "<br>".join(change(row, each) for each in BEHAVIOURS[name])
            tests = "<br>".join(f"`{test.rpartition('::')[2]}`" for test in row.tests)
            lines.append(f"| {row.question} | {changes} | {tests} |")
    return "\n".join(lines)


def change(row: Row, begun: Change) -> str:
    """A change in words, with the release that began it as a link to the line of source."""
    link = SOURCE.format(release=begun.since, file=begun.file, line=begun.line)
    return f"[{begun.since}]({link}): {meaning(row, begun)}"


def meaning(row: Row, begun: Change) -> str:
    """What a behaviour is from one release on, in words."""
    return row.words.get(begun.value, str(begun.value))


def groups() -> str:
    """Releases that behave alike, a row for each group."""
    lines = ["| these releases behave alike | what changed in the first of them |", "| --- | --- |"]
    for number in KNOWN:
        same = alike(number)
        if same[0] != number:
            continue
        changed = [
            row.question.rstrip(",")
            for name, row in ROWS.items()
            for change in BEHAVIOURS[name][1:]
            if change.since == number
        ]
        lines.append(f"| {', '.join(same)} | {'; '.join(changed) or 'the oldest'} |")
    return "\n".join(lines)
