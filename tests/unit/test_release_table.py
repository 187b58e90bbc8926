"""The page on releases says every behaviour, in words, and names tests that exist."""

from __future__ import annotations

from pathlib import Path

from sim.experiment.release import BEHAVIOURS, KNOWN
from site_docs.rendering import release_table
from site_docs.rendering.release_table import ROWS, SOURCE

ROOT = Path(__file__).parents[2]


def test_every_behaviour_has_a_row_and_every_value_its_words() -> None:
    assert set(ROWS) == set(BEHAVIOURS)
    for name, row in ROWS.items():
        values = {change.value for change in BEHAVIOURS[name]}
        assert set(row.words) <= values, name
        # What has no words of its own is shown as it is, so it must be words.
        assert all(isinstance(value, str) for value in values - set(row.words)), name


def test_every_behaviour_names_tests_that_exist() -> None:
    for name, row in ROWS.items():
        assert row.tests, name
        for test in row.tests:
            file, _, function = test.partition("::")
            assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), name


def test_each_change_links_the_line_where_it_was_read() -> None:
    parts = {row.part for row in ROWS.values()}
    text = "\n".join(release_table.table(part) for part in sorted(parts))
    for changes in BEHAVIOURS.values():
        for change in changes:
            link = SOURCE.format(release=change.since, file=change.file, line=change.line)
            assert f"[{change.since}]({link}): " in text


def test_every_release_is_in_one_group_that_says_what_changed() -> None:
    rows = release_table.groups().splitlines()[2:]
    listed = [number for row in rows for number in row.split("|")[1].strip().split(", ")]
    assert listed == list(KNOWN)
    assert sum("the oldest" in row for row in rows) == 1
