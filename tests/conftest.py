# SPDX-License-Identifier: Apache-2.0
"""The order of the tests: the files that take longest begin, so that none is left to run alone at the end.

And that the asserts of what tests share tell as much as their own.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.functional.qube")

LONGEST = (
    "lab/test_core.py",
    "lab/test_template_changes.py",
    "lab/test_secrets.py",
    "lab/test_queue.py",
    "lab/test_copies.py",
    "lab/test_lab_qubesctl.py",
    "lab/test_lab_cleanup.py",
    "lab/test_clean.py",
    "lab/test_malformed.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by the list above, what is not in it last."""

    def rank(item: pytest.Item) -> int:
        ranks = (number for number, name in enumerate(LONGEST) if item.nodeid.startswith(f"tests/{name}"))
        return next(ranks, len(LONGEST))

    items.sort(key=rank)
