"""Configurations of public projects, checked: what a reviewer would sign, and no traceback.

`tests/support/public_configs.toml` has them, with what each has to say.
"""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sim.cli import main
from sim.command import run_command
from sim.study.check import linting

pytestmark = pytest.mark.usefixtures("compiled_studies")

CONFIGS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "support" / "public_configs.toml").read_text(encoding="utf-8")
)["config"]

#: Two seconds of the requests that `check` assumes.
SHORT = ("--duration", "5", "--replications", "3", "--jobs", "1", "--fail-on", "never", "--json")


def name_of(config: dict[str, Any]) -> str:
    return str(config["project"]).partition(",")[0]


def checked(
    config: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str], *flags: str
) -> tuple[int, str, str]:
    """Status, stdout and stderr of ``check`` of a configuration."""
    words = ["check"]
    if "text" in config:
        (folder / "gunicorn.conf.py").write_text(config["text"], encoding="utf-8")
        words.append("gunicorn.conf.py")
    else:
        words += shlex.split(config["command"])
    status = run_command(lambda: main([*words, *SHORT, *flags]))
    return (status, *capsys.readouterr())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # Which load is too much takes longer than all findings, and `test_check.py` asks it.
    monkeypatch.setattr(linting, "headroom", lambda *_: None)
    for name in ("PORT", "BIND", "HOST", "WEB_CONCURRENCY", "WORKERS_PER_CORE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("config", [each for each in CONFIGS if "rules" in each], ids=name_of)
def test_findings_are_those_that_a_reviewer_signs(
    config: dict[str, Any],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in config.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    status, out, err = checked(config, folder, capsys)
    assert status == 0, err
    findings = json.loads(out)["findings"]
    assert [each["rule"] for each in findings] == config["rules"]


@pytest.mark.parametrize("config", [each for each in CONFIGS if "refused" in each], ids=name_of)
def test_what_cannot_be_predicted_is_one_line(
    config: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = checked(config, folder, capsys)
    assert (status, out) == (2, "")
    assert config["refused"] in err
    assert err.count("\n") == 1
    if config.get("literal"):
        status, out, err = checked(config, folder, capsys, "--literal")
        assert status == 0, err
        assert json.loads(out)["findings"] is not None


def test_each_has_what_it_has_to_say() -> None:
    assert len(CONFIGS) >= 10
    for config in CONFIGS:
        assert ("text" in config) != ("command" in config), config["project"]
        assert ("rules" in config) != ("refused" in config), config["project"]
        assert config["project"].endswith(")"), "the licence"
