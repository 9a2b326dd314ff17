# SPDX-License-Identifier: Apache-2.0
"""The schema of the pillar: what is written from it is what stands in the tree, and the examples are good by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from smarthost_account_keys import ACCOUNT, TLS
from smarthost_keys import names
from smarthost_pillar import check, problems
from smarthost_schema import LISTS, RECORD, paths
from tests.checkout import ROOT
from tests.malformed import MALFORMED
from tests.samples import ALICE
from tools import docs
from tools.json_schema import json_schema

QUBES_YAML = ROOT / "pillar/postfix_smarthost/qubes.yaml.example"
# Enough of JSON Schema for what the schema says; test_no_other_keyword_is_used looks at that.
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
KEYWORDS = {
    *("$schema", "$defs", "$ref", "title", "description", "type", "enum", "properties", "required", "items"),
    *("additionalProperties", "minimum", "maximum", "minItems", "maxProperties", "anyOf"),
}


def is_valid(value: Any, schema: Any, root: dict[str, Any]) -> bool:  # noqa: ANN401, PLR0911
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(
        isinstance(value, TYPES[kind]) and not (kind == "integer" and isinstance(value, bool))
        for kind in kinds
    ):
        return False
    if "anyOf" in schema and not any(is_valid(value, part, root) for part in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(
            is_valid(item, schema.get("items", True), root) for item in value
        )
    if isinstance(value, dict):
        known = schema.get("properties", {})
        if len(value) > schema.get("maxProperties", len(value)):
            return False
        return {*schema.get("required", [])} <= {*value} and all(
            is_valid(item, known.get(key, schema.get("additionalProperties", True)), root)
            for key, item in value.items()
        )
    return True


def fits(entries: Any) -> bool:  # noqa: ANN401
    return is_valid(entries, json_schema(), json_schema())


@pytest.mark.parametrize("name", [docs.README, docs.SCHEMA])
def test_what_is_written_is_up_to_date(name: str) -> None:
    """If not: `make docs`."""
    assert (ROOT / name).read_text(encoding="utf-8") == docs.written()[name]


def test_the_table_is_written_between_its_marks() -> None:
    text = docs.readme(f"before\n{docs.BEGIN}old\n{docs.END}after\n")
    assert text.startswith(f"before\n{docs.BEGIN}\n| Key | Type |")
    assert text.endswith(f"|\n\n{docs.END}after\n")
    assert "| `accounts:tls:mode` | `starttls`, `implicit` or `none` |" in text


def subschemas(schema: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    if not isinstance(schema, dict):
        return []
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    inner += [schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", [])]
    return [schema, *(each for part in inner for each in subschemas(part))]


def test_an_entry_has_accounts_or_is_one_of_a_template() -> None:
    assert fits(
        {"mail": {"accounts": [ALICE], "packages": ["mutt"]}, "debian-13-mail": {"packages": ["mutt"]}}
    )
    assert not fits({"mail": {"packages": ["mutt"], "user": "me"}})
    assert not fits({"mail": {"packages": ["alpine"]}})
    assert not fits({"mail": {}})


def test_no_other_keyword_is_used() -> None:
    assert {keyword for schema in subschemas(json_schema()) for keyword in schema} <= KEYWORDS


@pytest.mark.parametrize(
    "file", [ROOT / "pillar.example", QUBES_YAML], ids=["pillar.example", "qubes.yaml.example"]
)
def test_an_example_is_good_and_names_its_schema(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("# yaml-language-server: $schema=")]
    schema = (file.parent / line.partition("=")[2]).resolve()
    assert json.loads(schema.read_text(encoding="utf-8"))["$defs"] == json_schema()["$defs"]
    entries = yaml.safe_load(text)
    assert fits(entries)
    for record in entries.values():
        assert problems(record) == []


@pytest.mark.parametrize(
    ("entries", "good"),
    [
        ({"mail": {"accounts": [ALICE]}}, True),
        ({"mail": {"accounts": [ALICE], "settings": {"message_size_limit": 50000000}}}, True),
        ({"mail": {"accounts": []}}, False),
        ({"mail": {"accounts": [ALICE], "acounts": []}}, False),
        ({"mail": {"accounts": [ALICE | {"port": "587"}]}}, False),
        ({"mail": {"accounts": [ALICE | {"tls": {"mode": "may"}}]}}, False),
        ({"mail": {"accounts": [ALICE], "settings": {"relayhost": "x"}}}, False),
        ({"mail": {"accounts": [{"password": "x"}]}}, False),
    ],
)
def test_the_schema_for_editors(entries: dict[str, Any], good: bool) -> None:
    assert fits(entries) is good


def test_what_the_check_takes_an_editor_takes() -> None:
    """The other way round it is not so: JSON Schema knows no address, and no rule between keys."""
    refused = [name for name, record, _ in MALFORMED if not fits({"mail": record})]
    assert len(refused) > 40
    assert [name for name, record, told in MALFORMED if not told] == []


def test_each_key_is_read_and_can_be_left_out_or_is_asked_for() -> None:
    """A key without a reader, or without a default, would be one that nobody can use."""
    for path, key in paths():
        assert key.meaning.endswith("."), path
        assert key.default, path
        assert callable(key.read), path
    record, found = check({"accounts": [ALICE]})
    assert found == []
    assert sorted(record) == names(RECORD)


@pytest.mark.parametrize(
    ("keys", "build", "where"),
    [
        (RECORD, lambda key: {"accounts": [ALICE], key: None}, "postfix_smarthost"),
        (ACCOUNT, lambda key: {"accounts": [ALICE | {key: None}]}, "Account 1 (alice@example.com)"),
        (TLS, lambda key: {"accounts": [ALICE | {"tls": {key: None}}]}, "Account 1 (alice@example.com): tls"),
        (
            LISTS,
            lambda key: {"accounts": [ALICE], "lists": [{"list_id": "a", "folder": "b", key: None}]},
            "List 1",
        ),
    ],
    ids=["record", "account", "tls", "lists"],
)
def test_an_unknown_key_is_told_by_the_nearest_one_and_never_shown(keys: Any, build: Any, where: str) -> None:  # noqa: ANN401
    for name in names(keys):
        for typed in (
            name[:-1] if len(name) > 3 else name.upper(),
            name.upper(),
            f" {name}",
            f"\u00a0{name}",
            name.replace("_", "-") + "s",
        ):
            (told,) = problems(build(typed))
            odd = ", which holds U+00A0 (NO-BREAK SPACE) as character 1" if "\u00a0" in typed else ""
            assert told == f"{where} has an unknown key{odd}: did you mean {name}.", typed
    # `{password, hunter}` and `{password:hunter}` are keys to YAML.
    for secret in (
        "hunter",
        "hunter2",
        "password:hunter",
        "correct horse",
        "hunterhunterhunter",
        "passw0rd",
    ):
        if secret not in names(keys):
            (told,) = problems(build(secret))
            assert secret not in told.replace("password", "")
            assert told.startswith(f"{where} has an unknown key: ")
