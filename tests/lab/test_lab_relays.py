# SPDX-License-Identifier: Apache-2.0
"""The lab's relays are strict, show any certificate, and may be a program of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, ANN, BOB, unique

if TYPE_CHECKING:
    from .accounts import Account
    from .lab import Lab
    from .qube import Qube
    from .relay import Relay

_CLIENT = """\
import json, smtplib, ssl, sys
port, login, password, sender, subject = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
host = "smtp.a.test" if login != "bob.login" else "smtp.b.test"
try:
    if port == "465":
        smtp = smtplib.SMTP_SSL(host, 465, context=context, timeout=20)
    else:
        smtp = smtplib.SMTP(host, int(port), timeout=20)
        if login:
            smtp.starttls(context=context)
    if login:
        smtp.login(login, password)
    smtp.sendmail(sender, ["rita@recipients.test", "x@elsewhere.test"], f"Subject: {subject}\\n\\nHello\\n")
    print("sent")
except smtplib.SMTPRecipientsRefused as error:
    print(error.recipients["rita@recipients.test"][0])
except smtplib.SMTPResponseException as error:
    print(error.smtp_code)
except (ssl.SSLError, OSError) as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("port", "account", "password", "sender", "outcome"),
    [
        (587, ALICE, ALICE.password, ALICE.address, "sent"),
        (465, ALICE, ALICE.password, ALICE.address, "sent"),
        (465, BOB, BOB.password, BOB.address, "sent"),
        (587, ALICE, "wrong", ALICE.address, "535"),
        (587, ALICE, ANN.password, ALICE.address, "535"),
        (587, ALICE, ALICE.password, ANN.address, "553"),
        (587, None, "", ALICE.address, "530"),
        (25, ALICE, ALICE.password, ALICE.address, "ConnectionRefusedError"),
    ],
)
def test_a_relay_is_strict(
    bare_client: Qube,
    relay_a: Relay,
    relay_b: Relay,
    port: int,
    account: Account | None,
    password: str,
    sender: str,
    outcome: str,
) -> None:
    relay = relay_b if account is BOB else relay_a
    login = account.login if account else ""
    subject = unique()
    before = len(relay.logins())
    done = bare_client.run("python3", "-", str(port), login, password, sender, subject, stdin=_CLIENT)
    assert done.stdout == outcome + "\n"
    if outcome == "sent":
        mail = relay.wait_for(subject=subject)
        assert (mail.login, mail.sender, mail.tls) == (login, sender, "TLSv1.3")
        assert sorted(mail.recipients) == ["rita@recipients.test", "x@elsewhere.test"]
        assert mail.client_address == bare_client.address
        assert mail.message.get_content() == "Hello\n"
    else:
        assert relay.received(subject) == []
    tried = [(attempt.user, attempt.ok) for attempt in relay.logins()[before:]]
    if account is None or outcome == "ConnectionRefusedError":
        assert tried == []
    else:
        assert set(tried) == {(login, outcome != "535")}


def test_users_of_a_relay_come_and_go(lab: Lab, bare_client: Qube, relay_a: Relay) -> None:
    def send(password: str) -> str:
        arguments = ("587", "zoe", password, "zoe@a.test", unique())
        return bare_client.run("python3", "-", *arguments, stdin=_CLIENT).stdout.strip()

    assert send("one") == "535"
    relay_a.set_user("zoe", "one", senders=["zoe@a.test"])
    assert send("one") == "sent"
    relay_a.set_user("zoe", 'p\u00e4ss "#:\\ word', senders=["zoe@a.test"])
    assert send("one") == "535"
    assert relay_a.logins()[-1].ok is False
    relay_a.set_user("zoe", None)


@pytest.mark.parametrize("kind", ["self-signed", "wrong-name", "expired", "unknown-ca"])
def test_a_relay_can_show_any_certificate(lab: Lab, bare_client: Qube, kind: str) -> None:
    name = f"{kind}.test"
    relay = lab.relay(name, users={"eve": "eve"}, certificate=kind)
    script = _CLIENT.replace('"smtp.a.test"', f'"{name}"')
    done = bare_client.run("python3", "-", "465", "eve", "eve", "eve@a.test", unique(), stdin=script)
    assert done.stdout == "SSLCertVerificationError\n"
    assert relay.logins() == []
    assert relay.connections() == [bare_client.address]
    relay.stop()


def test_a_server_runs_a_program_of_the_test(lab: Lab, bare_client: Qube) -> None:
    script = """\
import socket
listening = socket.create_server(("", 25))
while True:
    client, address = listening.accept()
    print("from", address[0])
    client.sendall(b"220 hello\\r\\n")
"""
    server = lab.server("odd.test", script)
    client = "import socket; print(socket.create_connection(('odd.test', 25), 10).recv(99).decode().strip())"
    assert bare_client.run("python3", "-c", client).stdout == "220 hello\n"
    assert f"from {bare_client.address}" in server.log()
    server.stop()
