"""`compare` of two releases: of one file, given as an argument or by a flag."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.cli import main
from sim.command import run_command

pytestmark = pytest.mark.usefixtures("compiled_studies")

SHORT = ("--rate", "30", "--duration", "5", "--replications", "3", "--jobs", "1")
BOTH = ("--gunicorn", "23.0.0", "--gunicorn", "27.0.1")


@pytest.fixture
def conf(tmp_path: Path) -> str:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(
        'workers = 2\nthreads = 1\nworker_class = "gthread"\nworker_connections = 1\n',
        encoding="utf-8",
    )
    return str(path)


@pytest.mark.parametrize("way", ["argument", "--config", "both"])
def test_one_file_on_two_releases(way: str, conf: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"argument": (conf,), "--config": ("--config", conf), "both": (conf, conf)}[way]
    main(["compare", *files, *BOTH, "--client-timeout", "1", *SHORT])
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("B ("), said
    assert "on Gunicorn 23.0.0, B is" in said
    assert "on Gunicorn 27.0.1;" in said


def test_nobody_is_answered_by_the_release_that_spins(
    conf: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", "--config", conf, *BOTH, "--client-timeout", "1", *SHORT, "--json"])
    document = json.loads(capsys.readouterr().out)
    rows = {row["measure"]: row for row in document["measures"]}
    assert rows["lost"]["a"]["value"] > 0.99
    assert rows["lost"]["b"]["value"] == 0


@pytest.mark.parametrize(
    ("flags", "found"),
    [((), "no file"), (BOTH, "no file"), (("FILE",), "only"), (("FILE", *BOTH[:2]), "only")],
)
def test_too_few_files_are_refused(
    flags: tuple[str, ...], found: str, conf: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [conf if flag == "FILE" else flag for flag in flags]
    assert run_command(lambda: main(["compare", *files])) == 2
    said = capsys.readouterr().err
    assert f"compare is given {found}" in said
    assert "expected two files, or one with --gunicorn twice or" in said
