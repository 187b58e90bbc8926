"""Logs that proxies write by default, as their makers and users publish them.

Goal: a line of each is read, in its own unit, and its request came when it did. The lines are those
of public documentation, with other names and addresses in place of theirs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from sim.cli import main
from sim.reading.access_log import Reading, read

pytestmark = pytest.mark.usefixtures("compiled_studies")


class Line(NamedTuple):
    """One line: its text, when its request came (s since the epoch), s that it took, its path."""

    text: str
    came: float
    took: float
    path: str


CADDY = {
    "level": "info",
    "ts": 1646861401.5,
    "logger": "http.log.access",
    "msg": "handled request",
    "request": {"remote_ip": "192.0.2.1", "method": "GET", "host": "localhost", "uri": "/items"},
    "bytes_read": 0,
    "duration": 0.25,
    "size": 10900,
    "status": 200,
    "resp_headers": {"Server": ["Caddy"]},
}
TRAEFIK = {
    "ClientAddr": "192.0.2.1:40832",
    "Duration": 27_000_000,
    "OriginDuration": 26_000_000,
    "OriginStatus": 200,
    "RequestPath": "/items",
    "RouterName": "web@docker",
    "StartLocal": "2022-03-09T22:30:01.5+01:00",
    "StartUTC": "2022-03-09T21:30:01.5Z",
    "time": "2022-03-09T21:30:01Z",
}
ENVOY_JSON = {
    "start_time": "2022-03-09T21:30:01.500Z",
    "method": "GET",
    "path": "/items",
    "response_code": 200,
    "response_flags": "-",
    "duration": 101,
    "upstream_service_time": "100",
    "user_agent": "curl/8.5.0",
}
ALL = "2022-03-09T21:30:01.500Z"

LINES = {
    "Envoy": Line(
        f'[{ALL}] "POST /items HTTP/2" 204 - 154 0 226 100 "192.0.2.28" "client/1.0" '
        '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "items" "tcp://192.0.2.1:80"',
        1646861401.5,
        0.1,
        "/items",
    ),
    "Istio": Line(
        f'[{ALL}] "GET /items HTTP/1.1" 200 - via_upstream - "-" 0 1234 45 43 "-" "curl/7.81.0" '
        '"abc-123" "service:8080" "192.0.2.5:8080" inbound|8080|| 192.0.2.5:42566 '
        "192.0.2.5:8080 192.0.2.3:54321 - default",
        1646861401.5,
        0.043,
        "/items",
    ),
    "HAProxy": Line(
        "Mar  9 21:30:01 localhost haproxy[14389]: 192.0.2.2:33317 [09/Mar/2022:21:30:01.500] "
        'http-in app/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /items '
        'HTTP/1.1"',
        1646861401.5,
        0.099,
        "/items",
    ),
    "Traefik, common": Line(
        '192.0.2.1 - - [09/Mar/2022:21:30:01 +0000] "GET /items HTTP/1.1" 200 12 "-" "curl/8" 42 '
        '"web@docker" "http://192.0.2.2:8000" 27ms',
        1646861401.0 - 0.027,
        0.027,
        "/items",
    ),
    "Traefik, JSON": Line(json.dumps(TRAEFIK), 1646861401.5, 0.026, "/items"),
    "Caddy": Line(json.dumps(CADDY), 1646861401.5 - 0.25, 0.25, "/items"),
    "Envoy, JSON": Line(json.dumps(ENVOY_JSON), 1646861401.5, 0.1, "/items"),
}


@pytest.mark.parametrize("name", LINES)
def test_a_published_line_is_read(name: str, tmp_path: Path) -> None:
    line = LINES[name]
    path = tmp_path / "log"
    path.write_text(f"{line.text}\n" * 30, encoding="utf-8")
    log = read(path, Reading(by_route=True), 1, lambda _: None)
    assert not any("could not be read" in notice for notice in log.notices)
    requests = log.requests
    assert list(requests.duration) == pytest.approx([line.took] * 30)
    # A time in whole seconds is drawn within its second.
    within = 1.0 if log.whole else 1e-6
    assert requests.arrival[0] == pytest.approx(line.came + within / 2, abs=within / 2 + 1e-6)
    assert {requests.name(row) for row in range(30)} == {line.path}


@pytest.mark.parametrize("name", LINES)
def test_check_takes_it(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    path.write_text(f"{LINES[name].text}\n" * 30, encoding="utf-8")
    words = ["check", "--workers", "2", "--access-log", str(path), "--replications", "3"]
    main([*words, "--jobs", "1", "--fail-on", "never", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["experiment"]["traffic"]["arrivals"] == "trace"
    # Thirty at once are too many for two.
    assert "sync-workers-wait" in {finding["rule"] for finding in document["findings"]}


def test_what_no_upstream_answered_is_left_out(tmp_path: Path) -> None:
    unanswered = (
        LINES["Envoy"].text.replace(" 226 100 ", " 226 - "),
        LINES["HAProxy"].text.replace("10/0/30/69/109", "10/0/-1/-1/109"),
    )
    for number, (line, name) in enumerate(zip(unanswered, ("Envoy", "HAProxy"), strict=True)):
        path = tmp_path / str(number)
        path.write_text(f"{LINES[name].text}\n" * 20 + f"{line}\n" * 5, encoding="utf-8")
        log = read(path, Reading(), 1, lambda _: None)
        assert len(log.requests) == 20
        assert any("5 of 25 lines are of requests that did not" in each for each in log.notices)
