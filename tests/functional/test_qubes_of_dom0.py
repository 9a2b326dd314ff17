# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.qubes: dom0 makes the qubes of qubes.yaml, and Qubes is told nothing else."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.dom0.dom0 import SOURCES, WORLD, Dom0
from tests.functional.test_pillar import Dom0 as Pillar

SECRET = "y0urP4ssw0rd"
ACCOUNT = f"""\
  accounts:
    - address: you@gmail.com
      password: '{SECRET}'
    - address: me@own.example
      relay: Mail.Own.example
      port: 2525
      password: '{SECRET}'
"""
MAIL = f"mail:\n{ACCOUNT}"
MADE = [
    "qvm-clone debian-13-xfce debian-13-mail",
    "qvm-tags debian-13-mail add postfix-smarthost",
    "qvm-create mail --class=AppVM --template=debian-13-mail --label=yellow",
    "qvm-tags mail add postfix-smarthost",
]
NEXT = "To give them their mail: sudo qubesctl --skip-dom0 --show-output --targets={} state.apply postfix_smarthost"


@pytest.fixture(params=["stand-in", *(["real"] if SOURCES else [])])
def dom0(request: pytest.FixtureRequest, tmp_path: Path) -> Dom0:
    return Dom0(tmp_path, real=request.param == "real")


def asked(dom0: Dom0, text: str, test: bool = False) -> list[str]:
    """Apply, and return what Qubes was told."""
    dom0.says(text)
    states = dom0.apply("postfix_smarthost.qubes", test)
    assert SECRET not in dom0.output
    assert all(about["result"] in ((None, True) if test else (True,)) for about in states.values()), states
    told = dom0.told()
    assert (
        {bool(told), False} if test else {bool(told)} == {any(about["changes"] for about in states.values())}
    )
    return told


def refused(dom0: Dom0, text: str) -> list[str]:
    """Apply what is wrong, and return the sentences; Qubes is told nothing."""
    dom0.says(text)
    (state,) = dom0.apply("postfix_smarthost.qubes").values()
    assert state["result"] is False
    assert dom0.told() == []
    assert SECRET not in dom0.output
    assert state["comment"].isascii()
    return state["comment"].splitlines()


def test_qube_and_its_template_are_made_and_a_second_run_does_nothing(dom0: Dom0) -> None:
    dom0.says(MAIL)
    predicted = dom0.apply("postfix_smarthost.qubes", test=True)
    assert dom0.told() == []
    assert dom0.world["qubes"] == WORLD["qubes"]
    assert predicted["postfix_smarthost-qubes-mail"]["comment"] == "The qube mail would be made."
    assert asked(dom0, MAIL) == MADE
    qubes = dom0.world["qubes"]
    assert qubes["mail"]["template"] == "debian-13-mail"
    assert qubes["mail"]["tags"] == qubes["debian-13-mail"]["tags"] == ["postfix-smarthost"]
    for test in (False, True):
        states = dom0.apply("postfix_smarthost.qubes", test)
        assert dom0.told() == []
        assert [about["changes"] for about in states.values()] == [{}] * 3
        assert {about["result"] for about in states.values()} == {True}
    last = states["postfix_smarthost-qubes-next"]
    assert last["comment"] == NEXT.format("debian-13-mail,mail")
    assert {*predicted} > {*states}


@pytest.mark.parametrize(
    ("qube", "told"),
    [
        (
            "{clone: fedora-42-xfce, label: red, netvm: sys-whonix, tags: [mine]}",
            [
                "qvm-clone fedora-42-xfce fedora-42-mail",
                "qvm-tags fedora-42-mail add postfix-smarthost",
                "qvm-create mail --class=AppVM --template=fedora-42-mail --label=red",
                "qvm-prefs mail netvm sys-whonix",
                "qvm-tags mail add mine",
                "qvm-tags mail add postfix-smarthost",
            ],
        ),
        (
            "{template: fedora-42-xfce}",
            [
                "qvm-tags fedora-42-xfce add postfix-smarthost",
                "qvm-create mail --class=AppVM --template=fedora-42-xfce --label=yellow",
                "qvm-tags mail add postfix-smarthost",
            ],
        ),
        (
            "{template: my-mail, clone: debian-13-xfce}",
            [word.replace("debian-13-mail", "my-mail") for word in MADE],
        ),
        (
            "{firewall: true}",
            [
                *MADE,
                "qvm-firewall mail action=accept proto=tcp dsthost=smtp.gmail.com dstports=465-465;"
                " action=accept proto=tcp dsthost=mail.own.example dstports=2525-2525;"
                " action=accept specialtarget=dns; action=drop",
            ],
        ),
    ],
)
def test_qube_is_made_as_it_is_asked_for(dom0: Dom0, qube: str, told: list[str]) -> None:
    text = f"{MAIL}  qube: {qube}\n"
    assert asked(dom0, text, test=True) == []
    assert asked(dom0, text) == told
    assert asked(dom0, text) == []


def test_firewall_lets_in_what_is_fetched(dom0: Dom0) -> None:
    text = f"{MAIL}      fetch: {{server: IMAP.own.example, port: 143}}\n  qube: {{firewall: true}}\n"
    (rules,) = [
        line
        for line in asked(dom0, text.replace("you@gmail.com", "you@gmail.com\n      fetch: true"))
        if "firewall" in line
    ]
    for host, port in (("imap.gmail.com", 993), ("imap.own.example", 143), ("smtp.gmail.com", 465)):
        assert f"proto=tcp dsthost={host} dstports={port}-{port};" in rules


def test_firewall_lets_tokens_be_asked_for(dom0: Dom0) -> None:
    rest = "device_endpoint: 'https://device.own.example/d', scope: x"
    token = "https://Login.own.example:8443/token"
    own = f"      auth: xoauth2\n      oauth: {{client_id: x, token_endpoint: '{token}', {rest}}}\n"
    text = f"mail:\n  accounts:\n    - address: me@own.example\n      relay: mail.own.example\n{own}"
    text += (
        "    - {address: you@outlook.com, auth: xoauth2, oauth: {client_id: x}}\n  qube: {firewall: true}\n"
    )
    (rules,) = [line for line in asked(dom0, text) if "firewall" in line]
    hosts = (("login.own.example", 8443), ("device.own.example", 443), ("login.microsoftonline.com", 443))
    for host, port in hosts:
        assert rules.count(f"proto=tcp dsthost={host} dstports={port}-{port};") == 1


def test_entry_of_a_template_makes_no_qube(dom0: Dom0) -> None:
    assert asked(dom0, f"debian-13-mail: {{packages: [mutt]}}\n{MAIL}") == MADE


def test_qube_that_exists_keeps_what_it_is(dom0: Dom0) -> None:
    text = MAIL.replace("mail:", "personal:")
    assert asked(dom0, text) == [
        "qvm-tags fedora-42-xfce add postfix-smarthost",
        "qvm-tags personal add postfix-smarthost",
    ]
    assert "debian-13-mail" not in dom0.world["qubes"]
    assert asked(dom0, f"{text}  qube: {{label: red, template: debian-13-xfce}}\n") == []
    assert asked(dom0, f"{text}  qube: {{netvm: sys-whonix}}\n") == ["qvm-prefs personal netvm sys-whonix"]


def test_accounts_that_change_change_the_firewall(dom0: Dom0) -> None:
    text = f"{MAIL}  qube: {{firewall: true}}\n"
    asked(dom0, text)
    (rules,) = asked(dom0, text.replace("2525", "587"))
    assert "dsthost=mail.own.example dstports=587-587" in rules
    (rules,) = asked(
        dom0,
        text.replace(
            "relay: Mail.Own.example",
            "relay: 192.0.2.1\n      tls: {fingerprint: [" + ":".join(["AB"] * 32) + "]}",
        ),
    )
    assert "proto=tcp dst4=192.0.2.1/32 dstports=2525-2525" in rules


def test_qubes_of_one_template_and_what_they_share(dom0: Dom0) -> None:
    text = f"defaults: {{qube: {{clone: fedora-42-xfce}}}}\n{MAIL}{MAIL.replace('mail:', 'work:')}"
    told = asked(dom0, text)
    assert [words.split()[0] for words in told] == ["qvm-clone", "qvm-tags", *["qvm-create", "qvm-tags"] * 2]
    assert "work --class=AppVM --template=fedora-42-mail" in told[4]


def test_what_fails_in_qubes_stops_there_and_can_be_repeated(dom0: Dom0) -> None:
    world = copy.deepcopy(WORLD)
    dom0.is_world({**world, "fails": ["mail"]})
    dom0.says(MAIL)
    states = dom0.apply("postfix_smarthost.qubes")
    assert dom0.told() == MADE[:2]
    # Qubes' own state qvm.present succeeds even so; the next one, which needs the qube, does not.
    assert states["postfix_smarthost-qubes-mail-tags"]["result"] is False
    assert "not enough space" in states["postfix_smarthost-qubes-mail"]["comment"]
    assert states["postfix_smarthost-qubes-next"]["result"] is False
    dom0.is_world({**dom0.world, "fails": []})
    assert asked(dom0, MAIL) == MADE[2:]


WRONG: dict[str, tuple[str, list[str]]] = {
    "no such template": (
        "{clone: debian-12}",
        [
            "mail: there is no template debian-12 to clone debian-12-mail from: give clone under qube, one of"
            " debian-13-xfce, fedora-42-xfce."
        ],
    ),
    "a template that is to be made of nothing": (
        "{template: my-mail}",
        ["mail: there is no template my-mail: give clone, the one that it is to be cloned from."],
    ),
    "a template that is none": (
        "{template: personal}",
        ["mail: personal is no template (its class is AppVM)."],
    ),
    "all at once": (
        "{label: yelow, netvm: sys-firewal}",
        [
            "mail: there is no label yelow: use red, orange, yellow, green, gray, blue, purple, black.",
            "mail: there is no qube sys-firewal to be its netvm; did you mean sys-firewall.",
        ],
    ),
    "a netvm that is none": (
        "{netvm: personal}",
        ["mail: personal gives no network to other qubes: name another netvm."],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_made_is_told_before_anything_is(dom0: Dom0, what: str) -> None:
    qube, sentences = WRONG[what]
    assert refused(dom0, f"{MAIL}  qube: {qube}\n") == sentences


def test_names_that_no_qube_may_have_are_told(dom0: Dom0) -> None:
    for name, words in {
        "fedora-42-xfce": "this qube is of class TemplateVM",
        "dom0": "this qube is of class AdminVM",
        "1mail": "this is no name for a qube",
        "m" * 32: "this is no name for a qube",
        "mail-dm": "this is no name for a qube",
    }.items():
        (sentence,) = refused(dom0, MAIL.replace("mail:", f"{name}:"))
        assert sentence.startswith(f"{name}: {words}")


def test_firewall_does_not_cut_off_a_program_in_the_qube(dom0: Dom0) -> None:
    bridge = MAIL.replace("relay: Mail.Own.example", "relay: 127.0.0.1\n      tls: {mode: none}")
    (sentence,) = refused(dom0, f"{bridge}  qube: {{firewall: true}}\n")
    assert sentence.startswith("mail: firewall would cut off the program behind me@own.example")
    assert asked(dom0, bridge) == MADE


def test_file_with_a_mistake_makes_nothing(dom0: Dom0) -> None:
    (sentence,) = refused(
        dom0, MAIL.replace("address: you", "adress: you").replace("password", "pasword", 1)
    )[:1]
    assert "line 3" in sentence
    dom0.qubes_yaml.unlink()
    (state,) = dom0.apply("postfix_smarthost.qubes").values()
    assert "qubes.yaml is missing" in state["comment"]


def test_qube_is_told_nothing_of_how_it_is_made(tmp_path: Path) -> None:
    dom0 = Pillar(tmp_path)
    dom0.write(f"defaults: {{qube: {{label: red}}}}\n{MAIL}work:\n{ACCOUNT}  qube: {{netvm: sys-whonix}}\n")
    for name in ("mail", "work"):
        record = dom0.pillar(name)["postfix_smarthost"]
        assert [*record] == ["accounts"]


def test_check_is_applied_in_dom0_as_well(dom0: Dom0) -> None:
    dom0.says(MAIL)
    (state,) = dom0.apply("postfix_smarthost.check").values()
    assert (state["result"], state["comment"]) == (True, "qubes.yaml is good.")
    dom0.says(MAIL.replace("relay: Mail.Own.example\n", "\n"))
    (state,) = dom0.apply("postfix_smarthost.check").values()
    assert state["result"] is False
