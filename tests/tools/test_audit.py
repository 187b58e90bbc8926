"""A known vulnerability is ignored with a reason, and for a while only."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

import pytest

from tests.audit import IGNORED, Ignored, findings, ignored

TODAY = date(2026, 11, 29)


def entry(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - as TOML has them
    return {"id": "GHSA-1", "reason": "No templates.", "until": date(2026, 12, 31), **values}


def test_one_is_ignored_until_its_day() -> None:
    document = {"vulnerability": [entry(), entry(id="GHSA-2", until=TODAY)]}
    assert ignored(document, TODAY) == [Ignored("GHSA-1", "No templates.", date(2026, 12, 31))]
    assert ignored(document, date(2026, 12, 31)) == []
    assert ignored({}, TODAY) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"until": date(2027, 11, 29)}, "until 2027-11-29; expected a date within 90 days"),
        ({"until": "never"}, "until never; expected a date"),
        ({"reason": " "}, "expected ['id', 'reason', 'until'], filled"),
        ({"why": "x"}, "entry 1 has ['id', 'reason', 'until', 'why']"),
    ],
)
def test_one_without_a_reason_or_an_end_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="entry 1") as refused:
        ignored({"vulnerability": [entry(**wrong)]}, TODAY)
    assert message in str(refused.value)


def test_what_could_not_be_audited_is_a_finding_too() -> None:
    report = {
        "dependencies": [
            {"name": "gunicorn-sim", "skip_reason": "distribution marked as editable"},
            {"name": "flask", "version": "3.1.0", "vulns": []},
            {"name": "simpy", "skip_reason": "not found"},
            {
                "name": "jinja2",
                "version": "3.1.0",
                "vulns": [{"id": "GHSA-1", "fix_versions": ["3.1.6"]}],
            },
        ]
    }
    assert findings(report) == [
        "simpy was not audited: not found",
        "jinja2 3.1.0 has GHSA-1, which 3.1.6 mends",
    ]


def test_our_own_file_is_well_formed() -> None:
    # Whatever the day: an entry that is over fails the audit, and no other test.
    ignored(tomllib.loads(IGNORED.read_text(encoding="utf-8")), date.max.replace(year=9000))
