"""Which release everything speaks of, and which releases an advice is for."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import gunicorn
import pytest
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files

from sim.errors import ExperimentError
from sim.experiment import Experiment, Server
from sim.experiment.release import BEHAVIOURS, KNOWN, NEWEST, Release, alike, release
from sim.experiment.release_notices import (
    LIMIT_MEASURED,
    LIMIT_SAFE,
    LIMIT_UNSAFE,
    installed_notices,
    limit_notices,
)
from sim.experiment.worker_class import TRAITS
from sim.reading import arguments
from sim.reading.one_line_parser import OneLineParser
from site_docs.rendering import hooks, limited

ROOT = Path(__file__).parents[2]

#: What people read that advises settings.
TEXTS = (
    ROOT / "README.md",
    *sorted((ROOT / "site_docs" / "pages").rglob("*.md")),
    *sorted((ROOT / "site_docs" / "claims").glob("*.toml")),
)

#: The advice, in the words in which it is given.
ADVICE = re.compile(r"worker.connections`?\s+(=|near|to)\s+`?threads")


def parsed(*flags: str) -> tuple[Experiment, tuple[str, ...]]:
    parser = OneLineParser(prog="test")
    arguments.add_experiment_arguments(parser)
    return arguments.experiment_from(parser.parse_args(flags))


def notices(*flags: str) -> tuple[str, ...]:
    return parsed(*flags)[1]


def test_the_release_is_written_in_one_place() -> None:
    written = [
        path.relative_to(ROOT).as_posix()
        for package in ("sim", "site_docs", "reference_app")
        for path in (ROOT / package).rglob("*.py")
        if f'"{NEWEST}"' in path.read_text(encoding="utf-8")
    ]
    assert written == ["sim/experiment/release.py"]


def test_every_behaviour_is_a_field_and_begins_with_the_oldest_release() -> None:
    assert set(BEHAVIOURS) == {field.name for field in fields(Release)} - {"number"}
    for name, changes in BEHAVIOURS.items():
        since = [KNOWN.index(change.since) for change in changes]
        begins = TRAITS["asgi"].since if name.startswith("asgi") else KNOWN[0]
        assert since[0] == KNOWN.index(begins), name
        assert since == sorted(set(since)), name
        values = [change.value for change in changes]
        assert all(old != new for old, new in pairwise(values)), name


def test_the_lines_of_source_stand_in_the_release_that_is_installed_here() -> None:
    """What began with another release can only be held to that one."""
    import gunicorn  # noqa: PLC0415

    here = [
        change
        for changes in BEHAVIOURS.values()
        for change in changes
        if change.since == gunicorn.__version__
    ]
    assert here
    for change in here:
        text = Path(gunicorn.__file__).parent.joinpath(change.file).read_text(encoding="utf-8")
        assert text.splitlines()[change.line - 1].strip() == change.source


@pytest.mark.parametrize(
    "group",
    [
        ("20.1.0",),
        ("21.1.0", "21.2.0"),
        ("22.0.0", "23.0.0"),
        ("24.0.0",),
        ("24.1.0", "24.1.1"),
        ("25.0.0", "25.0.1"),
        ("25.0.2", "25.0.3", "25.1.0"),
        ("25.2.0", "25.3.0"),
        ("26.0.0",),
        ("26.1.0", "26.2.0"),
        ("27.0.0",),
        ("27.0.1",),
    ],
)
def test_releases_whose_source_is_the_same_behave_the_same(group: tuple[str, ...]) -> None:
    assert {alike(number) for number in group} == {group}


def test_what_changed_with_the_loop_changed_with_it() -> None:
    """The model has the old loop as a whole, and chooses it by one of these."""
    for number in KNOWN:
        known = release(number)
        old = (
            known.at_limit == "wait for futures",
            known.finished_by == "pool thread",
            known.stop_seen == "within 1 s",
            known.stopping == "wait for futures",
            known.idle_at_stop == "drop",
        )
        assert len(set(old)) == 1, number


@pytest.mark.parametrize("number", ["19.9.0", "21.0.1", "23", "28.0.0", "", "newest"])
def test_what_is_not_known_is_refused_with_the_list(number: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        parsed("--gunicorn", number)
    assert str(refused.value) == (
        f"command line: gunicorn is {number!r}; expected one of the releases that the model "
        f"knows: {', '.join(KNOWN)}"
    )


def test_a_release_is_named_once() -> None:
    with pytest.raises(ExperimentError, match="--gunicorn is given 2 times; expected one release"):
        parsed("--gunicorn", "23.0.0", "--gunicorn", "24.0.0")


def test_the_release_comes_from_the_flag_then_the_file_then_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf, file = tmp_path / "gunicorn.conf.py", tmp_path / "a.toml"
    conf.write_text("workers = 2\n", encoding="utf-8")
    file.write_text('[server]\ngunicorn = "25.3.0"\n', encoding="utf-8")
    monkeypatch.setattr(gunicorn, "__version__", "22.0.0")

    def release_of(*flags: str) -> str:
        return parsed(*flags)[0].server.gunicorn

    assert release_of() == NEWEST
    assert release_of("--config", str(conf)) == "22.0.0"
    assert release_of("--config", str(conf), "--experiment", str(file)) == "25.3.0"
    assert release_of("--experiment", str(file)) == "25.3.0"
    assert release_of("--experiment", str(file), "--gunicorn", "23.0.0") == "23.0.0"
    assert release_of("--config", str(conf), "--gunicorn", "23.0.0") == "23.0.0"


def test_a_configuration_says_which_release_it_is_taken_to_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("workers = 2\n", encoding="utf-8")
    assert notices("--config", str(conf)) == ()
    monkeypatch.setattr(gunicorn, "__version__", "23.0.0")
    assert notices("--config", str(conf)) == (
        "The configuration runs on Gunicorn 23.0.0, which is installed here; --gunicorn names "
        "another release.",
    )
    assert notices("--config", str(conf), "--gunicorn", "24.1.1") == ()
    monkeypatch.setattr(gunicorn, "__version__", "27.3.0")
    (notice,) = notices("--config", str(conf))
    assert notice.startswith("Gunicorn 27.3.0 is installed here, which the model does not know")


def test_only_another_release_than_the_predicted_one_is_worth_a_notice() -> None:
    assert installed_notices(importlib.metadata.version("gunicorn"), NEWEST) == ()
    assert installed_notices(None, NEWEST) == ()
    assert installed_notices("23.0.0", "24.1.1") == (
        "Gunicorn 23.0.0 is installed here; predictions are of 24.1.1.",
    )


@pytest.mark.parametrize(
    ("flags", "limit"),
    [
        (("-k", "gthread", "--worker-connections", "1"), True),
        (("-k", "gthread", "--threads", "4"), False),
        (("-k", "gthread", "--worker-connections", "2000"), False),
        (("-k", "sync", "--worker-connections", "1"), False),
    ],
)
def test_a_limit_names_the_releases_that_it_is_for(flags: tuple[str, ...], *, limit: bool) -> None:
    found = [notice for notice in notices(*flags) if notice.startswith("A limit on")]
    assert len(found) == limit
    for notice in found:
        assert f"Gunicorn {LIMIT_SAFE}, not for {LIMIT_UNSAFE}" in notice


def test_several_servers_get_one_notice() -> None:
    servers = [Server(worker_class="gthread", worker_connections=number) for number in (1, 2, 1000)]
    assert len(limit_notices(servers)) == 1


def test_the_notice_has_the_numbers_that_were_measured() -> None:
    measured = {(m.gunicorn, m.workers, m.threads, m.limit): m for m in limited.read()}
    none = measured["23.0.0", 4, 1, 1]
    slow, free = measured["23.0.0", 2, 2, 2], measured["23.0.0", 2, 2, None]
    assert f"answered {none.answered} of {none.requests} requests" in LIMIT_MEASURED
    assert f"took {slow.median_ms} ms in the median, {free.median_ms} ms" in LIMIT_MEASURED


def test_a_limit_is_safe_where_connections_cannot_starve() -> None:
    for row in limited.read():
        if row.limit is not None:
            fine = row.answered == row.requests and (row.median_ms or 0) < 500
            assert fine is not release(row.gunicorn).may_starve, row


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_advice_to_limit_connections_names_its_releases(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for paragraph in re.split(r"\n\s*\n", text):
        if ADVICE.search(paragraph.replace("\\\n", "")):
            assert re.search(r"24\s+and\s+later|24 or later|21\s+to\s+23", paragraph), paragraph


def test_the_advice_is_found_in_every_form() -> None:
    for words in ("`worker_connections = threads`", "`worker_connections` = `threads`"):
        assert ADVICE.search(words)
    assert ADVICE.search("`worker_connections` near\n`threads`")
    assert ADVICE.search("`--worker-connections` to `threads`")


@pytest.mark.parametrize("name", ["trouble.md", "faq/how-does-load-balancing-work.md"])
def test_every_page_says_which_release_it_is_about(name: str) -> None:
    page = SimpleNamespace(meta={}, url=name, file=SimpleNamespace(src_path=name, src_uri=name))
    text = hooks.on_page_markdown("# A\n\nText\n", page, MkDocsConfig(), Files([]))  # type: ignore[arg-type]
    head, about, *_ = text.split("\n\n")[0].splitlines() + text.split("\n\n")[1].splitlines()
    assert head == "# A"
    assert about.startswith(f"About Gunicorn {NEWEST}. On 21 to 23, ")
    assert "choosing.md#which-releases-may-limit-connections" in text
