# SPDX-License-Identifier: Apache-2.0
"""pillar.example is a pillar as it stands, holds every key, and README.md explains the same ones."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import salt.config
import salt.loader
import salt.template
import yaml

import smarthost_pillar
import smarthost_plan
import smarthost_schema
from tests.checkout import ROOT
from tests.records import FACTS

KNOWN = {path for path, _ in smarthost_schema.paths()}


@pytest.fixture(scope="module")
def opts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("minion")
    opts = salt.config.minion_config(None)
    opts |= {
        "root_dir": str(root),
        "cachedir": str(root / "cache"),
        "extension_modules": str(root / "extmods"),
        "file_client": "local",
        "pillar": {},
        "grains": {},
    }
    return opts


def render(opts: dict[str, Any], path: Path) -> dict[str, Any]:
    """What Salt makes of a pillar SLS, with its own renderers: a duplicate key raises an error."""
    renderers = salt.loader.render(opts, {})
    return salt.template.compile_template(str(path), renderers, "jinja|yaml", [], [])


@pytest.fixture(scope="module")
def example(opts: dict[str, Any]) -> dict[str, Any]:
    return render(opts, ROOT / "pillar.example")


def paths(value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401
    """The keys of nested mappings, each after those above it; an item of a list adds nothing to the path."""
    if isinstance(value, list):
        for item in value:
            yield from paths(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path + key
            yield from paths(item, f"{path}{key}:")


def test_salt_loads_it_and_it_can_be_planned(example: dict[str, Any]) -> None:
    assert set(example) == {"postfix_smarthost"}
    record = example["postfix_smarthost"]
    assert smarthost_pillar.problems(record) == []
    files = smarthost_plan.plan(smarthost_pillar.normalise(record), "tables-a", FACTS).files
    passwords = files["tables-a/saslpass"].rows
    assert passwords["me@alias.example"] == "your.other@mail.com:supers3cret"
    assert "message_size_limit = 200000000\n" in files["main.cf"].content


def test_a_duplicate_key_would_be_seen(opts: dict[str, Any], tmp_path: Path) -> None:
    text = (ROOT / "pillar.example").read_text()
    broken = tmp_path / "broken.sls"
    broken.write_text(f"{text}  table_type: hash\n")
    with pytest.raises(salt.exceptions.SaltRenderError, match="conflicting ID 'table_type'"):
        render(opts, broken)


def test_it_holds_each_key_and_the_readme_explains_it(example: dict[str, Any]) -> None:
    record = dict(example["postfix_smarthost"])
    record["settings"] = {}
    # This one is for qubes.yaml only, whose example has it.
    in_dom0_only = {
        "accounts:password_command",
        "accounts:fetch:password_command",
        *(path for path in KNOWN if path.partition(":")[0] == "qube"),
    }
    assert set(paths(record)) == KNOWN - in_dom0_only
    text = (ROOT / "pillar/postfix_smarthost/qubes.yaml.example").read_text()
    for path in in_dom0_only:
        assert re.search(rf"\b{path.rpartition(':')[2]}: ", text), path
    reference = (ROOT / "README.md").read_text().partition("## Pillar reference\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9_:]+)` +\|", reference, re.MULTILINE)) == KNOWN


def test_dom0s_file_has_the_same_record_below_the_name_of_each_qube() -> None:
    text = (ROOT / "pillar/postfix_smarthost/qubes.yaml.example").read_text()
    entries = yaml.safe_load(text)
    assert entries
    assert [smarthost_pillar.problems(record) for record in entries.values()] == [[] for _ in entries]
