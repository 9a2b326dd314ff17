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


DOMAIN = manifest(ALICE | {"senders": ["@dom.test"]}, BOB)
OF_BOTH = manifest(ALICE | {"senders": ["@dom.test"]}, BOB | {"senders": ["info@dom.test"]})
EXTENSION = manifest(ALICE, BOB | {"senders": ["alice+work@example.com"]})


@pytest.mark.parametrize(
    ("before", "after", "switch"),
    [
        (DOMAIN, OF_BOTH, Switch.RESTART),
        (OF_BOTH, DOMAIN, Switch.RESTART),
        (BEFORE, EXTENSION, Switch.RESTART),
        (EXTENSION, BEFORE, Switch.RESTART),
        (
            manifest(ALICE | {"senders": ["x@dom.test"]}, BOB),
            manifest(ALICE, BOB | {"senders": ["@dom.test"]}),
            Switch.RESTART,
        ),
        (BEFORE, DOMAIN, Switch.RELOAD),
        (DOMAIN, manifest(ALICE | {"senders": ["@dom.test", "info@dom.test"]}, BOB), Switch.RELOAD),
    ],
)
def test_what_another_cover_of_a_sender_needs(before: Manifest, after: Manifest, switch: Switch) -> None:
    """Between the switch and a reload, mail routed by the old tables would meet the login of the other account."""
    assert after.switch(before) is switch


def test_of_an_unknown_configuration_everything_is_new() -> None:
    assert BEFORE.switch(None) is Switch.RESTART
    assert BEFORE.differences(None)["added"] == sorted(BEFORE.senders)
