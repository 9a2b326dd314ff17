# SPDX-License-Identifier: Apache-2.0
"""Mail in the lab, from a qube set up by hand: it arrives and is kept, and what goes past the relay is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ANN, RECIPIENT, unique
from .errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

# An app qube set up by hand, for what is about the lab and not about the formula.
_BY_HAND = f"""\
compatibility_level = 3.6
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
relayhost = [{ANN.relay}]:587
default_transport = smtp
mailbox_transport =
virtual_mailbox_domains = local.test
virtual_mailbox_base = /
virtual_mailbox_maps = static:/home/user/.maildir/
virtual_uid_maps = static:1000
virtual_gid_maps = static:1000
smtp_tls_security_level = secure
smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
smtp_sasl_auth_enable = yes
smtp_sasl_security_options = noanonymous
smtp_sasl_password_maps = inline:{{ {{ [{ANN.relay}]:587 = {ANN.login}:{ANN.password} }} }}
"""


@pytest.fixture(scope="module")
def with_postfix(lab: Lab) -> Template:
    """Give a template with Postfix as apt installs it, which does not run in it."""
    template = lab.template("debian-13-postfix")
    template.start()
    template.run("apt-get", "-qq", "update")
    template.run(
        *("apt-get", "-qq", "install", "--yes", "--no-install-recommends", "postfix", "libsasl2-modules"),
        env={"DEBIAN_FRONTEND": "noninteractive"},
        timeout=300,
    )
    template.run("systemctl", "disable", "--now", "postfix")
    template.shutdown()
    return template


@pytest.fixture(scope="module")
def by_hand(lab: Lab, with_postfix: Template, relay_a: Relay) -> Qube:
    """Give an app qube that sends mail through ANN's account."""
    assert relay_a.running
    qube = lab.qube("by-hand", template=with_postfix)
    qube.write("/etc/postfix/main.cf", _BY_HAND)
    qube.run("install", "-d", "-o", "user", "-g", "user", "/home/user/.maildir")
    qube.run("systemctl", "start", "postfix")
    return qube


def test_apt_installs_without_a_network(with_postfix: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=with_postfix)
    assert qube.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "postfix").stdout == "installed"
    assert qube.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"


def test_mail_goes_from_a_qube_to_the_relay(by_hand: Qube, relay_a: Relay, mx: MX) -> None:
    first, second = unique(), unique()
    by_hand.send(sender=ANN.address, to=RECIPIENT, subject=first, body="One\n", headers={"X-Lab": "yes"})
    mail = relay_a.wait_for(subject=first, diagnosis=by_hand.diagnosis)
    assert (mail.login, mail.sender, mail.recipients) == (ANN.login, ANN.address, [RECIPIENT])
    assert mail.message["X-Lab"] == "yes"
    answers = by_hand.send_smtp(sender=ANN.address, to=[RECIPIENT], subject=second)
    assert [code for code, _ in answers.values()] == [220, 250, 250, 250]
    assert relay_a.wait_for(subject=second).sender == ANN.address
    assert mx.connections() == []
    assert "status=sent" in by_hand.journal("postfix.service")


def test_local_mail_is_in_the_maildir(by_hand: Qube) -> None:
    subject = unique()
    by_hand.send(to="user@local.test", subject=subject, user="root")
    by_hand.wait_for(lambda: [m for m in by_hand.maildir() if m["Subject"] == subject], "the local mail")


def test_the_mx_would_notice(by_hand: Qube, lab: Lab, mx: MX) -> None:
    by_hand.run("postconf", "-e", "relayhost=", "smtp_tls_security_level=none")
    by_hand.run("postfix", "reload")
    try:
        subject = unique()
        by_hand.send(sender=ANN.address, to=RECIPIENT, subject=subject)
        assert mx.wait_for(subject=subject, diagnosis=by_hand.diagnosis).login == ""
        assert by_hand.address in mx.connections()
    finally:
        by_hand.write("/etc/postfix/main.cf", _BY_HAND)
        by_hand.run("postfix", "reload")
        lab.forget_mail()
    assert mx.received() == []
    assert mx.connections() == []


def test_what_a_relay_got_stays_when_it_stops(by_hand: Qube, relay_a: Relay) -> None:
    subject = unique()
    relay_a.stop()
    try:
        by_hand.send(sender=ANN.address, to=RECIPIENT, subject=subject)
        by_hand.wait_for(
            lambda: any(m["queue_name"] == "deferred" for m in by_hand.queue()), "the mail to be deferred"
        )
    finally:
        relay_a.start()
    by_hand.run("postqueue", "-f")
    relay_a.wait_for(subject=subject, diagnosis=by_hand.diagnosis)
    relay_a.stop()
    relay_a.start()
    assert len(relay_a.received(subject)) == 1
    assert relay_a.logins()[-1].user == ANN.login


def test_waiting_in_vain_tells_what_happened(by_hand: Qube) -> None:
    by_hand.run("logger", "a line in the journal")
    with pytest.raises(LabError) as caught:
        by_hand.wait_for(lambda: False, "the impossible", timeout=0.1)
    for part in (
        "by-hand: the impossible",
        "a line in the journal",
        "mail queue of by-hand",
    ):
        assert part in str(caught.value)
