# SPDX-License-Identifier: Apache-2.0
"""An account with a password logs in by it, whatever else a relay offers and a template has installed.

A SASL plugin that is merely installed takes part (KMail brings libsasl2-modules-kdexoauth2, Fedora has sasl-xoauth2).
Here it is a plugin of Debian's under another name: what matters is that the library knows the mechanism and prefers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import RECIPIENT, pillar, unique
from .scripted import Port, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

# No longer than the mechanism of the plugin that is renamed.
INSTALLED = ("XOAUTH2", "OTP", "PASSKEY")
OFFERS = {
    2701: "LOGIN PLAIN XOAUTH2",
    2702: "XOAUTH2 OAUTHBEARER PLAIN-CLIENTTOKEN LOGIN PLAIN",
    2703: "GSSAPI NTLM LOGIN XOAUTH2",
    2704: "EXTERNAL OTP PLAIN",
    2705: "PASSKEY SCRAM-SHA-256-PLUS PLAIN",
    2706: "XOAUTH2 plain login",
}
CANNOT = {
    2711: "XOAUTH2",
    2712: "XOAUTH2 OAUTHBEARER",
    2713: "GSSAPI NTLM EXTERNAL",
    2714: "OTP PASSKEY DIGEST-MD5",
    2715: "ANONYMOUS",
}
PASSWORDS = ("CRAM-MD5", "LOGIN", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256")

_PLUGIN = """\
import glob, os, sys
(source,) = glob.glob("/usr/lib/*/sasl2/libcrammd5.so")
data = open(source, "rb").read()
name = sys.argv[1].encode()
assert b"CRAM-MD5\\0" in data
target = os.path.join(os.path.dirname(source), f"lib{sys.argv[1].lower()}.so")
with open(target, "wb") as file:
    file.write(data.replace(b"CRAM-MD5\\0", name.ljust(9, b"\\0")))
"""


@pytest.fixture(scope="module")
def scripted(lab: Lab) -> Scripted:
    return Scripted(
        lab, "smtp.mech.test", {port: Port(auth=auth) for port, auth in (OFFERS | CANNOT).items()}
    )


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, scripted: Scripted) -> Iterator[Qube]:
    """Give a qube with an account for each port, and with more plugins than Postfix needs."""
    records = [
        {"address": f"port{port}@mech.test", "relay": scripted.name, "port": port, "password": "a-password"}
        for port in OFFERS | CANNOT
    ]
    qube = lab.qube(unique("mail"), template=prepared, pillar=pillar(*records))
    for name in INSTALLED:
        qube.run("python3", "-c", _PLUGIN, name)
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


@pytest.mark.parametrize("port", OFFERS, ids=OFFERS.values())
def test_password_account_logs_in_by_its_password(qube: Qube, scripted: Scripted, port: int) -> None:
    subject = unique()
    qube.send(sender=f"port{port}@mech.test", to=RECIPIENT, subject=subject)
    assert scripted.wait_for(subject, diagnosis=qube.diagnosis).login == f"port{port}@mech.test"
    tried = {
        event.mechanism.upper() for event in scripted.events() if event.port == port and event.what == "login"
    }
    assert tried <= {"LOGIN", "PLAIN"}


@pytest.mark.parametrize("port", CANNOT, ids=CANNOT.values())
def test_relay_that_offers_no_password_login_waits_with_a_reason(
    qube: Qube, scripted: Scripted, port: int
) -> None:
    sender, subject = f"port{port}@mech.test", unique()
    qube.send(sender=sender, to=RECIPIENT, subject=subject)

    def deferred() -> list[str]:
        mails = [
            mail for mail in qube.queue() if (mail["sender"], mail["queue_name"]) == (sender, "deferred")
        ]
        return [mail["recipients"][0]["delay_reason"] for mail in mails]

    (why,) = qube.wait_for(deferred, f"the mail of {sender} in the queue")
    assert "offered no compatible authentication mechanisms" in why
    got = [event.what for event in scripted.events() if event.port == port]
    assert "connect" in got
    assert not [what for what in got if what.startswith(("AUTH", "MAIL"))]


def test_each_way_to_log_in_by_a_password_works(lab: Lab, qube: Qube) -> None:
    user = {"pam@pass.test": "pams: p\u00e4ss word"}
    relay: Relay = lab.relay("smtp.pass.test", users=user, mechanisms=[name.lower() for name in PASSWORDS])
    (address, password) = next(iter(user.items()))
    qube.pillar = pillar({"address": address, "relay": relay.name, "password": password})
    assert direct.run(qube).error is None
    configured = relay.run("cat", "/etc/dovecot/dovecot.conf").stdout
    for name in PASSWORDS:
        lines = [
            f"auth_mechanisms = {name.lower()}" if "mechanisms" in line else line
            for line in configured.split("\n")
        ]
        relay.write("/etc/dovecot/dovecot.conf", "\n".join(lines))
        # Not more often than systemd likes.
        relay.run("sh", "-c", "systemctl reset-failed dovecot; systemctl restart dovecot")
        relay.run("postfix", "reload")  # smtpd(8) asks for the mechanisms once.
        assert f"(login by {name})" in qube.run(direct.PROGRAM, "verify").stdout
        subject = unique()
        qube.send(sender=address, to=RECIPIENT, subject=subject)
        assert relay.wait_for(subject, diagnosis=qube.diagnosis).login == address
        assert relay.logins()[-1].mechanism == name
