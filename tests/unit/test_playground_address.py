"""Addresses of the playground: flags become their long names, and values stay readable."""

from __future__ import annotations

import pytest

from site_docs.playground.address import address


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("-w", "2", "--threads", "4"), "workers=2&threads=4"),
        (("--experiment", "experiments/crash.toml"), "experiment=experiments/crash.toml"),
        (("--io", "exp:0.05", "--preload"), "io=exp:0.05&preload"),
        (("--disturb", "10 signal KILL worker 1"), "disturb=10+signal+KILL+worker+1"),
        (("--rate=20", "-k", "sync"), "rate=20&worker-class=sync"),
        (("--skip-agent", "a&b=c+d#e"), "skip-agent=a%26b%3Dc%2Bd%23e"),
    ],
)
def test_words_become_an_address(words: tuple[str, ...], state: str) -> None:
    assert address(words) == f"playground/#{state}"


def test_two_command_lines_are_compared() -> None:
    assert address(("-w", "2"), ("-w", "4")) == "playground/#workers=2&B&workers=4"


@pytest.mark.parametrize("words", [("workers",), ("--no-such", "1"), ("--workers",)], ids=repr)
def test_what_is_no_command_line_has_no_address(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        address(words)
