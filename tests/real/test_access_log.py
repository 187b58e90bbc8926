"""Access logs as traces: what is read, what is not, and what is said about both."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from sim.cli import main
from sim.errors import ExperimentError
from sim.reading import log_format
from sim.reading.access_log import AccessLog, Reading, read

CLF = '::1 - - [24/Nov/2026:10:00:{second:02} +0100] "GET / HTTP/1.1" 200 12'
COMBINED = CLF + ' "-" "curl \\"8\\""'


def read_text(
    path: Path, text: str, written: str | None = None, seed: int = 1, cpu_part: float = 0.0
) -> AccessLog:
    path.write_text(text, encoding="latin-1")
    return read(path, Reading(written, cpu_part=cpu_part), seed, lambda _: None)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.mark.parametrize(
    ("written", "line", "duration", "queueing"),
    [
        (None, COMBINED.format(second=1) + " 250000", 0.25, True),
        (None, COMBINED.format(second=1) + " 250.0ms", 0.25, True),
        (None, COMBINED.format(second=1) + " 0.250", 0.25, True),
        (None, CLF.format(second=1) + " rt=0.250", 0.25, True),
        (None, CLF.format(second=1) + ' "-" "-" "10.0.0.1" 0.250', 0.25, True),
        ('%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s %(L)s', None, 0.25, False),
        ('%(t)s %(M)sms "%({user-agent}i)s" <%(p)s>', None, 0.25, False),
        ("%(T)s %(t)s", None, 3.0, False),
        ('$remote_addr [$time_local] "$request" $status $request_time', None, 0.25, True),
        ("$time_iso8601 ${request_time} $upstream_response_time", None, 0.25, True),
        ('%h %l %u %t \\"%r\\" %>s %b %D', None, 0.25, True),
        ("%{end:usec}t %{ms}T%% %U", None, 0.25, True),
    ],
)
def test_formats(
    log: Path, written: str | None, line: str | None, duration: float, queueing: bool
) -> None:
    if line is None:
        assert written is not None
        line = written
        for name, value in FIELDS.items():
            line = line.replace(name, value)
    found = read_text(log, line + "\n", written)
    [row] = found.rows
    assert (row.arrival_s, row.io_s) == pytest.approx((0.0, duration))
    assert any("includes any wait for a thread" in notice for notice in found.notices) == queueing


#: What servers write for each field of the formats above.
FIELDS = {
    "%(h)s %(l)s %(u)s": "10.0.0.1 - a b",
    "%(t)s": "[24/Nov/2026:10:00:01 +0100]",
    '\\"%r\\"': '"GET /\\"x HTTP/1.1"',
    "%(r)s": "GET /\\x22 HTTP/1.1",
    "%(s)s": "200",
    "%(b)s": "-",
    "%(L)s": "0.250000",
    "%(M)s": "250",
    "%(T)s": "3",
    "%({user-agent}i)s": 'a \\"b',
    "%(p)s": "<7>",
    "$remote_addr": "::1",
    "$time_local": "24/Nov/2026:10:00:01 +0100",
    "$time_iso8601": "2026-11-24T10:00:01+01:00",
    "$request_time": "0.250",
    "${request_time}": "0.900",
    "$request": "GET / HTTP/1.1",
    "$status": "499",
    "$upstream_response_time": "0.250",
    "%{end:usec}t": "1732438801000000",
    "%{ms}T": "250",
    "%%": "%",
    "%h %l %u": "10.0.0.1 - -",
    "%t": "[24/Nov/2026:10:00:01 +0100]",
    "%>s": "304",
    "%b": "-",
    "%D": "250000",
    "%U": "/a b",
}


def test_times_are_those_of_the_zone() -> None:
    assert log_format.clf_time("24/Nov/2026:10:00:01 +0100") == 1795510801.0
    assert log_format.clf_time("24/Nov/2026:03:30:01 -0530") == 1795510801.0
    assert log_format.iso_time("2026-11-24T09:00:01") == 1795510801.0


def test_a_line_is_written_at_the_end_of_its_request(log: Path) -> None:
    # The second line's request came first; milliseconds are as they are.
    text = "100.500 0.100\n101.000 0.800\n101.250 0.010\n"
    found = read_text(log, text, "$msec $request_time")
    assert [row.arrival_s for row in found.rows] == pytest.approx([0.0, 0.2, 1.04])
    assert [row.io_s for row in found.rows] == [0.8, 0.1, 0.01]
    assert not any("random" in notice for notice in found.notices)


def test_apache_logs_the_beginning(log: Path) -> None:
    text = "200000000 100000\n200500000 900000\n"
    found = read_text(log, text, "%{usec}t %D")
    assert [row.arrival_s for row in found.rows] == pytest.approx([0.0, 0.5])
    ended = read_text(log, text, "%{end:usec}t %D")
    assert [row.arrival_s for row in ended.rows] == pytest.approx([0.0, 0.3])


def test_whole_seconds_are_spread_by_the_seed(log: Path) -> None:
    lines = [COMBINED.format(second=second) + " 0.001" for second in (1,) * 50 + (2,) * 50]
    text = "\n".join(lines)
    found = read_text(log, text)
    arrivals = [row.arrival_s for row in found.rows]
    assert len(set(arrivals)) == 100
    # The first is at 0: at most so long after it is the end of its second, or of the next.
    assert arrivals[49] < 1.0 < arrivals[99] < 2.0
    assert read_text(log, text).rows == found.rows
    assert read_text(log, text, seed=2).rows != found.rows
    assert any("random (seed 1)" in notice for notice in found.notices)


def test_a_part_may_be_cpu(log: Path) -> None:
    found = read_text(log, "5.0 0.200\n", "$msec $request_time", cpu_part=0.25)
    [row] = found.rows
    assert (row.arrival_s, row.io_s, row.cpu_s) == pytest.approx((0.0, 0.15, 0.05))


def test_what_cannot_be_read_is_counted(log: Path) -> None:
    good = COMBINED.format(second=1) + " 0.1"
    bad = [
        COMBINED.format(second=2),  # no request time
        good.replace("Nov", "Nix"),
        good.replace("24/", "31/"),
        '2026/11/24 10:00:00 [error] 7#7: *1 upstream timed out, client: ::1, server: "x" ' * 9,
        "\0\xff",
    ]
    found = read_text(log, "\n".join([good, "", *bad, good, "", ""]))
    assert len(found.rows) == 2
    [unread] = [notice for notice in found.notices if "could not be read" in notice]
    assert "5 of 7 lines" in unread
    assert "line 3 (" in unread
    assert "line 5 (" in unread
    assert "and 2 more" in unread


@pytest.mark.parametrize(
    ("text", "written", "message"),
    [
        ("", None, "has no lines"),
        ("\n\n", None, "has no lines"),
        (CLF.format(second=1), None, "line 1 .* without a request time behind it"),
        (COMBINED.format(second=1) + " 1", "$msec $request_time", "expected nginx's .* or another"),
        ("x", "%h %D", "has no time; expected one of %t"),
        ("x", "$msec", r"has no request time; expected one of \$upstream_response_time"),
        ("x", "%(t)s %(b)s", r"has no request time; expected one of %\(D\)s"),
    ],
)
def test_what_is_no_access_log_is_refused(
    log: Path, text: str, written: str | None, message: str
) -> None:
    with pytest.raises(ExperimentError, match=message):
        read_text(log, text, written)


def test_a_missing_file_and_a_damaged_one_are_refused(log: Path) -> None:
    with pytest.raises(ExperimentError, match="No such file"):
        read(log, Reading(), 1, lambda _: None)
    whole = gzip.compress((COMBINED.format(second=1) + " 0.007\n").encode() * 1000)
    log.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ExperimentError, match="cannot be read"):
        read(log, Reading(), 1, lambda _: None)


def test_hostile_lines_take_no_time(log: Path) -> None:
    before = time.process_time()
    log.write_text("\n".join(part * 20_000 for part in ("[", " ", '"', "a ", "\\", "] ")))
    for written in (None, '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s %(L)s'):
        with pytest.raises(ExperimentError, match=r"no line could be read|in no format"):
            read(log, Reading(written), 1, lambda _: None)
    assert time.process_time() - before < 2.0


def test_files_are_streamed_gzipped_or_not(log: Path) -> None:
    # 8 MB of long lines, of which nothing but two numbers is kept.
    line = COMBINED.format(second=1).replace("GET /", "GET /" + "x" * 4000) + " 0.007\n"
    lines = 2_000
    seen: list[int] = []
    log.write_bytes(gzip.compress(line.encode() * lines))
    tracemalloc.start()
    found = read(log, Reading(), 1, seen.append)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.rows) == lines
    assert most < 2_000_000
    log.write_bytes(line.encode() * lines)
    assert read(log, Reading(), 1, seen.append).rows == found.rows


def test_a_pipe_will_do(log: Path) -> None:
    os.mkfifo(log)
    line = COMBINED.format(second=1) + " 0.007\n"
    text = gzip.compress(line.encode() * 20_000)
    program = f"import sys; open(sys.argv[1], 'wb').write({text!r})"
    with subprocess.Popen([sys.executable, "-c", program, str(log)]):
        assert len(read(log, Reading(), 1, lambda _: None).rows) == 20_000


def test_a_line_without_end_is_one_line(log: Path) -> None:
    good = COMBINED.format(second=1) + " 0.007"
    found = read_text(log, "x" * 200_000 + "\n" + good)
    assert len(found.rows) == 1
    assert any("1 of 2 lines could not be read: line 1 (" in notice for notice in found.notices)


APP = """
import time

def app(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def gunicorn_log(directory: Path, *flags: str) -> Path:
    """What real Gunicorn logs of requests of 50, 10 and 120 ms, the last two at once."""
    (directory / "sleeper.py").write_text(APP, encoding="utf-8")
    path, address = directory / "gunicorn.log", str(directory / "socket")
    command = [sys.executable, "-m", "gunicorn", "sleeper:app", "--chdir", str(directory)]
    command += ["--bind", f"unix:{address}", "--threads", "4", "--keep-alive", "0"]
    command += ["--no-control-socket", "--access-logfile", str(path), "--log-level", "error"]
    command += flags
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as server:
        try:
            ask(address, "0.05").recv(1000)
            slow, quick = ask(address, "0.12"), ask(address, "0.01")
            for connection in (quick, slow):
                assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            deadline = time.monotonic() + 5
            # A line is written when its answer is on its way already.
            while len(path.read_text(encoding="utf-8").splitlines()) < 3:
                assert time.monotonic() < deadline, "the log lacks lines"
                time.sleep(0.01)
        finally:
            os.killpg(server.pid, signal.SIGKILL)
    return path


def ask(address: str, seconds: str) -> socket.socket:
    """Send a request on a connection of its own, as soon as the server listens."""
    deadline = time.monotonic() + 10
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)
        else:
            connection.sendall(f"GET /?{seconds} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return connection


def test_what_gunicorn_logs_runs_in_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gunicorns = gunicorn_log(
        tmp_path,
        "--access-logformat",
        '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(L)s %(D)s',
    )
    found = read(gunicorns, Reading(), 1, lambda _: None)
    # The default format, with a decimal before the whole one at the end of the line.
    durations = sorted(row.io_s for row in found.rows)
    for took, slept in zip(durations, (0.01, 0.05, 0.12), strict=True):
        assert slept <= took < slept + 2.0  # much later on a machine that is busy
    assert not any("could not be read" in notice for notice in found.notices)
    written = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(L)s %(D)s'
    told = read(gunicorns, Reading(written), 1, lambda _: None)
    # %(D)s is read in the one case, and %(L)s in the other.
    for row, same in zip(found.rows, told.rows, strict=True):
        assert (row.arrival_s, row.io_s) == pytest.approx((same.arrival_s, same.io_s))
    main(["--access-log", str(gunicorns), "--workers", "2", "--log-format", written, "--json"])
    out, err = capsys.readouterr()
    assert '"ok": 30' in out  # 3 requests in 10 replications
    assert "begins when a thread has the request" in err


@pytest.mark.parametrize(
    "written",
    [
        '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(M)s',
        '{"time": "%(t)s", "took": %(M)s, "request": "%(r)s", "agent": "%(a)s"}',
    ],
)
def test_a_log_is_read_in_the_format_of_the_configuration_that_wrote_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str
) -> None:
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(f"access_log_format = {written!r}\n", encoding="utf-8")
    path = gunicorn_log(tmp_path, "--config", str(config))
    flags = ["--access-log", str(path), "--threads", "4", "--replications", "1", "--json"]
    main(["--config", str(config), *flags])
    latency = json.loads(capsys.readouterr().out)["latency_s"]
    assert 0.05 <= latency["p50"] < 2.0
    assert 0.12 <= latency["max"] < 2.0
    with pytest.raises(ExperimentError, match=r"expected --log-format"):
        main(flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--log-format", "%t %D"], "--log-format is given without --access-log"),
        (["--log-cpu", "0.1"], "--log-cpu is given without --access-log"),
        (["--access-log", "x", "--trace", "y"], "--trace and --access-log are both given"),
        (["--access-log", "x", "--arrivals", "poisson"], "--arrivals poisson and --access-log"),
        (["--access-log", "x", "--log-cpu", "2"], "--log-cpu is 2; expected a part from 0 to 1"),
    ],
)
def test_flags_that_do_not_go_together(
    flags: list[str], message: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)
    (log.parent / "y").write_text("arrival_s,io_s,cpu_s\n0,0,0\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match=message):
        main(flags)
