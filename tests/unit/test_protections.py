# SPDX-License-Identifier: Apache-2.0
"""The list of protections fits the formula as it is, so that `make unprotected` can take each of them out."""

import re

import pytest

from tests.checkout import ROOT
from tests.protections import PROTECTIONS
from tests.protections.protection import Protection, places


@pytest.mark.parametrize("protection", PROTECTIONS, ids=[protection.what for protection in PROTECTIONS])
def test_a_protection_stands_where_the_list_says_and_has_its_test(protection: Protection) -> None:
    for old, new in protection.edits:
        assert len(places(old)) == 1, old
        assert old != new
    path, name = re.fullmatch(r"(tests/.*\.py)::(\w+)(?:\[.*\])?", protection.test).groups()
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
