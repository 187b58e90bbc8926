"""The measured race for an idle connection, beside its prediction."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.errors import ExperimentError
from site_docs.rendering import balancer_race


def test_the_page_has_what_was_measured() -> None:
    document = balancer_race.read()
    lost, requests = sum(document["bad_gateways"]), sum(document["requests"])
    assert balancer_race.measured() == lost / requests
    assert balancer_race.counted() == f"{lost} of {requests:,}"
    assert document["date"] in balancer_race.where()
    # One client sends about once in a second, so a run has few requests; the prediction has more.
    assert 0.05 < balancer_race.predicted() < 0.12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date = '2026-11-29'", "processor is missing; expected what was measured"),
        ("seen = 1", "seen"),
        (
            "date = 'x'\nprocessor = 'y'\ncores = 2\nrequests = [65]\nbad_gateways = [0, 1]",
            "expected as many requests as bad_gateways, one a run",
        ),
    ],
)
def test_another_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "race.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExperimentError, match=message):
        balancer_race.read(path)
