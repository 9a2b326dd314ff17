# SPDX-License-Identifier: Apache-2.0
"""smarthost_manifest: what is written is read again, and what a change needs follows from two of them."""

from typing import Any

import pytest
from hypothesis import given

import smarthost_plan
from smarthost_manifest import Manifest, Switch, parse
from smarthost_pillar import normalise
from tests.records import FACTS, fuzz, records
from tests.samples import ALICE, BOB, FINGERPRINT


def manifest(*accounts: dict[str, Any], **more: Any) -> Manifest:  # noqa: ANN401
    record = normalise({"accounts": [*accounts], **more})
    return smarthost_plan.plan(record, "tables-a", FACTS).manifest


@given(records)
@fuzz
def test_what_is_written_is_read_again(record: dict[str, Any]) -> None:
    planned = smarthost_plan.plan(normalise(record), "tables-b", FACTS)
    assert parse(planned.files["tables-b/manifest"].content) == planned.manifest


@pytest.mark.parametrize("text", ["", "# Managed\n", "table a\n", "type auto\nrelay a\n", "type a b\n"])
def test_what_is_none(text: str) -> None:
    assert parse(text) is None


BEFORE = manifest(ALICE, BOB)


@pytest.mark.parametrize(
    ("after", "switch", "changed"),
    [
        (manifest(ALICE, BOB), Switch.RELOAD, []),
        (manifest(ALICE | {"password": "other"}, BOB), Switch.RELOAD, ["alice@example.com"]),
        (manifest(ALICE | {"username": "other"}, BOB), Switch.RELOAD, ["alice@example.com"]),
        (
            manifest(ALICE | {"tls": {"fingerprint": [FINGERPRINT]}}, BOB),
            Switch.RELOAD,
            ["alice@example.com"],
        ),
        (manifest(ALICE | {"relay": "other.example"}, BOB), Switch.RESTART, ["alice@example.com"]),
        (manifest(ALICE | {"port": 2525}, BOB), Switch.RESTART, ["alice@example.com"]),
        (manifest(ALICE | {"senders": ["more@example.com"]}, BOB), Switch.RELOAD, []),
        (manifest(ALICE, BOB, settings={"inet_protocols": "all"}), Switch.RESTART, []),
        (manifest(ALICE), Switch.RELOAD, []),
    ],
)
def test_what_a_change_needs(after: Manifest, switch: Switch, changed: list[str]) -> None:
    assert after.switch(BEFORE) is switch
    assert after.differences(BEFORE)["changed"] == changed


def test_of_an_unknown_configuration_everything_is_new() -> None:
    assert BEFORE.switch(None) is Switch.RESTART
    assert BEFORE.differences(None)["added"] == sorted(BEFORE.senders)
