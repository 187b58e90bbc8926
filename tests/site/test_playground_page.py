"""The playground in a real browser: what a reader does, and what comes of it.

One page is opened, and each test goes on with it at another address. Numbers
are compared with those of the command.
"""

from __future__ import annotations

import contextlib
import gzip
import html
import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE, served, watch
from playwright.sync_api import Browser, FilePayload, Page, expect
from site_looks import look

from sim.cli import main
from sim.reading import disturbance_flag, gunicorn_config
from site_docs.playground import assets, sources
from site_docs.playground.address import address
from site_docs.playground.in_page import experiment_of
from site_docs.runs.page_experiments import by_name

#: Bytes that the first visit may load, from a server that compresses nothing.
MOST_BYTES = 15e6

FEW = "replications=2&duration=5"

CONFIGURATION = """
import os
workers = int(os.environ.get("WEB_CONCURRENCY", 3))
threads = 2 * 2
timeout = 60
reuse_port = True
worker_connections = secrets["connections"]
accesslog = "-"
"""

LOG = "".join(
    f'10.0.0.1 - - [28/Nov/2026:10:00:{number // 20:02} +0000] "GET / HTTP/1.1" 200 12 "-" "curl" '
    f"{0.04 + number % 7 / 100:.6f}\n"
    for number in range(200)
)


def command(line: str) -> dict[str, Any]:
    """What ``python -m sim --json`` prints for a copied command."""
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "sim"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        main([*words[3:], "--json"])
    document: dict[str, Any] = json.loads(printed.getvalue())
    return document


@pytest.fixture(scope="module")
def troubles() -> list[str]:
    """Errors on the console, what the page's policy refused, and requests that went elsewhere."""
    return []


@pytest.fixture(scope="module")
def loaded() -> list[str]:
    """Addresses that were loaded, from the first visit of the site on."""
    return []


@pytest.fixture(scope="module")
def page(browser: Browser, base: str, troubles: list[str], loaded: list[str]) -> Iterator[Page]:
    """The browser's page; it may write to the clipboard."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base)
        page = context.new_page()
        watch(page, base, troubles)
        expect.set_options(timeout=1000 * PATIENCE)
        page.on("requestfinished", lambda request: loaded.append(request.url))
        yield page


def go(page: Page, base: str, state: str) -> None:
    """Go to an experiment in the playground, and wait for its last numbers.

    Once the model is loaded, it stays: only the part of the address behind ``#`` changes.
    """
    if not page.url.startswith(f"{base}playground/"):
        page.goto(f"{base}playground/#{state}")
        settle(page)
        return
    with answered(page):
        page.evaluate(
            """(state) => {
              document.querySelectorAll("#pg .pg-more").forEach((each) => { each.open = false; });
              history.replaceState(null, "", "#another");
              location.hash = state;
            }""",
            state,
        )


def settle(page: Page) -> None:
    """Wait until all replications of what the address says are predicted."""
    page.wait_for_function(
        "() => document.querySelector('#pg')?.dataset.answered === location.hash.slice(1)"
    )


@contextlib.contextmanager
def answered(page: Page) -> Iterator[None]:
    """Wait for the answer to what is changed in the block."""
    page.evaluate("delete document.querySelector('#pg').dataset.answered")
    yield
    settle(page)


def seconds(page: Page, side: int = 0) -> dict[str, float]:
    """The latencies that the table shows, s, by measure."""
    cells = page.locator("td[data-measure]").evaluate_all(
        "all => all.map(({ dataset }) => [dataset.measure, Number(dataset.seconds)])"
    )
    measures = [name for name, _ in cells]
    sides = measures.count(measures[0])
    return {name: value for number, (name, value) in enumerate(cells) if number % sides == side}


def copied(page: Page, button: str) -> str:
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(".pg-copied")).to_have_text("Copied.")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def shown(document: dict[str, Any]) -> dict[str, float]:
    return {name: document["latency_s"][name] for name in ("mean", "p50", "p95", "p99")}


def test_the_surprises_are_guessed_first_and_then_played(page: Page, base: str) -> None:
    page.goto(base)
    boxes = page.locator("[data-choices]")
    assert boxes.count() == 3
    for box in boxes.all():
        link = box.get_by_role("link", name="Play it")
        expect(link).to_be_hidden()
        choices = box.get_by_role("button")
        assert choices.count() == 3
        right = int(box.get_attribute("data-answer") or "")
        choices.nth(right).focus()
        page.keyboard.press("Enter")
        expect(box.locator(".guessed")).to_contain_text("Right.")
        expect(box.locator(".guessed")).to_be_focused()
        expect(link).to_be_visible()
    page.reload()
    first = boxes.first
    first.get_by_role("button").first.click()
    expect(first.locator(".guessed")).to_contain_text("No:")
    first.get_by_role("link", name="Play it").click()
    settle(page)
    assert page.get_by_label("Workers", exact=True).input_value() == "4"


def test_the_first_visit_is_small(page: Page, base: str, site: Path, loaded: list[str]) -> None:
    go(page, base, FEW)
    files = {url.partition("#")[0].removeprefix(base) for url in loaded}
    assert f"{assets.SITE}/pyodide/{assets.WASM}.packed" in files
    sizes = [
        site / file / ("index.html" if not file or file.endswith("/") else "") for file in files
    ]
    assert sum(path.stat().st_size for path in sizes if path.is_file()) < MOST_BYTES


def test_the_rest_of_the_site_loads_none_of_it(site: Path) -> None:
    others = [path for path in site.rglob("*.html") if path.parent.name != "playground"]
    assert len(others) > 10
    # An article has the picture, without the model.
    parts = [f"{assets.SITE}/{name}" for name in ("page", "worker", "pyodide", "style")]
    for path in others:
        text = path.read_text(encoding="utf-8")
        assert [part for part in parts if part in text] == [], path


def test_the_numbers_are_those_of_the_copied_command(page: Page, base: str) -> None:
    go(page, base, "workers=2&threads=2&rate=40&io=lognorm:0.05,1.5&replications=3&duration=10")
    line = copied(page, "Copy as command")
    document = command(line)
    assert seconds(page) == shown(document)
    assert document["experiment"]["traffic"]["io"] == "lognorm:0.05,1.5"


def test_every_control_changes_the_command_and_the_address(page: Page, base: str) -> None:
    go(page, base, FEW)
    page.get_by_label("Gunicorn", exact=True).select_option("24.1.1")
    page.get_by_label("Workers", exact=True).fill("3")
    page.get_by_label("Threads of each", exact=True).fill("4")
    page.get_by_label("worker_connections", exact=True).fill("4")
    page.get_by_label("preload_app").check()
    page.get_by_label("reuse_port").check()
    page.get_by_label("Cores of the host", exact=True).fill("4")
    page.get_by_label("CPU limit, cores").fill("2.5")
    page.get_by_label("The service has a LaunchDarkly client").check()
    page.get_by_label("Its latency, ms").fill("250")
    page.get_by_label("Requests per second", exact=True).fill("70.5")
    page.get_by_label("A request waits (I/O): shape").select_option("bimodal")
    page.get_by_label("It computes (holds the GIL): ms").fill("2")
    page.get_by_label("Connections", exact=True).select_option("keepalive")
    with answered(page):
        page.get_by_label("Disturbances: add one").select_option("10 signal HUP master")
    line = copied(page, "Copy as command")
    assert line == (
        "python -m sim --replications 2 --duration 5 --gunicorn 24.1.1 --workers 3 --threads 4 "
        "--worker-connections 4 --preload --reuse-port --cores 4 --cpu-limit 2.5 --launchdarkly "
        "--launchdarkly-latency 0.25 --rate 70.5 --io bimodal:0.9,0.025,0.275 --cpu const:0.002 "
        "--connection keepalive --disturb '10 signal HUP master'"
    )
    assert seconds(page) == shown(command(line))
    link = copied(page, "Copy link")
    assert "#replications=2&duration=5&gunicorn=24.1.1&workers=3" in link
    go(page, base, FEW)
    go(page, base, link.partition("#")[2])
    assert copied(page, "Copy as command") == line


def test_a_change_stays_when_an_earlier_one_is_understood(page: Page, base: str) -> None:
    """The second comes when the first is on its way to the model, whose answer has not got it."""
    go(page, base, FEW)
    labels = ("Workers", "preload_app")
    controls = [page.get_by_label(label, exact=True).element_handle() for label in labels]
    with answered(page):
        checked = page.evaluate(
            """async ([workers, preload]) => {
              workers.value = "3";
              workers.dispatchEvent(new Event("input", { bubbles: true }));
              workers.dispatchEvent(new Event("change", { bubbles: true }));
              await new Promise((go) => setTimeout(go, 125));
              preload.click();
              const seen = [];
              for (let number = 0; number < 30; number += 1) {
                await new Promise(requestAnimationFrame);
                seen.push(preload.checked);
              }
              return seen;
            }""",
            controls,
        )
    assert checked == [True] * 30


def test_a_proxy_stands_in_front_and_goes(page: Page, base: str) -> None:
    go(page, base, f"workers=1&threads=4&{FEW}")
    keepalive = page.get_by_label("Idle connections that it keeps to Gunicorn")
    expect(keepalive).to_be_hidden()
    with answered(page):
        page.get_by_label("In front of Gunicorn").select_option("nginx")
    with answered(page):
        keepalive.fill("8")
    line = copied(page, "Copy as command")
    assert line.endswith("--proxy nginx --proxy-keepalive 8")
    assert seconds(page) == shown(command(line))
    with answered(page):
        page.get_by_label("In front of Gunicorn").select_option("none")
    assert "--proxy" not in copied(page, "Copy as command")


def test_routes_replace_the_demand_of_all_requests(page: Page, base: str) -> None:
    go(page, base, f"workers=2&threads=2&{FEW}&rate=20&io=exp:0.02")
    demand = page.get_by_label("A request waits (I/O): shape")
    expect(demand).to_be_visible()
    with answered(page):
        page.get_by_label("Kinds of requests (routes): add one").select_option(index=1)
    expect(demand).to_be_hidden()
    line = copied(page, "Copy as command")
    assert "--io" not in line
    first, second = command(line)["routes"]
    assert (first["route"], second["route"]) == ("/report", "/")
    table = page.get_by_role("table", name=re.compile("^Routes"))
    row = table.locator("tr", has=page.get_by_role("rowheader", name="/", exact=True))
    mean = float(row.get_by_role("cell").first.inner_text())
    assert mean == pytest.approx(1000 * second["latency_s"]["mean"], rel=0.01)
    remove = page.get_by_role("button", name="Remove: /")
    remove.first.click()
    expect(page.get_by_role("alert")).to_contain_text("share")
    with answered(page):
        remove.click()
    expect(demand).to_be_visible()


def test_probes_are_added_counted_and_removed(page: Page, base: str) -> None:
    go(page, base, f"workers=2&threads=2&{FEW}&rate=20")
    with answered(page):
        page.get_by_label("Probes: add one").select_option(index=1)
    line = copied(page, "Copy as command")
    assert line.endswith("--probe 'liveness period=10 timeout=1 failure_threshold=3'")
    kubelet = command(line)["kubelet"]
    assert kubelet["probes"][0]["probes"] > 0
    row = page.get_by_role("row", name=re.compile("^failed probes"))
    number = kubelet["probes"][0]["probes"]
    expect(row.get_by_role("cell").first).to_have_text(f"liveness 0.0 of {number:.1f}")
    with answered(page):
        page.get_by_role("button", name=re.compile("^Remove: liveness")).click()
    expect(row).to_be_hidden()


def test_a_page_full_of_results_looks_well(page: Page, base: str, screenshots: Path | None) -> None:
    trouble = "preload&launchdarkly&disturb=2+signal+KILL+worker+1&probe=liveness+period%3D10"
    routes = "route=/a+share=.5+io=exp:.02&route=/b+share=.5+io=exp:.04"
    side = f"workers=2&threads=2&rate=20&{trouble}&{routes}&{FEW}"
    go(page, base, f"{side}&B&{side}&sent=1")
    expect(page.locator("canvas")).to_be_visible()
    before = page.viewport_size
    assert before is not None
    looks = look(page, None if screenshots is None else screenshots / "playground")
    page.set_viewport_size(before)
    page.emulate_media(color_scheme="light")
    page.wait_for_selector('body[data-md-color-scheme="default"]')
    assert looks.axe == []
    assert looks.too_wide == []


def test_the_command_is_shown_as_it_is_copied(page: Page, base: str) -> None:
    go(page, base, f"workers=2&{FEW}&B&workers=4&{FEW}")
    shown = page.locator(".pg-copies code")
    assert shown.inner_text() == copied(page, "Copy as command")
    page.emulate_media(media="print")
    # On paper there is nothing to press.
    expect(shown).to_be_visible()
    expect(page.locator(".pg-numbers-table").first).to_be_visible()
    expect(page.get_by_role("button").locator("visible=true")).to_have_count(0)
    expect(page.locator("#pg :is(input, select)").locator("visible=true")).to_have_count(0)
    page.emulate_media(media="screen")


def test_everything_that_the_page_offers_to_go_wrong_is_understood(page: Page, base: str) -> None:
    go(page, base, FEW)
    options = page.get_by_label("Disturbances: add one").locator("option")
    lines = [line for line in options.evaluate_all("all => all.map(({ value }) => value)") if line]
    assert len(lines) > 5
    assert {disturbance_flag.parse(line).at for line in lines} == {10.0}


def test_two_servers_get_the_same_requests(page: Page, base: str) -> None:
    go(page, base, f"workers=2&threads=2&{FEW}&B&workers=1&threads=4&{FEW}")
    a, b = copied(page, "Copy as command").splitlines()
    assert seconds(page, 0) == shown(command(a))
    assert seconds(page, 1) == shown(command(b))
    with answered(page):
        page.get_by_role("button", name="B", exact=True).click()
        page.get_by_label("Requests per second", exact=True).fill("30")
    assert page.get_by_label("Threads of each", exact=True).input_value() == "4"
    both = copied(page, "Copy as command").splitlines()
    assert all("--rate 30" in line for line in both)
    with answered(page):
        page.get_by_label("Workers", exact=True).fill("2")
    assert copied(page, "Copy as command").splitlines() == [
        both[0],
        both[1].replace("--workers 1", "--workers 2"),
    ]


def test_an_example_is_opened_and_its_values_are_shown(page: Page, base: str) -> None:
    go(page, base, "experiment=experiments/worker-killed.toml&replications=2")
    assert page.get_by_label("Requests per second", exact=True).input_value() == "30"
    assert page.get_by_label("preload_app").is_checked()
    assert seconds(page) == shown(command(copied(page, "Copy as command")))


def test_what_is_refused_is_said_and_the_page_goes_on(page: Page, base: str) -> None:
    go(page, base, FEW)
    page.get_by_label("Workers", exact=True).fill("0")
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text("workers is 0; expected")
    with answered(page):
        page.get_by_label("Workers", exact=True).fill("2")
    expect(refusal).to_be_hidden()


def test_links_of_other_pages_open_their_experiments(site: Path) -> None:
    states = {
        html.unescape(link)
        for path in site.rglob("*.html")
        for link in re.findall(r'playground/#([^"]+)"', path.read_text(encoding="utf-8"))
    }
    expected = {
        address(shlex.split(shown.arguments)).partition("#")[2]: shown
        for shown in by_name().values()
    }
    pairs = {state for state in states if "&B&" in state}
    assert pairs, "the home page compares two servers"
    states = {side for state in states for side in state.split("&B&")}
    assert len(states) > 40
    assert states <= set(expected)
    for trouble in ("worker-killed", "reload", "client-retries", "upgrade", "scale-down"):
        assert f"experiment=experiments/{trouble}.toml" in states
    # The page reads them as they were meant.
    done = subprocess.run(
        assets.node("addresses.mjs"),
        input=json.dumps({"about": json.loads(sources.about()), "states": sorted(states)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for state, sides in zip(sorted(states), json.loads(done.stdout), strict=True):
        (words,) = sides
        experiment, _ = experiment_of((*words, "--replications", "1"))
        assert experiment == expected[state].experiment(), state


def test_a_configuration_is_read_and_not_run(page: Page, base: str, tmp_path: Path) -> None:
    go(page, base, FEW)
    page.get_by_text("Paste a gunicorn.conf.py").click()
    page.get_by_label("A gunicorn.conf.py", exact=True).fill(CONFIGURATION)
    with answered(page):
        page.get_by_role("button", name="Read it").click()
    line = copied(page, "Copy as command")
    assert line.endswith("--workers 3 --threads 4 --timeout 60 --reuse-port")
    text = page.locator(".pg-more", has_text="Paste a gunicorn.conf.py").inner_text()
    assert "not literal, so not read: worker_connections" in text
    assert "WEB_CONCURRENCY" in text
    assert "accesslog" in text
    # What is copied is a file that says the same.
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(copied(page, "Copy as gunicorn.conf.py"), encoding="utf-8")
    read = gunicorn_config.read(str(path))
    assert read.settings == {
        "workers": 3,
        "threads": 4,
        "worker_class": "gthread",
        "timeout": 60,
        "reuse_port": True,
    }


@pytest.mark.parametrize("zipped", [False, True], ids=("plain", "gzipped"))
def test_an_access_log_is_replayed(zipped: bool, page: Page, base: str, tmp_path: Path) -> None:
    go(page, base, "replications=2&rate=40")
    name = "web.log.gz" if zipped else "web.log"
    content = gzip.compress(LOG.encode()) if zipped else LOG.encode()
    page.get_by_text("Drop an access log").click()
    with answered(page):
        page.get_by_label("An access log").set_input_files(
            FilePayload(name=name, mimeType="text/plain", buffer=content)
        )
    line = copied(page, "Copy as command")
    path = tmp_path / ("access.log.gz" if zipped else "access.log")
    assert line == f"python -m sim --replications 2 --access-log {path.name}"
    path.write_bytes(content)
    assert seconds(page) == shown(command(line.replace(path.name, str(path))))
    assert page.get_by_label("Requests per second", exact=True).is_disabled()
    with answered(page):
        page.get_by_role("button", name="Use made-up requests again").click()
    assert page.get_by_label("Requests per second", exact=True).is_enabled()


def test_a_long_run_shows_progress_stops_and_never_freezes(page: Page, base: str) -> None:
    go(page, base, FEW)
    page.get_by_text("Other flags").click()
    line = page.get_by_label(re.compile("Other flags of the command"))
    line.fill("--duration 600 --replications 500")
    line.press("Enter")
    expect(page.locator(".pg-status")).to_contain_text(re.compile(r"Replication [1-9]\d* of 500"))
    page.get_by_role("button", name="Stop").click()
    status = page.locator(".pg-status")
    expect(status).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    # It was pressed while the model ran: a page that waits for it would have all replications.
    found = re.search(r"(\d+) replications?", status.inner_text())
    assert found is None or int(found[1]) < 500
    line.fill("--duration 5 --replications 2")
    with answered(page):
        line.press("Enter")


def test_a_long_replication_shows_its_progress_and_stops_at_once(page: Page, base: str) -> None:
    go(page, base, FEW)
    workers = page.workers
    page.get_by_text("Other flags").click()
    line = page.get_by_label(re.compile("Other flags of the command"))
    # An hour and a half of the model's time, and half a minute of the reader's.
    line.fill("--duration 5400 --rate 70 --replications 1")
    line.press("Enter")
    status, bar = page.locator(".pg-status"), page.get_by_role("progressbar")
    expect(status).to_have_text(re.compile(r"Replication 1 of 1, [1-9]\d? %"))
    before = float(bar.evaluate("(each) => each.value"))
    page.wait_for_function(
        "(before) => document.querySelector('progress').value > before", arg=before
    )
    page.get_by_role("button", name="Stop").click()
    expect(status).to_contain_text("Stopped in the first replication")
    line.fill("--duration 5 --rate 40 --replications 2")
    with answered(page):
        line.press("Enter")
    # The same worker answers: no other had to be loaded.
    assert page.workers == workers


def test_the_picture_disturbs_the_experiment(page: Page, base: str) -> None:
    go(page, base, f"workers=2&threads=2&preload&{FEW}")
    with answered(page):
        page.get_by_role("button", name="Kill it").click()
    assert "signal KILL worker 1" in copied(page, "Copy as command")
    with answered(page):
        page.get_by_role("button", name=re.compile("^Remove: ")).click()
    assert "KILL" not in copied(page, "Copy as command")


def answers_at_the_end(page: Page) -> int:
    """Requests that are answered by the end of the run, as the picture has it."""
    page.get_by_role("slider", name="Time", exact=True).press("End")
    found = re.search(r"(\d+) answered", page.locator(".moving-now").inner_text())
    assert found is not None
    return int(found[1])


def test_requests_that_the_reader_sends_are_in_the_address(page: Page, base: str) -> None:
    start = f"workers=2&threads=2&preload&rate=15&duration=3&{FEW}"
    go(page, base, start)
    slider = page.get_by_role("slider", name="Time", exact=True)
    before = answers_at_the_end(page)
    for moment in ("0.5", "0.25"):
        slider.fill(moment)
        with answered(page):
            page.get_by_role("button", name="Send a request").click()
    state = f"{start}&sent=0.25,0.5"
    assert page.url.partition("#")[2] == state
    assert answers_at_the_end(page) == before + 2
    # They stay when something is done to the server later.
    slider.fill("2.5")
    with answered(page):
        page.get_by_role("button", name="HUP to the master").click()
    assert answers_at_the_end(page) == before + 2
    link = copied(page, "Copy link")
    assert link.endswith("&disturb=2.5+signal+HUP+master&sent=0.25,0.5")
    page.get_by_role("button", name="Copy as command").click()
    expect(page.locator(".pg-copied")).to_contain_text("without the requests that you sent")


def test_a_closed_loop_takes_no_request_besides(page: Page, base: str) -> None:
    go(page, base, FEW)
    page.evaluate("(state) => { location.hash = state; }", f"arrivals=closed&{FEW}&sent=0.5")
    expect(page.get_by_role("alert")).to_contain_text("expected an open loop")
    with answered(page):
        page.get_by_role("button", name="Remove: 0.5 s").click()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_keyboard_reaches_and_works_every_control(page: Page, base: str) -> None:
    go(page, base, FEW)
    page.locator("#pg-example").focus()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                  const { activeElement: element } = document;
                  return element.closest("#pg") === null ? "" :
                    (element.labels?.[0]?.textContent || element.ariaLabel || element.textContent);
                }"""
            ).strip()
        )
    for name in ("Workers", "reuse_port", "Connections", "Other flags", "Play", "Copy link"):
        assert name in reached, reached
    page.get_by_label("Workers, slider").focus()
    with answered(page):
        page.keyboard.press("ArrowRight")
    assert page.get_by_label("Workers", exact=True).input_value() == "2"


def test_a_link_is_opened_on_a_telephone_and_touch_works_the_controls(
    page: Page, base: str
) -> None:
    sent = f"workers=2&threads=2&rate=15&{FEW}&disturb=2.5+signal+HUP+master&sent=0.25,0.5"
    go(page, base, sent)
    requests = answers_at_the_end(page)
    link = copied(page, "Copy link")
    browser = page.context.browser
    assert browser is not None
    with browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    ) as context:
        phone = context.new_page()
        phone.set_default_timeout(1000 * PATIENCE)
        # Another reader, who has seen nothing before, sees the same, and takes a request back.
        phone.goto(link)
        settle(phone)
        assert answers_at_the_end(phone) == requests
        phone.locator(".pg-group > summary", has_text="Requests").tap()
        with answered(phone):
            phone.get_by_role("button", name="Remove: 0.25 s").tap()
        assert answers_at_the_end(phone) == requests - 1
        assert phone.url.endswith("&sent=0.5")
        with answered(phone):
            phone.get_by_label("preload_app").tap()
        assert "preload" in phone.url
        assert phone.locator(".pg-brief").is_visible()
        assert phone.evaluate("document.documentElement.scrollWidth") == 360
        targets = phone.locator("#pg :is(button, input, select):visible")
        heights = targets.evaluate_all(
            "all => all.map((each) => (each.closest('label') ?? each)"
            ".getBoundingClientRect().height)"
        )
        # WCAG 2.2, 2.5.8: 24 px.
        assert min(heights) >= 24


def test_nothing_was_logged_or_fetched_elsewhere(page: Page, troubles: list[str]) -> None:
    assert page.url
    assert troubles == []


def test_the_worker_has_the_policy_of_its_page(page: Page, base: str, tmp_path: Path) -> None:
    go(page, base, FEW)
    # The other one is the search's.
    (worker,) = [worker for worker in page.workers if worker.url.startswith("blob:")]
    with served(tmp_path) as other:
        refused = worker.evaluate(
            """(url) => new Promise((resolve) => {
              addEventListener("securitypolicyviolation", (event) => {
                resolve([event.effectiveDirective, event.blockedURI]);
              }, { once: true });
              fetch(url).catch(() => {});
            })""",
            other,
        )
    assert refused == ["connect-src", other]
