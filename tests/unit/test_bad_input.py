"""Whatever is wrong with the input, a user sees one clear line and exit status 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Done, run_here

from sim.cli import main

COMMAND = [sys.executable, "-m", "sim"]

HEADER = b"arrival_s,io_s,cpu_s\n"

#: Files that the cases below name.
FILES: dict[str, bytes] = {
    "empty.csv": b"",
    "no_rows.csv": HEADER,
    "binary.csv": b"\x7fELF\x02\x01\x01\x00\x00",
    "latin.csv": HEADER + b"0,1,\xe9\n",
    "header.csv": b"time,io,cpu\n0,0,0\n",
    "columns.csv": HEADER + b"0,0\n",
    "text.csv": HEADER + b"0,0,fast\n",
    "unordered.csv": HEADER + b"1,0,0\n0.5,0,0\n",
    "negative.csv": HEADER + b"0,0,0\n1,-2,0\n",
    "nan.csv": HEADER + b"0,nan,0\n",
    "inf.csv": HEADER + b"inf,0,0\n",
    "blank.csv": HEADER + b"0,0,0\n\n1,0,0\n",
    "key.toml": b"[server]\nwokers = 2\n",
    "syntax.toml": b"[server\nworkers = 2\n",
    "disturbance.toml": b"[[disturbance]]\nkind = 'crash'\nat = -1\n",
    "type.toml": b"[server]\nworkers = '2'\n",
    "raises.py": b"workers = 2\nraise RuntimeError('no database')\n",
    "syntax.py": b"workers = (\n",
    "exits.py": b"import sys\nsys.exit('bye')\n",
    "value.py": b"workers = 'two'\n",
}

#: The arguments, and what the line must say.
CASES: dict[str, str] = {
    "--workers 0": "workers is 0; expected a whole number from 1",
    "--workers -1": "workers is -1; expected a whole number from 1",
    "--workers two": "workers is 'two'; expected a whole number",
    "--workers 1.5": "workers is '1.5'; expected a whole number",
    "--threads 0": "threads is 0; expected a whole number from 1",
    "--rate nan": "rate is nan; expected a finite number > 0",
    "--rate inf": "rate is inf; expected a finite number > 0",
    "--rate -5": "rate is -5.0; expected a finite number > 0",
    "--rate 0": "rate is 0.0; expected a finite number > 0",
    "--rate fast": "rate is 'fast'; expected a number",
    "--rate": "argument --rate: expected one argument",
    "--io exp:-1": "io: distribution exp:-1: mean is -1.0; expected",
    "--io exp": "io: distribution 'exp' is not understood; expected",
    "--client-timeout soon": "client-timeout is 'soon'; expected a number",
    "--client-timeout 0": "traffic timeout is 0.0; expected a finite number > 0",
    "--retries -1": "retries is -1; expected a whole number from 0",
    "--disturb crash": "--disturb 'crash': expected a time in s and a kind, as in '10 signal",
    "--experiment disturbance.toml": "disturbance.toml: [[disturbance]] 1 at is -1.0; expected a",
    "--hz 249": "hz is 249; expected one of 100, 250, 300, 1000",
    "--hz fast": "hz is 'fast'; expected a whole number",
    "--worker-class tornado": "worker_class is 'tornado'; expected sync, gthread, gevent",
    "--no-such-flag": "unrecognized arguments: --no-such-flag",
    "--trace empty.csv": "empty.csv: is empty; expected the header",
    "--trace no_rows.csv": "no_rows.csv: has no rows; expected requests",
    "--trace binary.csv": "binary.csv: line 1 holds a NUL byte; expected a CSV file",
    "--trace latin.csv": "latin.csv: line 2 is not UTF-8; expected a CSV file",
    "--trace header.csv": "header.csv: line 1 is 'time,io,cpu'; expected the header",
    "--trace columns.csv": "columns.csv: line 2 has 2 columns; expected 3",
    "--trace text.csv": "text.csv: line 2: cpu_s is 'fast'; expected a finite number >= 0",
    "--trace unordered.csv": "unordered.csv: line 3: arrival_s is 0.5, before the line above",
    "--trace negative.csv": "negative.csv: line 3: io_s is '-2'; expected a finite number >= 0",
    "--trace nan.csv": "nan.csv: line 2: io_s is 'nan'; expected a finite number >= 0",
    "--trace inf.csv": "inf.csv: line 2: arrival_s is 'inf'; expected a finite number >= 0",
    "--trace blank.csv": "blank.csv: line 3 is blank; expected",
    "--trace no.csv": "no.csv: cannot be read (No such file or directory)",
    "--trace .": ".: cannot be read (Is a directory)",
    "--experiment key.toml": "[server] has an unknown key 'wokers'; did you mean 'workers'",
    "--experiment syntax.toml": "syntax.toml: is not TOML: Expected ']' at the end of a table",
    "--experiment type.toml": "type.toml: [server] workers is '2'; expected a whole number",
    "--experiment no.toml": "no.toml: cannot be read (No such file or directory)",
    "--config raises.py": "raises.py: line 2: RuntimeError: no database",
    "--config syntax.py": "syntax.py: line 1: SyntaxError: '(' was never closed",
    "--config exits.py": "exits.py: line 2: calls exit('bye'); expected a configuration",
    "--config value.py": "value.py: workers is 'two'; Gunicorn refuses it",
    "--config no.py": "no.py: does not exist; expected a gunicorn.conf.py",
    "--config .": ".: is a directory; expected a gunicorn.conf.py",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `FILES` in it."""
    path = tmp_path_factory.mktemp("input")
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


#: Refused by the parser, by a reader, and by Python in a configuration: by the real command.
IN_A_SHELL = ("--no-such-flag", "--trace no.csv", "--config exits.py")


def assert_is_one_line(done: Done, message: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


Sim = Callable[[str], Done]


@pytest.fixture
def sim(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Sim:
    """``python -m sim`` in `directory`."""
    monkeypatch.chdir(directory)
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    return lambda arguments: run_here(main, arguments.split(), capsys)


@pytest.mark.parametrize(("arguments", "message"), CASES.items(), ids=CASES)
def test_bad_input_is_one_line(sim: Sim, arguments: str, message: str) -> None:
    assert_is_one_line(sim(arguments), message)


@pytest.mark.parametrize("workers", ["two", "", "0", "-1"])
def test_a_bad_environment_is_one_line(
    sim: Sim, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    assert_is_one_line(sim(""), f"WEB_CONCURRENCY is {workers!r}; expected a whole number >= 1")


@pytest.mark.parametrize("arguments", IN_A_SHELL)
def test_the_command_says_the_same_in_a_shell(directory: Path, arguments: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments.split()],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert_is_one_line(Done(done.returncode, done.stdout, done.stderr), CASES[arguments])
