# SPDX-License-Identifier: Apache-2.0
"""Each SLS as Salt compiles it: which states a template, an app qube, a standalone qube and dom0 get."""

import copy
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import salt.config
import salt.loader
import salt.state
import salt.template
from salt.utils.datastructures import HashableOrderedDict
from saltfactories.utils.functional import Loaders

from tests.checkout import ROOT
from tests.samples import ALICE, SECRET

FORMULA = ROOT / "postfix_smarthost"
RECORD = {"accounts": [ALICE]}
ALL = sorted(
    ".".join(["postfix_smarthost", *file.relative_to(FORMULA).with_suffix("").parts]).removesuffix(".init")
    for file in FORMULA.rglob("*.sls")
)
# What is for dom0.
IN_DOM0 = ("postfix_smarthost.check", "postfix_smarthost.qubes")
TEMPLATE = {
    "postfix_smarthost-template-debconf": "cmd.run",
    "postfix_smarthost-template-procmail": "statoverride.present",
    "postfix_smarthost-template-packages": "pkg.installed",
    "postfix_smarthost-template-mta": "mta.selected",
    "postfix_smarthost-template-aliases": "postalias.present",
    "postfix_smarthost-template-service": "postfix_smarthost.off",
    "postfix_smarthost-template-preset": "file.managed",
    "postfix_smarthost-template-main-cf": "file.managed",
    "postfix_smarthost-template-queue": "cmd.run",
}
APPVM = {
    "postfix_smarthost-appvm-configuration": "postfix_smarthost.configured",
    "postfix_smarthost-appvm-boot-script": "postfix_smarthost.boot_script",
    "postfix_smarthost-appvm-sole-start": "postfix_smarthost.sole_start",
    "postfix_smarthost-appvm-active": "postfix_smarthost.active",
}
# Without Qubes: Postfix is on, with the configuration where its package puts it.
PLAIN = {
    name: function
    for name, function in (TEMPLATE | APPVM).items()
    if name.rpartition("-")[2] not in ("service", "preset", "cf", "queue", "start")
}
FEDORA = {
    "postfix_smarthost-template-packages": "pkg.installed",
    "postfix_smarthost-template-mta": "mta.selected",
    "postfix_smarthost-template-aliases": "postalias.present",
    "postfix_smarthost-template-service": "postfix_smarthost.off",
    "postfix_smarthost-template-preset": "file.managed",
}

Compile = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def compiled(_session_loaders: Loaders) -> Compile:
    """``compiled(sls, pillar, os_family=..., id=...)``: the low data, as state.show_low_sls gives it."""
    states: dict[str, salt.state.HighState] = {}

    def compile_sls(sls: str, pillar: dict[str, Any], **grains: str) -> list[dict[str, Any]]:
        key = repr((pillar, grains))
        if key not in states:
            opts = copy.deepcopy(_session_loaders.opts)
            opts["grains"] |= grains
            opts["pillar"] = pillar
            states[key] = salt.state.HighState(opts, pillar_override=pillar)
        state = states[key]
        state.building_highstate = HashableOrderedDict()
        state.push_active()
        try:
            high, errors = state.render_highstate({"base": [sls]})
            errors += state.state.verify_high(high)
            assert errors == []
            low = state.state.compile_high_data(high)
        finally:
            state.pop_active()
        assert all(isinstance(chunk, dict) for chunk in low), low
        return sorted(low, key=lambda chunk: chunk["order"])

    return compile_sls


def functions(low: list[dict[str, Any]]) -> dict[str, str]:
    return {chunk["__id__"]: f"{chunk['state']}.{chunk['fun']}" for chunk in low}


def qube(kind: str, **record: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"qubes": {"type": kind, "template": "debian-13-mail"}} | record


@pytest.mark.parametrize(
    ("sls", "pillar", "grains", "states"),
    [
        ("postfix_smarthost", qube("template"), {"os_family": "Debian"}, TEMPLATE),
        ("postfix_smarthost", qube("template"), {"os_family": "RedHat"}, FEDORA),
        ("postfix_smarthost", qube("app", postfix_smarthost=RECORD), {"os_family": "Debian"}, APPVM),
        ("postfix_smarthost", qube("app", postfix_smarthost=RECORD), {"os_family": "RedHat"}, APPVM),
        ("postfix_smarthost", qube("standalone"), {"os_family": "Debian"}, TEMPLATE | APPVM),
        ("postfix_smarthost", {"postfix_smarthost": RECORD}, {"os_family": "Debian"}, PLAIN),
        ("postfix_smarthost.template", qube("template"), {"os_family": "Debian"}, TEMPLATE),
        # What is made in dom0 is then configured by the same run.
        ("postfix_smarthost.qubes", qube("template"), {"os_family": "Debian"}, TEMPLATE),
        ("postfix_smarthost.qubes", qube("app", postfix_smarthost=RECORD), {"os_family": "Debian"}, APPVM),
        ("postfix_smarthost.appvm", qube("app", postfix_smarthost=RECORD), {"os_family": "Debian"}, APPVM),
    ],
)
def test_what_a_qube_gets(
    compiled: Compile, sls: str, pillar: dict[str, Any], grains: dict[str, str], states: dict[str, str]
) -> None:
    assert functions(compiled(sls, pillar, **grains)) == states


@pytest.mark.parametrize("sls", [name for name in ALL if name not in ("postfix_smarthost.unknown", *IN_DOM0)])
@pytest.mark.parametrize(
    ("pillar", "grains"), [(qube("admin"), {}), ({}, {"id": "dom0"})], ids=["type admin", "id dom0"]
)
def test_dom0_gets_nothing(
    compiled: Compile, sls: str, pillar: dict[str, Any], grains: dict[str, str]
) -> None:
    """Without --skip-dom0, qubesctl applies it there too; an SLS that is empty would be an error."""
    assert [*functions(compiled(sls, pillar, os_family="RedHat", **grains)).values()] == [
        "test.succeed_without_changes"
    ]


@pytest.mark.parametrize(
    ("pillar", "state"),
    [
        (
            qube("template", postfix_smarthost_unused="No qube: 'it' {is}."),
            "postfix_smarthost-template-is-unused",
        ),
        (
            qube("app", postfix_smarthost_unlisted="No entry: 'it' {is}."),
            "postfix_smarthost-qube-is-unlisted",
        ),
        (qube("standalone", postfix_smarthost_unlisted="No entry."), "postfix_smarthost-qube-is-unlisted"),
    ],
)
def test_qube_that_is_not_meant_gets_a_line(compiled: Compile, pillar: dict[str, Any], state: str) -> None:
    (chunk,) = compiled("postfix_smarthost", pillar, os_family="Debian")
    assert (chunk["__id__"], chunk["fun"]) == (state, "succeed_without_changes")
    assert chunk["comment"].startswith("Nothing is done. No ")


def test_what_is_asked_for_by_name_is_done(compiled: Compile) -> None:
    """Whoever applies one side to one qube means it, and is told what is missing."""
    app = functions(
        compiled("postfix_smarthost.appvm", qube("app", postfix_smarthost_unlisted="x"), os_family="Debian")
    )
    assert "postfix_smarthost-appvm-configuration" in app
    for key in ("unlisted", "missing"):
        template = qube("template", **{f"postfix_smarthost_{key}": "x"})
        assert len(functions(compiled("postfix_smarthost", template, os_family="Debian"))) > 3


def test_check_is_for_dom0(compiled: Compile) -> None:
    (chunk,) = compiled("postfix_smarthost.check", {}, os_family="RedHat", id="dom0")
    assert f"{chunk['state']}.{chunk['fun']}" == "test.configurable_test_state"
    assert (chunk["result"], chunk["changes"]) == (False, False)
    assert "qubes.yaml is missing: copy qubes.yaml.example there" in chunk["comment"]
    assert [*functions(compiled("postfix_smarthost.check", {}, id="mail")).values()] == ["test.nop"]


@pytest.mark.parametrize(
    ("sls", "state"),
    [
        ("postfix_smarthost", "postfix_smarthost-template-has-accounts"),
        ("postfix_smarthost.template", "postfix_smarthost-template-has-accounts"),
        ("postfix_smarthost.appvm", "postfix_smarthost-appvm-is-template"),
    ],
)
def test_a_template_never_gets_accounts(compiled: Compile, sls: str, state: str) -> None:
    low = compiled(sls, qube("template", postfix_smarthost=RECORD), os_family="Debian")
    assert functions(low) == {state: "test.fail_without_changes"}
    assert SECRET not in str(low)


def test_a_template_gets_the_packages_that_its_pillar_asks_for(compiled: Compile) -> None:
    """And no others: a name is no way to a package of somebody else's."""

    def installed(kind: str, record: Any, os_family: str) -> list[str]:  # noqa: ANN401
        low = compiled("postfix_smarthost", qube(kind, postfix_smarthost=record), os_family=os_family)
        (chunk,) = [chunk for chunk in low if chunk["__id__"] == "postfix_smarthost-template-packages"]
        return chunk["pkgs"]

    for os_family in ("Debian", "RedHat"):
        usual = installed("standalone", RECORD, os_family)
        assert not {"fetchmail", "mutt", "neomutt"} & {*usual}
        asked = {"packages": ["mutt", "fetchmail", "evil"]}
        assert sorted(installed("template", asked, os_family)) == sorted([*usual, "fetchmail", "mutt"])
        for kind in (None, 5, {}, "mutt"):
            assert installed("standalone", RECORD | {"packages": kind}, os_family)
        assert "mutt" in installed("standalone", RECORD | {"packages": ["mutt"]}, os_family)


def test_a_template_is_told_what_dom0_says_of_its_entry(compiled: Compile) -> None:
    low = compiled("postfix_smarthost", qube("template", postfix_smarthost={"errors": ["So it is."]}))
    assert [chunk["comment"] for chunk in low] == ["So it is."]


@pytest.mark.parametrize(
    "shape", [None, "", [], [ALICE], ALICE, {"account": ALICE}, {"errors": ["x"]}, "text", 0]
)
def test_a_template_is_refused_whatever_the_shape_of_its_pillar(compiled: Compile, shape: object) -> None:
    low = compiled("postfix_smarthost", qube("template", postfix_smarthost=shape), os_family="Debian")
    assert functions(low) == {"postfix_smarthost-template-has-accounts": "test.fail_without_changes"}
    assert SECRET not in str(low)


@pytest.mark.parametrize(
    "sls",
    [name for name in ALL if name not in ("postfix_smarthost.dom0", "postfix_smarthost.unknown", *IN_DOM0)],
)
def test_another_system_is_told(compiled: Compile, sls: str) -> None:
    with pytest.raises(
        AssertionError, match=r"knows Debian and Fedora, and arch is neither \(os_family Arch\)"
    ):
        compiled(sls, qube("app", postfix_smarthost=RECORD), os_family="Arch", id="arch")


@pytest.mark.parametrize("pillar", [{}, {"postfix_smarthost": RECORD}, {"qubes": {"tags": ["x"]}}])
@pytest.mark.parametrize("sls", [name for name in ALL if name not in ("postfix_smarthost.dom0", *IN_DOM0)])
def test_qube_of_an_unknown_type_is_left_alone(
    compiled: Compile, monkeypatch: pytest.MonkeyPatch, sls: str, pillar: dict[str, Any]
) -> None:
    """Qubes may make no pillar for one of two qubes whose names share their first 21 characters."""
    is_dir = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: path == "/usr/share/qubes" or is_dir(path))
    low = compiled(sls, pillar, os_family="Debian")
    assert functions(low) == {"postfix_smarthost-qube-is-unknown": "test.fail_without_changes"}
    assert "--max-concurrency 1" in low[0]["comment"]


@pytest.mark.parametrize("os_family", ["Debian", "RedHat"])
@pytest.mark.parametrize("sls", ALL)
def test_what_holds_for_every_state(compiled: Compile, sls: str, os_family: str) -> None:
    low = compiled(sls, {"postfix_smarthost": RECORD}, os_family=os_family)
    assert low
    for chunk in low:
        assert re.fullmatch(r"postfix_smarthost[a-z0-9-]*", chunk["__id__"])
        # What a user looks for is the comment; in the name nobody sees it.
        assert chunk["state"] != "test" or " " in chunk.get("comment", "") or chunk["fun"] == "nop"
        if (chunk["state"], chunk["fun"]) in (("file", "managed"), ("file", "directory")):
            assert (chunk["user"], chunk["group"]) == ("root", "root")
            # Without quotes, YAML makes a number of it.
            assert re.fullmatch("0[0-7]{3}", chunk["mode"])
            assert re.fullmatch("0[0-7]{3}", chunk.get("dir_mode", "0755"))
    # dom0 logs what states are called and told.
    assert SECRET not in str(low)


def test_packages(compiled: Compile) -> None:
    for os_family, packages in (
        ("Debian", ["postfix", "libsasl2-modules", "ca-certificates", "procmail"]),
        ("RedHat", ["postfix", "cyrus-sasl-plain", "cyrus-sasl-scram", "ca-certificates", "procmail"]),
    ):
        low = compiled("postfix_smarthost", qube("template"), os_family=os_family)
        by_id = {chunk["__id__"]: chunk for chunk in low}
        installed = by_id["postfix_smarthost-template-packages"]
        # The SASL mechanisms are only suggested by Postfix's package; recommended packages are not wanted.
        assert (installed["pkgs"], installed["install_recommends"]) == (packages, False)
        # msmtp may be the user's own program: on Fedora, where they can be installed beside each other, others stay.
        assert [chunk for chunk in low if chunk["fun"] in ("removed", "purged")] == []


@pytest.mark.parametrize(
    ("os_family", "ca_file"),
    [
        ("Debian", "/etc/ssl/certs/ca-certificates.crt"),
        ("RedHat", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    ],
)
def test_what_the_states_are_told(compiled: Compile, os_family: str, ca_file: str) -> None:
    low = compiled("postfix_smarthost", qube("app", postfix_smarthost=RECORD), os_family=os_family)
    by_id = {chunk["__id__"]: chunk for chunk in low}
    configuration = by_id["postfix_smarthost-appvm-configuration"]
    assert configuration["name"] == "/usr/local/etc/postfix"
    assert configuration["ca_file"] == ca_file
    assert configuration["procmail"] == "/usr/bin/procmail"
    script = by_id["postfix_smarthost-appvm-boot-script"]
    # rc.local.d is run by name: its end.
    assert script["name"] == "/rw/config/rc.local.d/50-postfix-smarthost.rc"


@pytest.mark.parametrize(("kind", "stop"), [("template", True), ("standalone", False)])
def test_where_postfix_is_stopped(compiled: Compile, kind: str, stop: bool) -> None:
    """A standalone qube is its own template, and runs it."""
    low = compiled("postfix_smarthost", qube(kind), os_family="Debian")
    (service,) = [chunk for chunk in low if chunk["__id__"] == "postfix_smarthost-template-service"]
    assert (service["name"], service["stop"]) == ("postfix", stop)


def test_the_order(compiled: Compile) -> None:
    low = compiled("postfix_smarthost", qube("standalone", postfix_smarthost=RECORD), os_family="RedHat")
    require = {chunk["__id__"]: chunk.get("require", []) for chunk in low}
    packages = {"pkg": "postfix_smarthost-template-packages"}
    for name in ("mta", "aliases", "service"):
        assert packages in require[f"postfix_smarthost-template-{name}"]
    assert {"sls": "postfix_smarthost.template"} in require["postfix_smarthost-appvm-configuration"]
    assert {"postfix_smarthost": "postfix_smarthost-appvm-configuration"} in require[
        "postfix_smarthost-appvm-boot-script"
    ]
    assert {"postfix_smarthost": "postfix_smarthost-appvm-boot-script"} in require[
        "postfix_smarthost-appvm-sole-start"
    ]
    assert require["postfix_smarthost-appvm-active"] == [{"sls": "postfix_smarthost.template"}]
    assert low[-1]["__id__"] == "postfix_smarthost-appvm-active"


def test_the_top_file(loaders: Loaders) -> None:
    opts = loaders.opts
    top = salt.template.compile_template(
        str(FORMULA / "init.top"), salt.loader.render(opts, {}), opts["renderer"], [], []
    )
    assert top == {"base": {"qubes:tags:postfix-smarthost": [{"match": "pillar"}, "postfix_smarthost"]}}


def test_through_state_apply(loaders: Loaders, testmode: bool) -> None:
    """The whole way: a bad pillar is one sentence for each problem, and no state after it does anything."""
    pillar = qube("app", postfix_smarthost={"accounts": [ALICE | {"port": "587"}], "user": "root"})
    ret = loaders.modules.state.apply("postfix_smarthost", test=testmode, pillar=pillar)
    results = {chunk.id: chunk for chunk in ret}
    assert [*results] == [*APPVM]
    assert {chunk.result for chunk in ret} == {False}
    assert {str(chunk.changes) for chunk in ret} == {"{}"}
    refusal = (
        "Account 1 (alice@example.com): port must be a number from 1 to 65535 without quotes, usually 587 or 465.\n"
        "user must be the name of the local user who reads the mail, in Qubes usually user."
    )
    assert results["postfix_smarthost-appvm-configuration"].comment == refusal
    assert "One or more requisite failed" in results["postfix_smarthost-appvm-boot-script"].comment
    # What is read at the end of the console and of the log.
    assert [*ret][-1].id == "postfix_smarthost-appvm-active"
    assert results["postfix_smarthost-appvm-active"].comment == f"Postfix is left as it was:\n{refusal}"
