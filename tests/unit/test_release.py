"""Which release everything speaks of, and which releases an advice is for."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files

from sim.experiment import Server, release
from sim.experiment.release import (
    LIMIT_MEASURED,
    LIMIT_SAFE,
    LIMIT_UNSAFE,
    MODELLED_RELEASE,
    limit_notices,
    release_notices,
)
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


def notices(*flags: str) -> tuple[str, ...]:
    parser = OneLineParser(prog="test")
    arguments.add_experiment_arguments(parser)
    return arguments.experiment_from(parser.parse_args(flags))[1]


def test_the_release_is_written_in_one_place() -> None:
    written = [
        path.relative_to(ROOT).as_posix()
        for package in ("sim", "site_docs", "reference_app")
        for path in (ROOT / package).rglob("*.py")
        if f'"{MODELLED_RELEASE}"' in path.read_text(encoding="utf-8")
    ]
    assert written == ["sim/experiment/release.py"]


def test_the_installed_gunicorn_is_the_modelled_one() -> None:
    assert release_notices(importlib.metadata.version("gunicorn")) == ()


@pytest.mark.parametrize(
    ("installed", "modelled"), [("27.0", True), ("27.3.1", True), ("23.0.0", False), ("2.7", False)]
)
def test_another_major_version_is_not_the_modelled_one(installed: str, *, modelled: bool) -> None:
    assert release.is_modelled(installed) is modelled
    assert len(release_notices(installed)) == (not modelled)


def test_a_configuration_beside_another_release_gets_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("workers = 2\n", encoding="utf-8")
    assert notices("--config", str(conf)) == ()
    monkeypatch.setattr(arguments, "version", lambda _: "23.0.0")
    (notice,) = notices("--config", str(conf))
    assert notice.startswith("Gunicorn 23.0.0 is installed here; predictions are of Gunicorn 27.0")


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


def test_a_limit_is_safe_on_the_modelled_release_only() -> None:
    for row in limited.read():
        if row.limit is not None:
            fine = row.answered == row.requests and (row.median_ms or 0) < 500
            assert fine is release.is_modelled(row.gunicorn), row


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
    assert about.startswith(f"About Gunicorn {MODELLED_RELEASE}. On 21 to 23, ")
    assert "choosing.md#which-releases-may-limit-connections" in text
