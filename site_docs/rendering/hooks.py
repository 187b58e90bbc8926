"""MkDocs' hooks: pages are rendered from the data, and charts and diagrams put into them."""

from __future__ import annotations

import json
import posixpath
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

from sim.errors import ExperimentError
from sim.experiment.release import NEWEST
from sim.experiment.release_notices import LIMIT_UNSAFE
from site_docs.assertions import statements
from site_docs.charts import catalogue
from site_docs.rendering import (
    campaigns,
    class_validation,
    example_report,
    host_cells,
    language,
    mutation_score,
    playground,
    policy,
    release_validation,
    sample_validation,
    validated,
)
from site_docs.rendering.prepare import prepare
from site_docs.runs import bad_gateways, coverage, measured
from site_docs.runs.moving import moving

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_CHART = re.compile(r'<div data-chart="([\w-]+)"></div>')
_MOVING = re.compile(r'data-moving="([\w-]+)"')
_DIAGRAM = re.compile(r'<div data-diagram="([\w-]+)"></div>')
#: The theme's search, which has no name for a screen reader.
_SEARCH = 'data-md-component="search" role="dialog"'

#: A heading of a table that says nothing.
_EMPTY_HEADING = re.compile(r"<th([^>]*)></th>")

#: A page's title.
_TITLE = re.compile(r"^# .+\n", re.MULTILINE)

#: Pages on which the reader chooses the release: no line says which one they are about.
ANY_RELEASE = frozenset({"playground.md"})

_FROM_ROOT = re.compile(r'href="([^"]+)" data-root')


#: Whether ``mkdocs serve`` puts its own script into pages, to reload them.
_reloads = False


def on_startup(*, command: str, dirty: bool) -> None:  # noqa: ARG001 - MkDocs's own
    """Note whether the pages are built to be served by MkDocs."""
    global _reloads  # noqa: PLW0603 - MkDocs says it once, before it reads the configuration
    _reloads = command == "serve"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Say at the foot of each page which versions it is about."""
    config.copyright = f"gunicorn-sim {version('gunicorn-sim')}, about Gunicorn {NEWEST}"
    return config


def on_pre_build(config: MkDocsConfig) -> None:  # noqa: ARG001 - MkDocs's own
    """Predict and draw on all processors, before the pages are made one after the other."""
    try:
        prepare()
    except ExperimentError as error:
        raise PluginError(str(error)) from None


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Publish what was measured, as it is."""
    for path in sorted(measured.DIRECTORY.iterdir()):
        files.append(File.generated(config, f"data/measured/{path.name}", abs_src_path=str(path)))
    for path in (
        validated.FILE,
        *map(sample_validation.path_of, sample_validation.measured()),
        *map(release_validation.path_of, release_validation.measured()),
        *map(class_validation.path_of, class_validation.measured()),
        *host_cells.files(),
        coverage.DATA / "validation-xeon.jsonl",
        coverage.FILE,
        bad_gateways.FILE,
        campaigns.FILE,
        mutation_score.FILE,
    ):
        files.append(File.generated(config, f"data/{path.name}", abs_src_path=str(path)))
    files.append(File.generated(config, "data/validation.csv", content=validated.as_csv()))
    files.append(File.generated(config, example_report.URI, content=example_report.example()))
    for uri, source in playground.files().items():
        if isinstance(source, bytes):
            files.append(File.generated(config, uri, content=source))
        else:
            files.append(File.generated(config, uri, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Render the page from the data, and publish the data of its charts."""
    try:
        text = language.render(
            language.environment(), markdown, page.meta.get("holds", ()), page.file.src_path
        )
        for name in _CHART.findall(text):
            path = f"data/charts/{name}.json"
            if path not in files.src_uris:
                content = json.dumps(catalogue.draw(name).data, indent=1)
                files.append(File.generated(config, path, content=content))
        for name in _MOVING.findall(text):
            content = json.dumps(moving(name).document(), separators=(",", ":"))
            files.append(File.generated(config, f"data/pictures/{name}.json", content=content))
    except ExperimentError as error:
        raise PluginError(str(error)) from None
    text += statements.box(page.file.src_uri, statements.read()[0])
    if page.file.src_uri not in ANY_RELEASE:
        line = _about_release(page.file.src_uri)
        text = _TITLE.sub(lambda match: f"{match[0]}\n{line}\n", text, 1)
    return _FROM_ROOT.sub(lambda match: f'href="{_relative(match[1], page.url)}"', text)


def _relative(address: str, page: str) -> str:
    """An address from the root of the site as one from a page; what is behind ``#`` stays."""
    path, mark, rest = address.partition("#")
    return f"{get_relative_url(path, page)}{mark}{rest}"


def _about_release(page: str) -> str:
    """A line under a page's title: which release the page is about, and where others differ."""
    limits = posixpath.relpath("choosing.md", posixpath.dirname(page) or ".")
    return (
        f"About Gunicorn {NEWEST}. On {LIMIT_UNSAFE}, "
        f"[do not limit connections]({limits}#which-releases-may-limit-connections).\n"
        "{ .release }\n"
    )


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - MkDocs's
    """Put charts, diagrams and the policy in, where neither Markdown nor the search sees them."""
    output = output.replace(_SEARCH, f'{_SEARCH} aria-label="Search"')
    output = _EMPTY_HEADING.sub(r"<td\1></td>", output)
    output = _CHART.sub(lambda match: _both(match[1]), output)
    output = playground.mount(output)
    if _MOVING.search(output):
        output = playground.let_move(output, page.url)
    output = _DIAGRAM.sub(
        lambda match: (language.DIAGRAMS / f"{match[1]}.svg").read_text(encoding="utf-8"), output
    )
    return policy.protect(output, playground=playground.is_in(output), any_inline=_reloads)


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:  # noqa: ARG001 - MkDocs's
    """Protect pages that are made of no Markdown, such as that of a missing one."""
    if not template_name.endswith(".html"):
        return output_content
    return policy.protect(output_content, any_inline=_reloads)


def _both(name: str) -> str:
    drawn = catalogue.draw(name)
    return "".join(
        f'<div class="chart-{width}">{svg}</div>'
        for width, svg in (("wide", drawn.wide), ("narrow", drawn.narrow))
    )
