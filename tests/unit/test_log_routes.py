"""Paths of an access log as routes: what is folded, what is counted, what is said about it."""

from __future__ import annotations

import json
import tracemalloc
from array import array
from pathlib import Path

import pytest

from sim.cli import main
from sim.errors import ExperimentError
from sim.reading.access_log import AccessLog, Reading, read
from sim.reading.log_routes import MAX_PATHS, MOST, OTHER, LogRoutes, folded

LINE = '::1 - - [24/Nov/2026:10:00:{second:02} +0100] "GET {path} HTTP/1.1" 200 12 "-" "-" {ms}ms'


def log_of(path: Path, paths: list[str], reading: Reading | None = None) -> AccessLog:
    lines = (
        LINE.format(second=number % 60, path=each, ms=10 + number)
        for number, each in enumerate(paths)
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read(path, reading or Reading(by_route=True), 1, lambda _: None)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("", "/"),
        ("*", "*"),
        ("/health", "/health"),
        ("/users/17", "/users/:id"),
        ("/users/17/orders/4/", "/users/:id/orders/:id/"),
        ("/days/2026-11-28", "/days/:id"),
        ("/hosts/10.0.0.1", "/hosts/:id"),
        ("/jobs/4fa85f64-5717-4562-b3fc-2c963f66afa6", "/jobs/:id"),
        ("/blobs/9F1C2AB4", "/blobs/:id"),
        ("/objects/507f1f77bcf86cd799439011", "/objects/:id"),
        ("/events/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/events/:id"),
        # Words stay, also those of hexadecimal letters, and what has a digit beside them.
        ("/facade", "/facade"),
        ("/effaced/deadbeef", "/effaced/deadbeef"),
        ("/api/v2/report", "/api/v2/report"),
        ("/how-to-size-gunicorn", "/how-to-size-gunicorn"),
        ("/a b\tc", "/a%20b%09c"),
        ("/" + "long/" * 100, ("/" + "long/" * 100)[:200]),
    ],
)
def test_ids_are_folded(path: str, route: str) -> None:
    assert folded(path) == route


def test_rows_have_the_routes_of_their_lines(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", ["/users/1?page=2", "/users/2", "/health", "/users/3"])
    assert [row.route for row in log.rows] == ["/users/:id", "/users/:id", "/health", "/users/:id"]
    assert any("grouped by path, ids folded to :id: 2 routes" in text for text in log.notices)


def test_rows_have_no_routes_unless_asked(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", ["/users/1", "/health"], Reading())
    assert {row.route for row in log.rows} == {""}
    assert not any("grouped" in text for text in log.notices)


def test_the_most_frequent_have_routes_of_their_own(tmp_path: Path) -> None:
    frequent = [f"/page-{chr(ord('a') + number)}" for number in range(MOST)]
    log = log_of(tmp_path / "log", [*frequent * 2, "/rare-x", "/rare-y"])
    routes = [row.route for row in log.rows]
    assert set(routes) == {*frequent, OTHER}
    assert routes.count(OTHER) == 2
    assert any(
        f"{MOST} routes, and {OTHER} for 2 paths with 4.8% of the requests" in text
        for text in log.notices
    )


def test_what_is_skipped_has_no_route(tmp_path: Path) -> None:
    reading = Reading(by_route=True, skip_paths=("/health",))
    log = log_of(tmp_path / "log", ["/health", "/users/1", "/health"], reading)
    assert [row.route for row in log.rows] == ["/users/:id"]


def test_memory_is_bounded_by_the_number_of_paths() -> None:
    routes = LogRoutes()
    codes = array("i", (routes.code(f"/{number:x}-x") for number in range(MAX_PATHS)))
    tracemalloc.start()
    codes.extend(routes.code(f"/{number:x}-y") for number in range(MAX_PATHS))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    frequent = routes.frequent(codes)
    assert frequent.names[frequent.place(codes[-1])] == OTHER
    assert f"for over {MAX_PATHS - MOST:,} paths" in frequent.notice()
    # A number for each request, and the cache of paths; names would take 10 MB more.
    assert most < 25_000_000


def test_the_report_has_a_row_for_each_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    log_of(path, ["/users/1", "/health", "/users/2"])
    flags = ("--access-log", str(path), "--by-route", "--replications", "1", "--json")
    main(flags)
    document = json.loads(capsys.readouterr().out)
    assert [(row["route"], row["requests"]) for row in document["routes"]] == [
        ("/users/:id", 2),
        ("/health", 1),
    ]
    main([*flags, "--without-route", "/health"])
    document = json.loads(capsys.readouterr().out)
    assert [row["route"] for row in document["routes"]] == ["/users/:id"]


def test_a_format_without_paths_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("0.250 [24/Nov/2026:10:00:00 +0100]\n")
    reading = Reading("%(L)s %(t)s", by_route=True)
    with pytest.raises(ExperimentError, match=r"--by-route is given, but .* has neither path nor"):
        read(path, reading, 1, lambda _: None)


def test_by_route_needs_a_log() -> None:
    with pytest.raises(ExperimentError, match="--by-route is given without --access-log FILE"):
        main(["--by-route"])
