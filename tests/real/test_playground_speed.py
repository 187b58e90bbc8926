"""The playground in a real browser: how long a reader waits. It measures, so it runs alone."""

from __future__ import annotations

import time

from browser import FLAGS, PATIENCE, chromium
from playwright.sync_api import expect, sync_playwright

#: s until the first numbers of a first visit, and from a change to new ones.
LONGEST_LOAD, LONGEST_ANSWER = 4.0, 1.0

#: Runs in the page: notes when the numbers change.
WATCH = """() => {
  window.answered = null;
  new MutationObserver((_, observer) => {
    window.answered = performance.now();
    observer.disconnect();
  }).observe(document.querySelector(".pg-table"), { childList: true });
  return performance.now();
}"""


def test_first_numbers_and_changes_are_quick(base: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            page = browser.new_page()
            page.set_default_timeout(1000 * PATIENCE)
            expect.set_options(timeout=1000 * PATIENCE)
            began = time.perf_counter()
            page.goto(f"{base}playground/")
            page.locator(".pg-numbers-table").first.wait_for()
            assert time.perf_counter() - began < LONGEST_LOAD
            status = page.locator(".pg-status")
            expect(status).to_contain_text("predicted in")
            for workers in (3, 4, 2):
                began = page.evaluate(WATCH)
                page.get_by_label("Workers", exact=True).fill(str(workers))
                page.wait_for_function("window.answered !== null")
                assert page.evaluate("window.answered") - began < 1000 * LONGEST_ANSWER
                page.wait_for_timeout(1500)
        finally:
            browser.close()
