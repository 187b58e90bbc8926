"""The rules of ``python -m sim check``, as the tables that the linter itself reads."""

from __future__ import annotations

from sim.study.check.rule import Rule
from sim.study.check.rules import RULES


def table() -> str:
    """A row for each rule, as Markdown: its name, setting, level, releases and evidence."""
    lines = [
        "| rule | about | at worst | Gunicorn | evidence |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {_name(rule)} | `{rule.setting}` | {rule.level} | {rule.releases} | {_link(rule)} |"
        for rule in RULES
    ]
    return "\n".join(lines)


def _name(rule: Rule) -> str:
    return rule.name.replace("-", " ")


def _link(rule: Rule) -> str:
    page, _, anchor = rule.page.partition("/")
    what = anchor.removeprefix("#").replace("-", " ") or page
    return f"[{what}]({page}.md{anchor})"
