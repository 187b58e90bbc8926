"""What campaigns and mutants have tried, as a page adds it up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.errors import ExperimentError
from site_docs.rendering import campaigns, mutation_score


def rows(path: Path, *sessions: tuple[str, str, int, int, str]) -> Path:
    names = ("campaign", "of", "number", "faults", "date")
    path.write_text(
        "".join(json.dumps(dict(zip(names, each, strict=True))) + "\n" for each in sessions)
    )
    return path


def test_sessions_of_one_thing_are_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rows(
        tmp_path / "campaigns.jsonl",
        ("kills", "sweep", 20, 1, "2026-11-29T10:00:00+00:00"),
        ("fuzz", "log", 1_000, 0, "2026-11-30T10:00:00+00:00"),
        ("swarm", "", 5_000, 0, "2026-11-30T11:00:00+00:00"),
        ("swarm", "", 400_000, 2, "2026-11-28T11:00:00+00:00"),
    )
    assert campaigns.read(path) == [
        ("swarm", "", 405_000, 2, "2026-11-30"),
        ("fuzz", "log", 1_000, 0, "2026-11-30"),
        ("kills", "sweep", 20, 1, "2026-11-29"),
    ]
    monkeypatch.setattr(campaigns, "FILE", path)
    assert campaigns.table().splitlines()[2:] == [
        "| experiments put together by chance | 405,000 | 2 | 2026-11-30 |",
        "| inputs for access logs | 1,000 | 0 | 2026-11-30 |",
        "| ends of `sweep --resume` at random moments | 20 | 1 | 2026-11-29 |",
    ]


def test_a_campaign_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = rows(tmp_path / "campaigns.jsonl", ("storm", "", 1, 0, "2026-11-29"))
    with pytest.raises(ExperimentError, match="line 1: campaign is 'storm'; expected swarm, diff"):
        campaigns.read(path)


def test_everything_that_was_tried_has_a_name() -> None:
    """A reader or a command that the table does not name is its own name, in code."""
    for it in campaigns.read():
        assert it.number > 0
        assert it.of in campaigns.NAMES or it.of in {"", "compile", "measure", "validate"}


# --- mutants ------------------------------------------------------------------------------------


MUTATION = {
    "commit": "abc",
    "date": "2026-11-30",
    "seed": 2,
    "packages": [
        {
            "package": "sim/model",
            "mutants": 1_234,
            "tried": 100,
            "killed": 88,
            "hung": 2,
            "survived": 10,
            "equivalent": 0,
            "low": 0.826,
            "high": 0.945,
        }
    ],
    "survivors": [{"path": "sim/model/a.py", "line": 3, "before": "x < 1", "after": "x <= 1"}],
}


def test_a_package_has_a_score_and_its_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mutation.json"
    path.write_text(json.dumps(MUTATION))
    monkeypatch.setattr(mutation_score, "FILE", path)
    assert mutation_score.table().splitlines()[2:] == [
        "| `sim/model` | 1,234 | 100 | 88 | 2 | 10 | 90 % | 83 to 94 % |"
    ]
    assert mutation_score.tried() == 100
    assert mutation_score.where() == "2026-11-30, commit `abc`, seed 2"


def test_every_survivor_is_counted_and_most_mutants_are_noticed() -> None:
    document = mutation_score.read()
    assert len(document["survivors"]) == sum(it["survived"] for it in document["packages"])
    assert {it["package"] for it in document["packages"]} == {"sim/analysis", "sim/model"}
    assert all(it["killed"] + it["hung"] > 0.85 * it["tried"] for it in document["packages"])
