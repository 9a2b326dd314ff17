# SPDX-License-Identifier: Apache-2.0
"""Plans of a pillar, and their files as rows and parameters, for the tests of smarthost_plan."""

from typing import Any

import smarthost_plan
from smarthost_pillar import normalise
from tests.postfix_syntax import logical_lines, parameters, rows
from tests.records import FACTS
from tests.samples import ALICE, BOB

LISTS = [
    {"list_id": "users.example.com", "folder": "list/users"},
    {"list_id": "a+b.example", "folder": "b"},
]


def plan(record: dict[str, Any] | None = None, tables: str = "tables-a", **facts: Any) -> dict[str, Any]:  # noqa: ANN401
    record = {"accounts": [ALICE, BOB]} | (record or {})
    return smarthost_plan.plan(normalise(record), tables, FACTS | facts).files


def main_cf(record: dict[str, Any] | None = None, **facts: Any) -> dict[str, str]:  # noqa: ANN401
    return dict(parameters(plan(record, **facts)["main.cf"].content))


def table(name: str, record: dict[str, Any] | None = None, **facts: Any) -> dict[str, str]:  # noqa: ANN401
    return dict(rows(plan(record, **facts)[f"tables-a/{name}"].content))


def services() -> dict[str, list[str]]:
    """The services of master.cf: name and type, then what follows."""
    words = [line.split() for line in logical_lines(plan()["master.cf"].content)]
    return {f"{name} {kind}": rest for name, kind, *rest in words}
