# SPDX-License-Identifier: Apache-2.0
"""dom0 does not even send the accounts of a template, where Qubes can tell that it is one."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from tests.functional.test_pillar import SECRET, Dom0

ENTRY = f"debian-13: {{accounts: [{{address: alice@example.com, relay: smtp.example.com, password: '{SECRET}'}}]}}\n"


class Domains(dict):
    """What qubesadmin has of qubes, as far as it matters."""

    def __missing__(self, name: str) -> None:
        raise KeyError(name)


@pytest.fixture
def qubes(monkeypatch: pytest.MonkeyPatch) -> Domains:
    """Give the qubes that dom0 knows: by their names, each with its class."""
    domains = Domains()
    module = types.ModuleType("qubesadmin")
    module.Qubes = lambda: types.SimpleNamespace(domains=domains)
    monkeypatch.setitem(sys.modules, "qubesadmin", module)
    return domains


@pytest.fixture
def dom0(tmp_path: Path) -> Dom0:
    made = Dom0(tmp_path)
    made.write(ENTRY)
    return made


def test_a_template_gets_a_sentence(dom0: Dom0, qubes: Domains) -> None:
    qubes["debian-13"] = types.SimpleNamespace(klass="TemplateVM")
    pillar = dom0.pillar("debian-13")
    assert SECRET not in str(pillar)
    assert pillar["postfix_smarthost"] == {
        "errors": [
            f"{dom0.qubes_yaml}: debian-13 is a template, and passwords do not belong in templates; give the entry the"
            " name of an app qube of it."
        ]
    }


@pytest.mark.parametrize(
    "entry",
    [
        "[{password: hidden}]",
        "{account: {password: hidden}}",
        "{password: hidden}",
        "hidden",
        "{packages: [{password: hidden}]}",
        "{packages: hidden}",
        "{packages: [mutt, hidden]}",
        "{packages: [mutt], password: hidden}",
    ],
)
def test_an_entry_of_any_shape(dom0: Dom0, qubes: Domains, entry: str) -> None:
    qubes["debian-13"] = types.SimpleNamespace(klass="TemplateVM")
    dom0.write(f"debian-13: {entry}\n")
    assert "hidden" not in str(dom0.pillar("debian-13"))


def test_a_template_is_told_what_to_install(dom0: Dom0, qubes: Domains) -> None:
    """Nothing of the defaults, which are for the qubes with accounts."""
    qubes["debian-13"] = types.SimpleNamespace(klass="TemplateVM")
    dom0.write("defaults: {mutt: true}\ndebian-13: {packages: [fetchmail, mutt]}\n")
    assert dom0.pillar("debian-13") == {"postfix_smarthost": {"packages": ["fetchmail", "mutt"]}}
    dom0.write("debian-13: {packages: [alpine]}\n")
    assert dom0.pillar("debian-13")["postfix_smarthost"] == {
        "errors": [f"{dom0.qubes_yaml}: debian-13: packages must be a list of fetchmail, mutt, neomutt."]
    }


@pytest.mark.parametrize("klass", ["AppVM", "StandaloneVM", "DispVM"])
def test_other_qubes_get_their_accounts(dom0: Dom0, qubes: Domains, klass: str) -> None:
    qubes["debian-13"] = types.SimpleNamespace(klass=klass)
    assert "accounts" in dom0.pillar("debian-13")["postfix_smarthost"]


def test_where_qubes_cannot_tell_the_states_refuse(dom0: Dom0, qubes: Domains) -> None:
    """A pillar that raises would stop each run of qubesctl, for any formula."""
    assert qubes == {}
    assert "accounts" in dom0.pillar("debian-13")["postfix_smarthost"]


def test_template_of_a_qube_with_an_entry_is_prepared_and_others_are_left_alone(
    dom0: Dom0, qubes: Domains
) -> None:
    template = types.SimpleNamespace(klass="TemplateVM", name="debian-13-mail")
    qubes["debian-13-mail"] = template
    qubes["fedora-42-xfce"] = types.SimpleNamespace(klass="TemplateVM", name="fedora-42-xfce")
    qubes["mail"] = types.SimpleNamespace(klass="AppVM", name="mail", template=template)
    qubes["vault"] = types.SimpleNamespace(klass="AppVM", name="vault", template=template)
    dom0.write(ENTRY.replace("debian-13:", "mail:") + "not-there-yet: {accounts: []}\n")
    assert dom0.pillar("debian-13-mail") == {}
    assert dom0.why == []
    assert dom0.pillar("fedora-42-xfce") == {}
    assert dom0.why == ["unused"]
    assert dom0.missing == f"No qube with an entry in {dom0.qubes_yaml} is based on fedora-42-xfce."
    assert dom0.pillar("vault") == {}
    assert dom0.why == ["unlisted"]
