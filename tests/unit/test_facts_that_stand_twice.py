# SPDX-License-Identifier: Apache-2.0
"""What stands in two files of the formula, since Salt loads each module by itself and the boot script runs without it.

One that is changed in one place only would leave the boot without a table, or `clean` with a file of ours.
"""

import re
from pathlib import Path

import yaml

from _modules import (
    postfix_smarthost,
    smarthost_accounts,
    smarthost_config,
    smarthost_rc_local,
    smarthost_service,
)
from tests.malformed import ALICE
from tests.records import FACTS

FORMULA = Path(__file__).resolve().parents[2] / "postfix_smarthost"
SCRIPT = (FORMULA / "files/50-postfix-smarthost.rc").read_text(encoding="utf-8")
DEFAULTS = yaml.safe_load((FORMULA / "defaults.yaml").read_text(encoding="utf-8"))


def function(name: str) -> str:
    """The body of a function of the boot script."""
    (body,) = re.findall(rf"^{name}\(\) \{{\n(.*?)^\}}", SCRIPT, re.MULTILINE | re.DOTALL)
    return body


def each(variable: str, text: str) -> list[str]:
    """The words that a loop of the boot script goes through."""
    (words,) = re.findall(rf"for {variable} in (.*); do$", text, re.MULTILINE)
    return words.split()


def planned_tables() -> list[str]:
    record = {"accounts": [ALICE], "lists": [{"list_id": "a", "folder": "a"}], "disposables": True}
    files = smarthost_config.plan(smarthost_accounts.normalise(record), "tables-a", FACTS)
    return sorted(path.removeprefix("tables-a/") for path, file in files.items() if file.table)


def test_boot_script_compiles_the_tables_that_are_planned() -> None:
    assert sorted(each("table", function("compile_tables"))) == planned_tables()


def test_boot_script_knows_the_types_of_tables() -> None:
    (types,) = re.findall(r"case \$kind in\n(.*?)\n\t\*\)", function("find_tables"), re.DOTALL)
    kinds = re.findall(r"^\t([a-z |]+)\)", types, re.MULTILINE)
    assert sorted(" | ".join(kinds).split(" | ")) == sorted({*smarthost_accounts.TABLE_TYPES} - {"auto"})
    suffixes = [f".{suffix}" for suffix in each("other", function("compile_table"))]
    assert sorted(suffixes) == sorted(postfix_smarthost._SUFFIXES)
    assert {*postfix_smarthost._SUFFIXES.values()} == {*smarthost_accounts.TABLE_TYPES} - {"auto", "texthash"}


def test_what_the_boot_script_carries_over_is_known_to_the_apply() -> None:
    assert sorted(each("name", function("carry_over"))) == sorted(postfix_smarthost._CARRIED)


def test_boot_script_has_the_places_of_the_modules() -> None:
    places = dict(re.findall(r"^(config|queue)=(\S+)$", SCRIPT, re.MULTILINE))
    assert places == {"config": postfix_smarthost.CONFIG_DIR, "queue": postfix_smarthost.QUEUE_DIR}


def test_directories_of_tables() -> None:
    assert postfix_smarthost._TABLES == smarthost_config.TABLES
    # By this the boot script knows those that are left over.
    pattern = re.search(r'for left in "\$config"/(\S+)\*', function("clean_up"))
    assert pattern is not None
    assert [name for name in smarthost_config.TABLES if not name.startswith(pattern[1])] == []


def test_places_in_the_states_are_those_of_the_modules() -> None:
    assert {key: DEFAULTS[key] for key in ("config_dir", "script", "rc_local", "aliases")} == {
        "config_dir": postfix_smarthost.CONFIG_DIR,
        "script": postfix_smarthost.BOOT_SCRIPT,
        "rc_local": smarthost_rc_local.RC_LOCAL,
        "aliases": postfix_smarthost._ALIASES,
    }


def test_modules_agree_on_the_places() -> None:
    def places(module: object) -> dict[str, str]:
        names = ("CONFIG_DIR", "QUEUE_DIR", "BOOT_SCRIPT", "RUNNING_CONFIG_DIR", "RUNNING_QUEUE_DIR")
        constants = {name.lstrip("_"): value for name, value in vars(module).items()}
        return {name: constants[name] for name in names}

    assert places(smarthost_service) == places(postfix_smarthost)
