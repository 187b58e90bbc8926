"""What the playground costs a reader: s until the numbers, and the part of a frame of its picture.

``python tests/benchmarks/playground.py SITE``: one browser loads, in turn, a page of a built site
without a model, Pyodide alone, and the playground until it has its numbers. Then the reader changes
a setting, and CPython, interpreted, predicts the same. The last line is the picture: what drawing
200 requests takes of a frame.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from sim.compiled import INTERPRETED

# As in the page. It is read when the model is imported, below.
os.environ[INTERPRETED] = "1"

from browser import PATIENCE, launched, served
from playwright.sync_api import Browser, Page

from sim.analysis.picture import picture
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from site_docs.playground import assets, in_page

ROUNDS = 3

#: The experiment that the playground predicts, as its address has it.
FLAGS = {"workers": "2", "threads": "2", "rate": "40", "replications": "20"}

#: A page of the site without a model.
BARE = "glossary/"

#: s that the browser may take for anything.
LONGEST = 3 * PATIENCE

#: Starts Pyodide in a worker, as the playground does, and nothing else.
PYODIDE = """(folder) => new Promise((resolve, reject) => {
  const text = `
    const plain = fetch.bind(self);
    self.fetch = async (input, init) => {
      const url = String(input instanceof Request ? input.url : input);
      if (!url.endsWith(".wasm")) { return plain(input, init); }
      const response = await plain(url + ".packed", init);
      return new Response(response.body.pipeThrough(new DecompressionStream("gzip")),
        { headers: { "Content-Type": "application/wasm" } });
    };
    const { loadPyodide } = await import("${folder}pyodide/pyodide.mjs");
    await loadPyodide({ indexURL: "${folder}pyodide/", stdLibURL: "${folder}python_stdlib.zip" });
    postMessage("ready");`;
  const start = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(start, { type: "module" });
  worker.onmessage = () => resolve();
  worker.onerror = (event) => reject(new Error(event.message));
})"""

#: Whether the numbers of what the address says are there.
ANSWERED = "() => document.querySelector('#pg')?.dataset.answered === location.hash.slice(1)"

#: Draws 300 frames, each twice; gives the median time of a drawing, ms.
DRAW = """async (run) => {
  const { mountPicture } = await import("./picture.js");
  const picture = mountPicture(document.body, run, {});
  const costs = [];
  for (let frame = 0; frame < 300; frame += 1) {
    const began = performance.now();
    picture.seek(3 + frame / 600);
    picture.draw();
    costs.push((performance.now() - began) / 2);
  }
  return costs.sort((a, b) => a - b)[150];
}"""

#: 200 requests are in it at once.
CROWD = Experiment(
    Server(workers=4, threads=25, preload_app=True),
    traffic=Traffic(arrivals="closed", users=210, duration=8.0, io=Distribution("exp", (0.4,))),
)


def timed(run: Callable[[], object]) -> float:
    """S that it takes."""
    began = perf_counter()
    run()
    return perf_counter() - began


def state(workers: int) -> str:
    """The address of the experiment with so many workers."""
    return "&".join(
        f"{name}={value}" for name, value in (FLAGS | {"workers": str(workers)}).items()
    )


def in_a_fresh_page(browser: Browser, visit: Callable[[Page], object]) -> float:
    """S of a visit by a browser that has seen nothing before."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(1000 * LONGEST)
        return timed(lambda: visit(page))


def playground(page: Page, base: str) -> None:
    """Load the playground until it has its numbers."""
    page.goto(f"{base}playground/#{state(2)}")
    page.wait_for_function(ANSWERED)


def pyodide(page: Page, base: str) -> None:
    """Load a page without a policy, and Pyodide in its worker."""
    page.goto(f"{base}data/charts/")
    page.evaluate(PYODIDE, f"{base}{assets.SITE}/")


def change(page: Page, workers: int) -> None:
    """Change the number of workers, and wait for the numbers."""
    page.evaluate("(state) => { location.hash = state; }", state(workers))
    page.wait_for_function(ANSWERED)


def on_cpython(workers: int) -> None:
    """Predict the same here, with the page's own Python."""
    words = [f"--{name}={value}" for name, value in (FLAGS | {"workers": str(workers)}).items()]
    prediction = in_page.Prediction(words)
    while prediction.step() < prediction.replications:
        pass
    prediction.answer()


def of_a_frame(browser: Browser) -> float:
    """Part of a frame of 60 a second that 200 requests take."""
    with tempfile.TemporaryDirectory() as folder:
        script = assets.bundle() / "page" / "picture.js"
        Path(folder, script.name).write_bytes(script.read_bytes())
        Path(folder, "index.html").write_text("<!doctype html><body></body>", encoding="utf-8")
        with served(Path(folder)) as url, browser.new_context() as context:
            page = context.new_page()
            page.goto(url)
            return float(page.evaluate(DRAW, picture(predict(CROWD)))) * 60 / 1000


def main(site: Path) -> None:
    """Measure by turns, and print medians and ratios."""
    bare, python, first, changed, here = [], [], [], [], []
    with launched() as browser, served(site) as base:
        for number in range(ROUNDS):
            bare.append(in_a_fresh_page(browser, lambda page: page.goto(f"{base}{BARE}")))
            python.append(in_a_fresh_page(browser, lambda page: pyodide(page, base)))
            first.append(in_a_fresh_page(browser, lambda page: playground(page, base)))
            with browser.new_context() as context:
                page = context.new_page()
                page.set_default_timeout(1000 * LONGEST)
                playground(page, base)
                workers = 3 + number
                changed.append(timed(lambda: change(page, workers)))  # noqa: B023 - called here
            here.append(timed(lambda: on_cpython(workers)))  # noqa: B023 - called here
        part = of_a_frame(browser)

    def ratio(name: str, ours: list[float], other: str, theirs: list[float]) -> str:
        by = median(a / b for a, b in zip(ours, theirs, strict=True))
        seconds = f"{median(ours):.2f} s of {median(theirs):.2f} s"
        return f"{name} / {other}: {by:.1f} ({seconds}; medians of {ROUNDS})"

    print(ratio("first numbers", first, "a page without a model", bare))  # noqa: T201
    print(ratio("first numbers", first, "Pyodide alone", python))  # noqa: T201
    print(ratio("a change", changed, "the same on CPython", here))  # noqa: T201
    print(f"200 requests in a picture: {part:.0%} of a frame of 60 a second")  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "error: expected the folder of a built site, such as `mkdocs build` makes in site/"
        )
    main(Path(sys.argv[1]))
