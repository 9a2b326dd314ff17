# SPDX-License-Identifier: Apache-2.0
"""`postfix-smarthost verify` tells of each account whether its relay takes mail, or the first thing that is wrong.

All verdicts come from one run, side by side, against relays of which each behaves badly in another way.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from . import direct, profiles
from .accounts import ALICE, BOB, RECIPIENT, pillar, unique
from .certificates import Authority
from .outages import dead_name_service, dropped, without_network
from .scripted import HANG, Port, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

PASSWORD = "a-secret-of-check"
# The password as PLAIN and LOGIN send it.
FORMS = (PASSWORD, base64.b64encode(PASSWORD.encode()).decode())
CHECK = "smtp.check.test"
DROPPED = 2619
PORTS = {
    587: Port(),
    2601: Port(auth="PLAIN", answers={"AUTH": f"535 5.7.8 no such login, not with {' nor '.join(FORMS)}"}),
    2602: Port(answers={"AUTH": "454 4.7.0 later"}),
    2603: Port(auth="XOAUTH2"),
    2604: Port(auth="SCRAM-SHA-256"),
    2600: Port(auth="SCRAM-SHA-512 XOAUTH2"),
    2605: Port(answers={"MAIL": "550 5.7.1 not yours"}),
    2606: Port(answers={"GREETING": "421 4.3.2 too many of you"}),
    2607: Port(answers={"GREETING": "HTTP/1.1 302 Found"}),
    2608: Port(tls=False),
    2609: Port(answers={"GREETING": HANG}),
    2610: Port(answers={"STARTTLS": "454 4.3.3 not now"}),
    2611: Port(answers={"AUTH": HANG}),
    2612: Port(auth="LOGIN"),
    2613: Port(auth="", answers={"MAIL": "451 4.7.1 later"}),
    2614: Port(implicit=True),
    2615: Port(),
    2616: Port(implicit=True),
    2617: Port(),
    2618: Port(),
    DROPPED: Port(),
}


@dataclass(frozen=True)
class Case:
    """What is asked, and what is told of it.

    Args:
        about: of the record, beside address and password.
        works: whether it takes mail.
        words: what stands in the verdict.

    """

    about: dict[str, Any]
    works: bool
    words: tuple[str, ...]


def at(port: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"relay": CHECK, "port": port, **more}


def wrong(about: dict[str, Any], *words: str) -> Case:
    return Case(about, works=False, words=words)


def right(about: dict[str, Any], *words: str) -> Case:
    return Case(about, works=True, words=words)


NO_PIN = ":".join(["00"] * 32)
CASES = {
    "good": right(at(587), f"{CHECK} port 587 takes its mail (login by PLAIN)"),
    "login": right(at(2612), "takes its mail (login by LOGIN)"),
    "implicit": right(at(2614, tls={"mode": "implicit"}), "takes its mail"),
    "no-login": right(at(2618, auth="none"), f"{CHECK} port 2618 takes its mail"),
    "refused": wrong(
        at(2601), "refuses the user name or the password (535 5.7.8", "not with *** nor ***", "qubes.yaml"
    ),
    "often": wrong(at(2602), "lets nobody log in at the moment: 454", "later"),
    "oauth": wrong(at(2603), "offers no way to log in with a password (XOAUTH2)"),
    "scram": wrong(at(2604), "refuses the user name or the password (501", "cannot be read"),
    "scram-512": wrong(at(2600), "refuses the user name or the password (501", "cannot be read"),
    "sender": wrong(at(2605), "does not let sender@check.test send: 550 5.7.1 not yours"),
    "sender-later": wrong(at(2613, auth="none"), "does not let", "451", "later"),
    "busy": wrong(at(2606), "accepts nothing from this network: 421 4.3.2 too many of you"),
    "page": wrong(at(2607), "is no mail server", "log in with a browser"),
    "no-tls": wrong(at(2608), "does not offer TLS, so no password was sent"),
    "silent": wrong(at(2609), f"{CHECK} port 2609 says nothing"),
    "tls-later": wrong(at(2610), "does not begin TLS: 454"),
    "hangs": wrong(at(2611), "does not answer in time"),
    "plain-at-implicit": wrong(at(2615, tls={"mode": "implicit"}), "does not begin with TLS", "starttls"),
    "implicit-at-plain": wrong(at(2616, tls={"mode": "starttls"}), "says nothing"),
    "no-port": wrong(at(2699), "nothing answers at port 2699 of smtp.check.test; 587 does", "port: 587"),
    "dropped": wrong(at(DROPPED), f"lets nothing through to port {DROPPED} of {CHECK}; 587 does"),
    "no-host": wrong({"relay": "smtp.gone.test"}, "port 587 of smtp.gone.test", "qvm-firewall"),
    "no-name": wrong({"relay": "smtp.nosuch.test"}, "the name smtp.nosuch.test does not exist"),
    "ipv6-only": wrong({"relay": "six.check.test"}, "six.check.test has no address that this qube can reach"),
    "slip": wrong({"relay": "smtp.gmial.com"}, "does not exist", "did you mean smtp.gmail.com?"),
    "other-name": wrong(
        {"relay": "other.check.test"}, "the certificate is for ", "not for other.check.test, so no password"
    ),
    "expired": wrong(
        {"relay": "old.check.test"}, "has expired, so no password", "the clock of this qube says 20"
    ),
    "slow-clock": wrong(
        {"relay": "new.check.test"}, "is not valid yet, so no password", "the clock of this qube says 20"
    ),
    "self-signed": wrong(
        {"relay": "own.check.test"}, "nobody whom this qube trusts vouches", "docs/relays.md"
    ),
    "unknown-ca": wrong({"relay": "ca.check.test"}, "nobody whom this qube trusts vouches"),
    "pin": wrong(at(2617, tls={"fingerprint": [NO_PIN]}), "is none of the pinned ones"),
}
CERTIFICATES = {
    "other.check.test": "wrong-name",
    "old.check.test": "expired",
    "new.check.test": "future",
    "own.check.test": "self-signed",
    "ca.check.test": "unknown-ca",
}


@pytest.fixture(scope="module")
def check(lab: Lab) -> Scripted:
    """Give the host that behaves in all those ways, by port and by the name that it is asked for."""
    names = {name: Port() for name in CERTIFICATES}
    scripted = Scripted(
        lab, CHECK, {port: does if port != 587 else Port(names=names) for port, does in PORTS.items()}
    )
    for name, kind in CERTIFICATES.items():
        made = lab.authority.issue(name, kind)
        scripted.host.write(f"/etc/postfix/{name}.pem", made.key + made.certificate)
        lab.network.add_name(name, scripted.host.address)
    lab.network.add_name("smtp.gone.test", "10.138.99.99")
    lab.network.add_name("six.check.test", "2001:db8::587")
    return scripted


def records() -> list[dict[str, Any]]:
    return [
        {"address": f"{name}@check.test", "password": PASSWORD} | case.about for name, case in CASES.items()
    ]


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, check: Scripted, relay_a: Relay, relay_b: Relay) -> Iterator[Qube]:
    assert check.host.running
    assert relay_a.running
    assert relay_b.running
    accounts = [
        {key: value for key, value in record.items() if record.get("auth") != "none" or key != "password"}
        for record in records()
    ]
    qube = lab.qube(unique("mail"), template=prepared, pillar=pillar(ALICE, BOB, *accounts))
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


@dataclass(frozen=True)
class Run:
    """A run of the program: what it printed, its exit code, and how long it took in seconds."""

    text: str
    code: int
    seconds: float
    processes: str


@pytest.fixture(scope="module")
def run(lab: Lab, qube: Qube) -> Run:
    with dropped(lab, DROPPED):
        began = time.monotonic()
        look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >/run/seen"
        script = f"{direct.PROGRAM} verify --json & sleep 2; {look}; wait $!"
        ended = qube.run("sh", "-c", script, check=False)
        seen = qube.run("tr", "\\0", " ", stdin=qube.read("/run/seen")).stdout
        return Run(ended.stdout + ended.stderr, ended.returncode, time.monotonic() - began, seen)


@pytest.mark.parametrize("name", CASES)
def test_verdict(run: Run, name: str) -> None:
    (told,) = [told for told in json.loads(run.text) if told["account"] == f"{name}@check.test"]
    case = CASES[name]
    said = f"{told['text']}: {told['way_out']}"
    assert told["works"] is case.works, said
    for words in case.words:
        assert words in said


def test_accounts_that_work_are_right_whatever_the_others_do(run: Run) -> None:
    told = {each["account"]: each for each in json.loads(run.text)}
    assert [*told][:2] == [ALICE.address, BOB.address]
    assert told[ALICE.address]["works"]
    assert told[BOB.address]["works"]
    # Those that hang have a thread each.
    assert run.seconds < 45
    assert run.code == 1


def test_password_is_nowhere(qube: Qube, run: Run) -> None:
    everything = run.text + run.processes + qube.run("journalctl", "-b", "-o", "cat").stdout
    assert "postfix-smarthost" in run.processes
    for secret in (*FORMS, ALICE.password, BOB.password):
        assert secret not in everything


def test_no_password_goes_where_the_certificate_is_not_right(run: Run, check: Scripted) -> None:
    logins = {event.login for event in check.events() if event.what == "login"}
    assert "good@check.test" in logins
    for name in ("other-name", "expired", "slow-clock", "self-signed", "unknown-ca", "pin", "no-tls", "page"):
        assert f"{name}@check.test" not in logins
    assert run.code == 1


def test_check_sends_no_message_and_names_no_qube(qube: Qube, run: Run, check: Scripted) -> None:
    events = check.events()
    assert [event for event in events if event.what.startswith(("RCPT", "DATA", "message"))] == []
    assert {event.what for event in events if event.what.lower().startswith("ehlo")} == {
        "ehlo localhost.localdomain"
    }
    assert qube.name not in " ".join(event.what for event in events)
    assert run.text


def test_one_account_in_words_and_by_salt(qube: Qube) -> None:
    said = qube.run(direct.PROGRAM, "verify", ALICE.address)
    assert (
        said.stdout == f"{ALICE.address}: {ALICE.relay} port {ALICE.port} takes its mail (login by PLAIN)\n"
    )
    told = direct.run(qube, "postfix_smarthost.verify", account="refused@check.test").result
    assert told["refused@check.test"]["works"] is False
    nobody = qube.run(direct.PROGRAM, "verify", "nobody@a.test", check=False)
    assert nobody.returncode == 2
    assert nobody.stderr.startswith("postfix-smarthost: nobody@a.test is no account of this qube. It has: ")


def test_message_is_followed_to_the_relay(qube: Qube, relay_a: Relay, lab: Lab) -> None:
    said = qube.run(direct.PROGRAM, "verify", ALICE.address, "--to", RECIPIENT)
    assert f"a message to {RECIPIENT} was taken: 250" in said.stdout
    (mail,) = [mail for mail in relay_a.received() if mail.subject == "postfix_smarthost: does mail go out?"]
    assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    wrong_one = qube.run(direct.PROGRAM, "verify", "--to", "rita", check=False)
    assert (wrong_one.returncode, wrong_one.stdout) == (2, "")
    assert "rita is no address to send to" in wrong_one.stderr


def test_name_service_that_is_dead_is_told(lab: Lab, qube: Qube) -> None:
    with dead_name_service(lab):
        said = qube.run(direct.PROGRAM, "verify", ALICE.address, check=False)
    assert said.returncode == 1
    assert f"the name {ALICE.relay} cannot be looked up: no name server answers" in said.stdout


def test_qube_without_a_network_is_told(qube: Qube) -> None:
    with without_network(qube):
        said = qube.run(direct.PROGRAM, "verify", ALICE.address, check=False)
    assert said.returncode == 1
    assert "no name server answers" in said.stdout or "has no network" in said.stdout


def test_certificate_is_judged_as_postfix_does(lab: Lab, qube: Qube, check: Scripted) -> None:
    """By a private CA, by a fingerprint of the certificate, and by one of its key."""
    home, pinned = Authority("Home CA"), lab.authority.issue("pinned.check.test", "self-signed")
    lent = home.issue("home.check.test")
    names = {"home": lent, "pinned": pinned, "by-key": pinned}
    for name, certificate in names.items():
        check.host.write(f"/etc/postfix/{name}.check.test.pem", certificate.key + certificate.certificate)
        lab.network.add_name(f"{name}.check.test", check.host.address)
    tls = {
        "home": {"ca": home.certificate},
        "pinned": {"fingerprint": [pinned.fingerprint]},
        "by-key": {"fingerprint": [NO_PIN, pinned.key_fingerprint]},
    }
    accounts = [
        {
            "address": f"{name}@check.test",
            "relay": f"{name}.check.test",
            "password": PASSWORD,
            "tls": tls[name],
        }
        for name in names
    ]
    qube.pillar = pillar(*accounts)
    assert direct.run(qube).error is None
    said = qube.run(direct.PROGRAM, "verify", "--json")
    assert [told["works"] for told in json.loads(said.stdout)] == [True, True, True]
    for account in accounts:
        subject = unique()
        qube.send(sender=str(account["address"]), to=RECIPIENT, subject=subject)
        assert check.wait_for(subject, diagnosis=qube.diagnosis).login == account["address"]


def test_sls_fails_if_one_account_does(lab: Lab, qube: Qube) -> None:
    qube.pillar = pillar(ALICE)
    assert direct.run(qube).error is None
    good = qube.apply("postfix_smarthost.verify").check()
    assert "takes its mail" in good.states["postfix_smarthost-verify"]["comment"]
    qube.pillar = pillar(
        ALICE, {"address": "refused@check.test", "password": PASSWORD} | CASES["refused"].about
    )
    assert direct.run(qube).error is None
    bad = qube.apply("postfix_smarthost.verify")
    state = bad.states["postfix_smarthost-verify"]
    assert state["result"] is False
    first, second = state["comment"].splitlines()
    assert first.startswith(f"{ALICE.address}: {ALICE.relay} port")
    assert second.startswith("refused@check.test: smtp.check.test refuses the user name or the password")
    assert not bad.ok
    assert state["changes"] == {}
    for secret in FORMS:
        assert secret not in bad.printed + bad.logged


def test_password_hint_of_a_provider(lab: Lab, qube: Qube) -> None:
    profiles.start(lab, "mx.hint.test")
    qube.pillar = pillar(ALICE, {"address": "wrong@gmail.com", "password": PASSWORD})
    assert direct.run(qube).error is None
    said = qube.run(direct.PROGRAM, "verify", "wrong@gmail.com", check=False)
    assert "smtp.gmail.com refuses the user name or the password (535" in said.stdout
    assert "https://myaccount.google.com/apppasswords" in said.stdout
