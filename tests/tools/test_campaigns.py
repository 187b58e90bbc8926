"""``--record``: what a campaign has tried is added to a file, also when it is interrupted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import campaign as fuzz
import hunt
import pytest
from rank_test import LOOKS
from this_commit import this_commit

from sim.command import INTERRUPTED
from tests.campaigns import record
from tests.differential import campaign as differential
from tests.differential.rows import Row
from tests.kills import campaign as kills


def recorded(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_session_says_what_of_where_and_when(tmp_path: Path) -> None:
    file = tmp_path / "campaigns.jsonl"
    for faults in (0, 2):
        record(file, "kills", "sweep", 7, range(20, 25), faults, 12.34)
    first, second = recorded(file)
    assert (first["seed"], first["first"], first["number"]) == (7, 20, 5)
    assert (first["seconds"], first["faults"], second["faults"]) == (12.3, 0, 2)
    assert first["python"] == ".".join(map(str, sys.version_info[:3]))
    assert all(first[name] for name in ("date", "commit", "processor"))


def test_without_a_file_nothing_is_recorded() -> None:
    record(None, "swarm", "", 1, range(3), 0, 1.0)


def test_the_swarm_says_how_many_it_has_judged(tmp_path: Path) -> None:
    file = tmp_path / "campaigns.jsonl"
    words = f"--minutes 0.01 --seed 3 --first 40 --processes 1 --record {file}"
    assert hunt.main(words.split()) == 0
    (session,) = recorded(file)
    assert (session["campaign"], session["of"], session["first"]) == ("swarm", "", 40)
    assert session["number"] > 0
    assert session["faults"] == 0


def test_each_reader_has_a_row(tmp_path: Path) -> None:
    file = tmp_path / "campaigns.jsonl"
    words = f"route probe --minutes 0.01 --unguided --record {file}"
    assert fuzz.main(words.split()) == 0
    assert [(it["campaign"], it["of"]) for it in recorded(file)] == [
        ("fuzz", "route"),
        ("fuzz", "probe"),
    ]
    assert all(it["number"] > 10 for it in recorded(file))


def test_rounds_count_that_were_over_when_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[list[str]] = [[], ["left a file"]]

    def kill(random: Random) -> tuple[str, list[str]]:
        del random
        if not rounds:
            raise KeyboardInterrupt
        return "SIGTERM", rounds.pop()

    monkeypatch.setattr(kills, "SUBJECTS", {"sweep": lambda: nullcontext(kill)})
    file = tmp_path / "campaigns.jsonl"
    assert kills.main(f"sweep --times 9 --first 4 --record {file}".split()) == INTERRUPTED
    (session,) = recorded(file)
    assert (session["first"], session["number"], session["faults"]) == (4, 2, 1)


def test_a_differential_session_counts_what_it_has_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(*_: object) -> Iterator[Row]:
        commit = this_commit()
        for number, surprises, error in ((4, 0, ""), (5, LOOKS, ""), (6, 0, "no port is free")):
            late = ["late"] * surprises
            yield Row(3, number, commit, "", "sync", "27.0.1", {}, late, error)
        raise KeyboardInterrupt

    monkeypatch.setattr(differential, "judged", judged)
    monkeypatch.setattr(differential, "_missing_releases", set)
    file, rows = tmp_path / "campaigns.jsonl", tmp_path / "rows.jsonl"
    words = f"--seed 3 --first 4 --rows {rows} --record {file}".split()
    assert differential.main(words) == INTERRUPTED
    # The second session goes on with the rows of the first, and counts its own.
    assert differential.main(words) == INTERRUPTED
    for session in recorded(file):
        assert (session["campaign"], session["seed"], session["first"]) == ("differential", 3, 4)
        assert (session["number"], session["faults"]) == (2, 1)
