# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan: tables, settings, times and the manifest."""

import re

import pytest

import smarthost_places
from tests.postfix_syntax import parameters
from tests.unit.plans import LISTS, main_cf, plan, table


def test_a_qube_that_was_off_for_weeks_does_not_bounce_its_queue() -> None:
    parameters = main_cf()
    assert (parameters["maximal_queue_lifetime"], parameters["bounce_queue_lifetime"]) == ("30d", "30d")
    assert (parameters["queue_run_delay"], parameters["minimal_backoff_time"]) == ("60s", "60s")
    assert parameters["enable_long_queue_ids"] == "yes"


def test_settings_take_the_place_of_what_the_plan_says() -> None:
    settings = {"maximal_queue_lifetime": "10d", "message_size_limit": 50000000}
    found = parameters(plan({"settings": settings})["main.cf"].content)
    assert len(found) == len(dict(found))
    assert dict(found) == main_cf() | {"maximal_queue_lifetime": "10d", "message_size_limit": "50000000"}


@pytest.mark.parametrize(
    ("table_type", "written"),
    [("auto", "${default_database_type}"), ("hash", "hash"), ("texthash", "texthash")],
)
def test_the_type_of_tables(table_type: str, written: str) -> None:
    record = {"table_type": table_type}
    compiled = {name.partition("/")[2] for name, file in plan(record).items() if file.rows is not None}
    found = main_cf(record)
    for kind, name in re.findall(r"(\S+):\$\{config_directory\}/tables-a/(\w+)", " ".join(found.values())):
        assert kind == (written if name in compiled else "regexp"), name
    # The template compiles it for all its qubes.
    assert found["alias_maps"] == "${default_database_type}:/etc/aliases"
    # Postfix's own, which is the same: 3.7 to 3.10 cannot expand a type in it.
    assert "alias_database" not in found


def test_every_table_that_is_named_is_planned() -> None:
    for tables in smarthost_places.TABLES:
        files = plan({"lists": LISTS}, tables=tables)
        content = files["main.cf"].content
        assert f"\nsmarthost_tables = ${{config_directory}}/{tables}\n" in content
        named = {
            f"{tables}/{name}"
            for name in re.findall(rf"(?:\$smarthost_tables|/etc/postfix/{tables})/(\S+?)[,\n]", content)
        }
        (deliver,) = re.findall(r"/usr/local/etc/smarthost/(\S+)", content)
        assert named | {f"{tables}/manifest", deliver, deliver.replace("/deliver", "/procmailrc")} == {
            name for name in files if "/" in name
        }


def test_a_table_can_be_empty_but_is_there() -> None:
    record = {"accounts": [{"address": "a@example.com", "relay": "mail.example.com", "auth": "none"}]}
    assert table("saslpass", record) == {}


def test_disposables_are_started_only_where_asked_for() -> None:
    assert "allow disposables" not in plan()["tables-a/manifest"].content.split("\n")
    assert "allow disposables" in plan({"disposables": True})["tables-a/manifest"].content.split("\n")
