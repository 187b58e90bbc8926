"""The flags of the local flag service, in the JSON of LaunchDarkly's own stream."""

from __future__ import annotations

from typing import Any

Flag = dict[str, Any]


def _flag(key: str, variations: list[Any], **settings: object) -> Flag:
    """A flag with what every flag must have; ``settings`` are added or replace it."""
    return {
        "key": key,
        "version": 1,
        "on": True,
        "variations": variations,
        "offVariation": 0,
        "fallthrough": {"variation": 0},
        "targets": [],
        "contextTargets": [],
        "rules": [],
        "prerequisites": [],
        "salt": key,
        "trackEvents": False,
        "debugEventsUntilDate": None,
        "clientSide": False,
        "deleted": False,
        **settings,
    }


def initial_flags() -> dict[str, Flag]:
    """One flag for each way in which LaunchDarkly decides, by key.

    ``new-checkout`` has an individual target (alice) and a rule (keys that start with ``beta-``),
    ``banner-text`` a percentage rollout, and ``request-limit`` is off.
    """
    new_checkout = _flag(
        "new-checkout",
        [False, True],
        targets=[{"values": ["alice"], "variation": 1}],
        rules=[
            {
                "id": "beta-users",
                "variation": 1,
                "clauses": [
                    {
                        "contextKind": "user",
                        "attribute": "key",
                        "op": "startsWith",
                        "values": ["beta-"],
                        "negate": False,
                    }
                ],
                "trackEvents": False,
            }
        ],
    )
    banner_text = _flag(
        "banner-text",
        ["Welcome", "Welcome back", "Try the new checkout"],
        fallthrough={
            "rollout": {
                "contextKind": "user",
                "bucketBy": "key",
                # Weights are thousandths of a percent.
                "variations": [
                    {"variation": 0, "weight": 50_000},
                    {"variation": 1, "weight": 30_000},
                    {"variation": 2, "weight": 20_000},
                ],
            }
        },
    )
    request_limit = _flag("request-limit", [100, 1000], fallthrough={"variation": 1}, on=False)
    return {flag["key"]: flag for flag in (new_checkout, banner_text, request_limit)}
