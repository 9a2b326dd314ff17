# SPDX-License-Identifier: Apache-2.0
"""Relays without a login, programs in the qube that speak clear text, and private certificate authorities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, RECIPIENT, pillar, unique
from .certificates import Authority
from .outcome import reason
from .scripted import Event, Port, Scripted, events, script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .certificates import Certificate
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

HAL = {"address": "hal@home.test", "relay": "smtp.home.test", "password": "hals-password"}
# In the qube, as Proton Bridge, email-oauth2-proxy or a tunnel.
PROXY = {
    1025: Port(tls=False, auth="PLAIN LOGIN"),
    1026: Port(tls=False, auth=""),
    1027: Port(auth="PLAIN LOGIN"),
}


@pytest.fixture(scope="module")
def home() -> Authority:
    """Give a certificate authority that no system trusts."""
    return Authority("Home CA")


@pytest.fixture(scope="module")
def private(lab: Lab, home: Authority) -> Relay:
    """Give a relay with a certificate of that authority."""
    users = {HAL["address"]: HAL["password"]}
    relay = lab.relay("smtp.home.test", users=users, certificate="unknown-ca")
    show(relay, home.issue("smtp.home.test"))
    return relay


@pytest.fixture(scope="module")
def scripted(lab: Lab) -> Scripted:
    return Scripted(
        lab, "smtp.open.test", {587: Port(auth=""), 2901: Port(), 2902: Port(tls=False, auth="PLAIN")}
    )


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template) -> Iterator[Qube]:
    qube = lab.qube(unique("mail"), template=prepared, pillar=pillar(ALICE))
    own = lab.authority.issue("localhost", "self-signed")
    qube.write("/run/proxy/certificate.pem", own.certificate)
    qube.write("/run/proxy/key.pem", own.key)
    qube.write("/run/proxy/program", script(PROXY, "/run/proxy"))
    qube.run("systemd-run", "--unit=proxy", "python3", "-u", "/run/proxy/program")
    qube.wait_for(lambda: ":1027 " in qube.run("ss", "-lntH").stdout, "the program in the qube")
    yield qube
    lab.remove(qube)


def show(relay: Relay, certificate: Certificate) -> None:
    """Let a relay show a certificate from now on."""
    relay.write("/etc/postfix/certificate.pem", certificate.certificate)
    relay.write("/etc/postfix/key.pem", certificate.key)
    relay.run("postfix", "reload")


def apply(qube: Qube, *accounts: object) -> None:
    qube.pillar = pillar(*accounts)
    assert direct.run(qube).error is None


def send(qube: Qube, sender: str) -> str:
    """Send a message and return its subject."""
    subject = unique()
    qube.send(sender=sender, to=RECIPIENT, subject=subject)
    return subject


def proxy_got(qube: Qube, subject: str) -> Event:
    """Wait for the message that the program in the qube got, and return it."""

    def found() -> list[Event]:
        got = events(qube.run("journalctl", "-u", "proxy", "-o", "cat").stdout)
        return [event for event in got if f"Subject: {subject}\r\n" in event.text]

    (event,) = qube.wait_for(found, f"the mail {subject!r}")
    return event  # type: ignore[no-any-return]


# -- without a login ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [587, 2901], ids=["none offered", "one offered"])
def test_account_without_a_login_sends_over_verified_tls(qube: Qube, scripted: Scripted, port: int) -> None:
    apply(qube, ALICE, {"address": "olga@open.test", "relay": scripted.name, "port": port, "auth": "none"})
    got = scripted.wait_for(send(qube, "olga@open.test"), diagnosis=qube.diagnosis)
    assert (got.port, got.login) == (port, "")
    assert [event for event in scripted.events() if event.what.startswith("AUTH")] == []


def test_account_without_a_login_needs_verified_tls(qube: Qube, scripted: Scripted, private: Relay) -> None:
    olga = {"address": "olga@open.test", "auth": "none"}
    apply(qube, olga | {"relay": scripted.name, "port": 2902})
    send(qube, "olga@open.test")
    assert "TLS is required, but was not offered" in reason(qube, "olga@open.test")
    apply(qube, olga | {"relay": private.name, "port": 465})
    send(qube, "olga@open.test")
    assert reason(qube, "olga@open.test") == "Server certificate not verified"


def test_account_whose_password_is_missing_is_none_without_a_login(
    qube: Qube, relay_a: Relay, scripted: Scripted
) -> None:
    """Both at one relay, of which one logs in nowhere: the other one's mail waits."""
    both = [
        {"address": f"{name}@open.test", "relay": scripted.name, "port": 2901} for name in ("olga", "otto")
    ]
    apply(qube, ALICE, both[0] | {"auth": "none"}, both[1] | {"password": "ottos-password"})
    tables = qube.run("sh", "-c", "ls -d /etc/postfix/tables-*").stdout.strip()
    qube.run("sh", "-c", f"sed -i '/@/d' {tables}/saslpass && postmap {tables}/saslpass && postfix reload")
    subjects = [send(qube, sender) for sender in ("otto@open.test", ALICE.address)]
    assert scripted.wait_for(send(qube, "olga@open.test"), diagnosis=qube.diagnosis).login == ""
    for sender in ("otto@open.test", ALICE.address):
        assert "local data error" in reason(qube, sender)
    assert scripted.messages(subjects[0]) == []
    assert relay_a.received(subjects[1]) == []


# -- a program in the qube ------------------------------------------------------------------------------------


@pytest.mark.parametrize("relay", ["127.0.0.1", "localhost", "LocalHost", "::1"])
def test_program_in_the_qube_gets_mail_in_clear_text(qube: Qube, mx: MX, relay: str) -> None:
    clear = {"relay": relay, "tls": {"mode": "none"}}
    proxied = {"address": "pia@proton.test", "port": 1025, "password": "the-bridge's-own"} | clear
    tunnelled = {"address": "tom@tunnel.test", "port": 1026, "auth": "none"} | clear
    apply(qube, proxied, tunnelled)
    assert proxy_got(qube, send(qube, "pia@proton.test")).login == "pia@proton.test"
    assert proxy_got(qube, send(qube, "tom@tunnel.test")).login == ""
    assert mx.connections() == []


@pytest.mark.parametrize("relay", ["127.0.0.1", "localhost", "::1"])
def test_program_in_the_qube_is_pinned_where_it_speaks_tls(qube: Qube, relay: str) -> None:
    shown = qube.run(
        "openssl", "x509", "-in", "/run/proxy/certificate.pem", "-noout", "-fingerprint", "-sha256"
    ).stdout
    pin = shown.strip().rpartition("=")[2]
    record = {"address": "pia@proton.test", "relay": relay, "port": 1027, "password": "the-bridge's-own"}
    apply(qube, record | {"tls": {"fingerprint": [pin]}})
    assert proxy_got(qube, send(qube, "pia@proton.test")).login == "pia@proton.test"
    apply(qube, record | {"tls": {"fingerprint": [":".join(["00"] * 32)]}})
    send(qube, "pia@proton.test")
    assert reason(qube, "pia@proton.test") == "Server certificate not verified"


def test_clear_text_gets_to_no_other_host_whatever_the_tables_say(qube: Qube, scripted: Scripted) -> None:
    """The second barrier behind the check of the pillar: an address of loopback cannot reach another host."""
    record = {
        "address": "pia@proton.test",
        "relay": "127.0.0.1",
        "port": 1025,
        "password": "the-bridge's-own",
    }
    apply(qube, record | {"tls": {"mode": "none"}})
    table = qube.run("sh", "-c", "ls /etc/postfix/tables-*/sender_relay").stdout.strip()
    qube.run("sh", "-c", f"sed -i 's/:.127.0.0.1.:1025/:[{scripted.name}]:2902/' {table} && postmap {table}")
    qube.run("postfix", "reload")
    send(qube, "pia@proton.test")
    assert f"connect to {scripted.name}" in reason(qube, "pia@proton.test")
    assert [event for event in scripted.events() if event.port == 2902 and "AUTH" in event.what] == []


@pytest.mark.parametrize(
    "relay", ["loop.test", "10.138.0.1", "::ffff:127.0.0.1", "0.0.0.0", "localhost.localdomain"]
)
def test_clear_text_is_for_addresses_of_loopback_only(lab: Lab, qube: Qube, relay: str) -> None:
    lab.network.add_name("loop.test", "127.0.0.1")
    before = qube.tree("/usr/local/etc/postfix", "/rw/config")
    record = {"address": "pia@proton.test", "relay": relay, "port": 1025, "tls": {"mode": "none"}}
    said = direct.run(qube, pillar=pillar(record | {"password": "the-bridge's-own"}))
    assert said.error == (
        "Account 1 (pia@proton.test): tls: mode none is for a program in this qube only, with 127.0.0.1, ::1 or"
        " localhost for relay: anywhere else the password and the mail would be in clear text."
    )
    assert qube.tree("/usr/local/etc/postfix", "/rw/config") == before


# -- a private CA ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [587, 465])
def test_private_ca_vouches_for_its_relay_and_for_no_other(
    lab: Lab, qube: Qube, private: Relay, relay_a: Relay, home: Authority, port: int
) -> None:
    hal = HAL | {"port": port, "tls": {"ca": home.certificate}}
    bundle = qube.run("sha256sum", "/etc/ssl/certs/ca-certificates.crt").stdout
    apply(qube, hal, ALICE)
    for _ in range(2):
        assert private.wait_for(send(qube, HAL["address"]), diagnosis=qube.diagnosis).login == HAL["address"]
    assert relay_a.wait_for(send(qube, ALICE.address), diagnosis=qube.diagnosis).login == ALICE.login
    assert qube.run("sha256sum", "/etc/ssl/certs/ca-certificates.crt").stdout == bundle

    # Neither for another account, at the same host by another name, nor the system's CAs for this relay.
    lab.network.add_name("alias.home.test", private.address)
    logins = len(private.logins())
    apply(qube, hal, HAL | {"address": "eva@home.test", "relay": "alias.home.test"})
    send(qube, "eva@home.test")
    assert reason(qube, "eva@home.test") == "Server certificate not verified"
    for other in (lab.authority.issue("smtp.home.test"), home.issue("smtp.home.test", "wrong-name")):
        show(private, other)
        qube.run("postfix", "reload")
        send(qube, HAL["address"])
        assert reason(qube, HAL["address"]) == "Server certificate not verified"
    assert len(private.logins()) == logins
    show(private, home.issue("smtp.home.test"))


def test_self_signed_certificate_of_the_relay_s_name_is_its_own_ca(
    lab: Lab, qube: Qube, private: Relay
) -> None:
    own = lab.authority.issue("smtp.home.test", "self-signed")
    show(private, own)
    apply(qube, HAL | {"tls": {"ca": f"what is this\n{own.certificate}"}})
    assert private.wait_for(send(qube, HAL["address"]), diagnosis=qube.diagnosis).login == HAL["address"]


def test_ca_that_is_taken_out_of_the_pillar_is_nowhere(qube: Qube, home: Authority) -> None:
    apply(qube, HAL | {"tls": {"ca": home.certificate}}, ANN)
    assert qube.run("sh", "-c", "ls /etc/postfix/tables-*/ca-*").stdout.count("\n") == 1
    assert direct.run(qube).changes == {}
    apply(qube, HAL, ANN)
    assert qube.run("sh", "-c", "ls /usr/local/etc/postfix/tables-*/ca-*", check=False).stdout == ""
