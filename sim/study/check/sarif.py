"""Findings as SARIF 2.1.0, which code hosts show beside the lines of a change.

The format is OASIS's: docs.oasis-open.org/sarif/sarif/v2.1.0.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sim.study.check.finding import Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def text(findings: Sequence[Finding], location: str | None) -> str:
    """The findings as a SARIF document.

    Args:
        findings: by `sim.study.check.linting.findings_of`.
        location: of the configuration or experiment; None where flags alone said it.
    """
    path = None if location is None else location.removeprefix("file:")
    lines = {} if path is None else _lines(path)
    rules = {finding.rule: finding for finding in findings}
    run = {
        "tool": {
            "driver": {
                "name": "gunicorn-sim",
                "version": version("gunicorn-sim"),
                "rules": [_rule(finding) for finding in rules.values()],
            }
        },
        "results": [_result(finding, path, lines) for finding in findings],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.rule,
        "shortDescription": {"text": finding.rule.replace("-", " ")},
        "properties": {"releases": finding.releases, "page": finding.page},
    }


def _result(finding: Finding, path: str | None, lines: Mapping[str, int]) -> dict[str, Any]:
    sentences = [finding.what, finding.effect]
    if finding.mend:
        sentences.append(f"Set: {finding.mend}")
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": finding.level,
        "message": {"text": " ".join(filter(None, sentences))},
    }
    if path is not None:
        result["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": Path(path).as_posix()},
                    "region": {"startLine": lines.get(finding.setting, 1)},
                }
            }
        ]
    return result


def _lines(path: str) -> dict[str, int]:
    """The last line at which the file gives each name a value."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}  # An experiment, or a module: nothing has a line that is known.
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                lines[name] = max(node.lineno, lines.get(name, 0))
            case ast.FunctionDef(name=name):
                lines[name] = max(node.lineno, lines.get(name, 0))
    return lines
