# SPDX-License-Identifier: Apache-2.0
"""What stands in two files of the formula, since the boot script and the SLS run without the Python files.

One that is changed in one place only would leave the boot without a table, or `clean` with a file of ours.
"""

import json
import re
from typing import Any

import pytest
from jinja2 import Environment

import smarthost_pillar
import smarthost_places
import smarthost_plan
import smarthost_privacy
import smarthost_programs
import smarthost_schema
from smarthost_places import Places
from tests.checkout import ROOT
from tests.records import FACTS
from tests.samples import ALICE

FORMULA = ROOT / "postfix_smarthost"
SCRIPT = smarthost_programs.boot_script()
ENVIRONMENT = Environment(extensions=["jinja2.ext.do"], autoescape=True)
ENVIRONMENT.filters["json"] = str
MAP = ENVIRONMENT.from_string((FORMULA / "map.jinja").read_text(encoding="utf-8"))
ANYWHERE = {"file.directory_exists": lambda _: False, "postalias.get": lambda *_: None}
GRAINS = {"os_family": "Debian", "id": "mail"}
DEFAULTS = MAP.make_module({"grains": GRAINS, "pillar": {"qubes": {"type": "app"}}, "salt": ANYWHERE}).mail


def function(name: str) -> str:
    """The body of a function of the boot script."""
    (body,) = re.findall(rf"^{name}\(\) \{{\n(.*?)^\}}", SCRIPT, re.MULTILINE | re.DOTALL)
    return body


def each(variable: str, text: str) -> list[str]:
    """The words that a loop of the boot script goes through."""
    (words,) = re.findall(rf"for {variable} in (.*); do$", text, re.MULTILINE)
    return words.split()


def test_manifest_tells_of_each_list_of_names() -> None:
    names = smarthost_privacy.NAMED
    record = {"accounts": [ALICE], "lists": [{"list_id": "a", "folder": "a"}], "disposables": True}
    plan = smarthost_plan.plan(smarthost_pillar.normalise(record), "tables-a", FACTS)
    files = plan.files
    assert plan.manifest.named == names
    # "my-mail" stands in no other.
    holding = [path for path, file in files.items() if FACTS["hostname"].lower() in file.content]
    assert sorted(holding) == sorted(["own-names", *(f"tables-a/{name}" for name in names)])
    for name in names:
        for pattern in re.findall(r"\(my-mail[^)]*\)", files[f"tables-a/{name}"].content):
            assert pattern in ("(my-mail|-)", "(my-mail|--)")


def test_boot_script_knows_the_types_of_tables() -> None:
    (types,) = re.findall(r"case \$kind in\n(.*?)\n\t\*\)", function("find_tables"), re.DOTALL)
    kinds = re.findall(r"^\t([a-z |]+)\)", types, re.MULTILINE)
    assert sorted(" | ".join(kinds).split(" | ")) == sorted({*smarthost_schema.TABLE_TYPES} - {"auto"})
    (suffixes,) = re.findall(r'for other in "\$table"\.\{(\S+)\}; do', function("compile_tables"))
    assert sorted(f".{suffix}" for suffix in suffixes.split(",")) == sorted(smarthost_places.SUFFIXES)
    assert {*smarthost_places.SUFFIXES.values()} == {*smarthost_schema.TABLE_TYPES} - {"auto", "texthash"}


def test_what_may_be_installed_besides_is_the_same_everywhere() -> None:
    loop = re.search(r"for name in (\[.*?\])", (FORMULA / "map.jinja").read_text(encoding="utf-8"))
    pillar = (ROOT / "pillar/postfix_smarthost/init.sls").read_text(encoding="utf-8")
    in_dom0 = re.search(r"^PACKAGES = (\[.*\])$", pillar, re.MULTILINE)
    for found in (loop, in_dom0):
        assert found
        assert json.loads(found[1]) == [*smarthost_schema.PACKAGES]


def test_what_the_boot_script_carries_over_is_known_to_the_apply() -> None:
    assert sorted(each("name", function("carry_over"))) == sorted(smarthost_places.CARRIED)


def test_a_machine_that_is_no_qube_has_the_places_of_the_modules() -> None:
    plain = MAP.make_module({"grains": GRAINS, "pillar": {}, "salt": ANYWHERE}).mail
    places = Places(plain=True)
    assert (plain["config_dir"], plain["script"]) == (places.config_dir, places.boot_script)
    (both,) = re.findall(r"^\[ -d /rw \] \|\| config=(\S+) queue=(\S+)$", SCRIPT, re.MULTILINE)
    assert both == (places.config_dir, places.queue_dir)
    assert f"ExecStart={places.boot_script}\n" in smarthost_programs.UNIT


@pytest.mark.parametrize(
    ("user", "root", "stands"),
    [
        ("alice", None, "alice"),
        ("my-self", None, "my-self"),
        ("alice", "admin", "admin"),
        ("a b", None, "user"),
        (5, None, "user"),
        (None, None, "user"),
        (["alice"], None, "user"),
        ("alice, |rm", None, "user"),
    ],
)
def test_who_reads_the_mail_of_root_on_a_machine_that_is_no_qube(
    user: Any,  # noqa: ANN401 - a pillar may hold anything
    root: str | None,
    stands: str,
) -> None:
    salt = ANYWHERE | {"postalias.get": lambda *_: root}
    for pillar in (
        {"postfix_smarthost": {"user": user}},
        {"postfix_smarthost": {"user": user}, "qubes": {"type": "app"}},
    ):
        made = MAP.make_module({"grains": GRAINS, "pillar": pillar, "salt": salt}).mail
        assert made["root"] == ("user" if "qubes" in pillar else stands)


def test_boot_script_has_the_places_of_the_modules() -> None:
    places = dict(re.findall(r"^(config|queue|state)=(\S+)$", SCRIPT, re.MULTILINE))
    assert places == {
        "config": Places().config_dir,
        "queue": Places().queue_dir,
        "state": Places().state_dir,
    }
    assert f'"$state{Places().lock.removeprefix(Places().state_dir)}"' in SCRIPT


def test_directories_of_tables() -> None:
    # By this the boot script knows those that are left over.
    pattern = re.search(r'for path in "\$config"/(\S+)\*', function("clean_up"))
    assert pattern is not None
    assert [name for name in smarthost_places.TABLES if not name.startswith(pattern[1])] == []


def test_places_in_the_states_are_those_of_the_modules() -> None:
    places = Places()
    assert {key: DEFAULTS[key] for key in ("config_dir", "script", "rc_local", "aliases")} == {
        "config_dir": places.config_dir,
        "script": places.boot_script,
        "rc_local": places.rc_local,
        "aliases": places.aliases,
    }
