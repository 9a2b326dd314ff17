# SPDX-License-Identifier: Apache-2.0
"""XOAUTH2 when something is wrong: mail waits, its reason is in the queue, and nothing bounces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, pillar, unique
from .certificates import Authority
from .oauth import OLIVE, OSCAR, TOKENS, UNIT, authorize, expire, restart, send, tokens
from .oauth_provider import OAuthProvider
from .outcome import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .certificates import Certificate
    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

REFRESH_LIMIT = 300


@pytest.fixture(scope="module")
def shared(lab: Lab, prepared: Template, provider: OAuthProvider, relay_a: Relay) -> Iterator[Qube]:
    assert relay_a.running
    qube = lab.qube(
        unique("oauth"),
        template=prepared,
        pillar=pillar(provider.record(OLIVE), provider.record(OSCAR, port=465)),
    )
    assert direct.run(qube).error is None
    for address in (OLIVE, OSCAR):
        authorize(qube, provider, address)
    qube.run("cp", "-a", TOKENS, "/run/good")
    yield qube
    lab.remove(qube)


@pytest.fixture
def qube(shared: Qube, provider: OAuthProvider) -> Iterator[Qube]:
    """Give a qube whose accounts work."""
    shared.run("cp", "-a", "/run/good/.", TOKENS)
    restart(shared)
    provider.turn()
    yield shared
    provider.turn()
    shared.run("postsuper", "-d", "ALL", check=False)


def why(qube: Qube, sender: str = OLIVE) -> str:
    """Send a message, wait until it waits, and return why, as Postfix has it."""
    send(qube, sender)
    said = reason(qube, sender)
    assert said.startswith("host 127."), said
    return said.partition("refused to talk to me: ")[2]


def comes(qube: Qube, provider: OAuthProvider, sender: str = OLIVE) -> None:
    """See that mail of an account goes out."""
    subject = send(qube, sender)
    assert provider.wait_for(subject, diagnosis=qube.diagnosis).login == sender


# -- tokens that are not taken --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["google", "microsoft"])
def test_token_that_is_withdrawn_before_its_time_is_replaced_in_the_same_attempt(
    qube: Qube, provider: OAuthProvider, shape: str
) -> None:
    provider.turn(shape=shape)
    (name,) = [name for name, told in tokens(qube).items() if provider_user(qube, name) == OLIVE]
    told = tokens(qube)[name]
    qube.write(f"{TOKENS}/{name}", json.dumps({**told, "access": "access-of-yesterday"}), mode="0600")
    refreshes, logins = provider.count("refresh", OLIVE), provider.count("login")
    subject = send(qube, OLIVE)
    provider.wait_for(subject, diagnosis=qube.diagnosis)
    assert provider.count("refresh", OLIVE) == refreshes + 1
    assert provider.count("login") == logins + 2
    assert (
        "status=deferred"
        not in qube.run("journalctl", "-b", "-t", "postfix/smtp-xoauth2/smtp").stdout[-2000:]
    )


def provider_user(qube: Qube, name: str) -> str:
    facts = qube.run("sh", "-c", "cat /etc/postfix/tables-*/xoauth2").stdout
    known = json.loads(facts)
    return next(address for address, about in known.items() if f"{about['tokens']}.json" == name)


def test_token_of_two_kilobytes_goes_by_itself(qube: Qube, provider: OAuthProvider) -> None:
    authorize(qube, provider, OLIVE, size=1600)
    comes(qube, provider)


@pytest.mark.parametrize("shape", ["google", "microsoft"])
def test_each_token_is_refused(qube: Qube, provider: OAuthProvider, shape: str) -> None:
    said = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
    provider.turn(shape=shape, refuses=said)
    refreshes, logins = provider.count("refresh"), provider.count("login")
    assert why(qube) == f"421 4.7.8 XOAUTH2: smtp.office.test said: {said}"
    assert (provider.count("refresh"), provider.count("login")) == (refreshes + 1, logins + 2)
    send(qube, OLIVE)
    qube.wait_for(lambda: "5.7.139" in str(status(qube)["notes"]), "the note")
    about = status(qube)["accounts"][OLIVE]
    assert (about["relay"], about["oauth"]["authorized"]) == ("smtp.office.test", True)
    assert about["oauth"]["reason"] == f"smtp.office.test said: {said}"
    (waits,) = status(qube)["waiting"]
    assert waits["reason"] == f"smtp.office.test said: {said}"
    verdict = qube.run(direct.PROGRAM, "verify", OLIVE, check=False).stdout
    assert verdict.startswith(f"{OLIVE}: smtp.office.test refuses the login: {said}")


def status(qube: Qube) -> dict[str, Any]:
    return json.loads(qube.run(direct.PROGRAM, "status", "--json", check=False).stdout)


@pytest.mark.parametrize("rotation", ["strict", "lax", "none"])
def test_tokens_that_last_for_no_time(qube: Qube, provider: OAuthProvider, rotation: str) -> None:
    """Each login wants a new one; two accounts at once."""
    authorize(qube, provider, OLIVE, expires_in=2, rotation=rotation)
    authorize(qube, provider, OSCAR, expires_in=2, rotation=rotation)
    logins = provider.count("login", "")
    subjects = [send(qube, sender) for _ in range(6) for sender in (OLIVE, OSCAR)]
    for subject in subjects:
        provider.wait_for(subject, diagnosis=qube.diagnosis)
    assert provider.count("login", "") == logins
    assert [len(provider.messages(subject)) for subject in subjects] == [1] * len(subjects)


# -- endpoints ------------------------------------------------------------------------------------------------


def test_authorization_that_is_withdrawn(qube: Qube, provider: OAuthProvider) -> None:
    expire(qube)
    error = {"error": "invalid_grant", "error_description": "AADSTS70008: It has expired. Trace ID: 1-2"}
    provider.turn(token=[400, {}, error])
    asked = provider.count("token otherwise")
    expected = (
        "421 4.7.0 XOAUTH2: login.office.test gives no token (invalid_grant: AADSTS70008: It has expired.): run"
        f" postfix-smarthost authorize {OLIVE} again"
    )
    assert why(qube) == expected
    assert why(qube) == expected
    # It is not asked at each message.
    assert provider.count("token otherwise") == asked + 1
    assert expected.partition("XOAUTH2: ")[2] in str(status(qube)["notes"])
    subject = send(qube, OLIVE)
    authorize(qube, provider, OLIVE)
    provider.wait_for(subject, diagnosis=qube.diagnosis)
    assert OLIVE not in str(status(qube)["notes"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([503, {}, {"error": "temporarily_unavailable"}], "gives no token (temporarily_unavailable)"),
        ([200, {}, "<html>Welcome</html>"], "gives no token: HTTP status 200, and no answer in JSON"),
        (
            [302, {"Location": "https://smtp.a.test/"}, ""],
            "gives no token: HTTP status 302, and no answer in JSON",
        ),
        ([200, {}, 30_000_000], "gives no token: HTTP status 200, and no answer in JSON"),
        ([200, {}, "[]"], "gives no token: HTTP status 200, and no answer in JSON"),
        ([200, {}, {}], "gives no access token that can be used"),
        ([200, {}, {"access_token": "a\x01b"}], "gives no access token that can be used"),
        ([200, {}, {"access_token": "x" * 20_000}], "gives no access token that can be used"),
        ([200, {}, {"access_token": "x", "refresh_token": 5}], "gives no refresh token that can be used"),
        ([500, {"X-Long": "x" * 70_000}, "{}"], "cannot be asked: the connection breaks off"),
        ("hang", "cannot be asked: no answer in time"),
    ],
    ids=range(11),
)
def test_endpoint_in_trouble(qube: Qube, provider: OAuthProvider, answer: Any, said: str) -> None:  # noqa: ANN401
    before = tokens(qube)
    expire(qube)
    provider.turn(token=answer)
    code = "4.4.1" if "cannot be asked" in said else "4.3.0"
    assert why(qube) == f"421 {code} XOAUTH2: login.office.test {said}"
    # The old one is as it was.
    assert {told["refresh"] for told in tokens(qube).values()} == {
        told["refresh"] for told in before.values()
    }
    provider.turn()
    comes(qube, provider)


def test_client_that_the_provider_does_not_know(qube: Qube, provider: OAuthProvider) -> None:
    expire(qube)
    secret = tokens(qube)
    echoed = next(told["refresh"] for name, told in secret.items() if provider_user(qube, name) == OLIVE)
    provider.turn(
        token=[401, {}, {"error": "invalid_client", "error_description": f"not {echoed}\r\n\x1b[31m"}]
    )
    assert why(qube) == (
        "421 4.7.0 XOAUTH2: login.office.test gives no token (invalid_client: not *** [31m): check oauth in qubes.yaml"
    )


# -- relays ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"answers": {"AUTH": "454 4.7.0 Temporary failure"}}, "4.3.0 said: 454 4.7.0 Temporary failure"),
        ({"answers": {"GREETING": "421 4.3.2 Too busy"}}, "4.3.0 said: 421 4.3.2 Too busy"),
        ({"answers": {"GREETING": "HTTP/1.1 200 OK"}}, "4.3.0 what answers is no mail server"),
        ({"answers": {"EHLO": "endless"}}, "4.3.0 what answers is no mail server"),
        ({"answers": {"STARTTLS": "454 4.7.0 not now"}}, "4.3.0 said: 454 4.7.0 not now"),
        ({"answers": {"AUTH": "334 bW9yZQ=="}}, "4.3.0 said: 334 bW9yZQ=="),
        ({"answers": {"AUTH": "close"}}, "4.4.1 the connection breaks off"),
        ({"answers": {"GREETING": "hang"}}, "4.4.1 no answer in time"),
        ({"auth": "LOGIN PLAIN"}, "4.3.0 offers no login by XOAUTH2"),
    ],
    ids=range(9),
)
def test_relay_in_trouble(qube: Qube, provider: OAuthProvider, knobs: dict[str, Any], said: str) -> None:
    code, _, text = said.partition(" ")
    provider.turn(**knobs)
    answer = why(qube)
    assert answer.startswith(f"421 {code} XOAUTH2: ")
    assert answer.endswith(text)
    provider.turn()
    comes(qube, provider)


def test_relay_that_dies_at_the_end_of_a_message(qube: Qube, provider: OAuthProvider) -> None:
    provider.turn(answers={"END": "close"})
    subject = send(qube, OLIVE)
    qube.wait_for(lambda: "lost connection" in str(qube.queue()), "the reason")
    provider.turn()
    qube.run("postqueue", "-f")
    qube.wait_for(lambda: len(provider.messages(subject)) == 2, "the second attempt")
    qube.wait_for(lambda: not qube.queue(), "an empty queue")


def test_relay_that_says_no_to_a_recipient_says_it_to_the_user(qube: Qube, provider: OAuthProvider) -> None:
    provider.turn(answers={"RCPT": "550 5.1.1 no such user"})
    subject = send(qube, OLIVE)
    reports = qube.wait_for(lambda: [m for m in qube.maildir() if subject in str(m)], "the report")
    assert "550 5.1.1 no such user" in " ".join(str(reports[0]).split())


# -- whom a token is shown ------------------------------------------------------------------------------------


@pytest.fixture
def shows(provider: OAuthProvider, lab: Lab) -> Iterator[Callable[[str, Certificate], None]]:
    """Give a function by which one of the provider's names shows another certificate."""
    kept = provider.host.run("cat", f"/etc/postfix/{provider.login}.pem").stdout

    def show(name: str, certificate: Certificate) -> None:
        provider.host.write(f"/etc/postfix/{name}.pem", certificate.certificate + certificate.key)

    yield show
    provider.host.run("rm", "-f", f"/etc/postfix/{provider.relay}.pem")
    provider.host.write(f"/etc/postfix/{provider.login}.pem", kept)


@pytest.mark.parametrize("kind", ["wrong-name", "unknown-ca", "expired", "self-signed"])
@pytest.mark.parametrize("sender", [OLIVE, OSCAR])
def test_another_relay_is_shown_no_token(
    lab: Lab, qube: Qube, provider: OAuthProvider, shows: Callable[..., None], kind: str, sender: str
) -> None:
    shows(provider.relay, lab.authority.issue(provider.relay, kind))
    logins = provider.count("AUTH")
    assert why(qube, sender).startswith("421 4.4.1 XOAUTH2: smtp.office.test: certificate not trusted: ")
    assert provider.count("AUTH") == logins


@pytest.mark.parametrize("kind", ["wrong-name", "unknown-ca"])
def test_another_endpoint_is_shown_no_token(
    lab: Lab, qube: Qube, provider: OAuthProvider, shows: Callable[..., None], kind: str
) -> None:
    shows(provider.login, lab.authority.issue(provider.login, kind))
    expire(qube)
    asked = provider.count("refresh")
    assert why(qube).startswith("421 4.4.1 XOAUTH2: the certificate of login.office.test is not trusted: ")
    assert provider.count("refresh") == asked


def test_relay_that_speaks_before_tls_is_shown_no_token(qube: Qube, provider: OAuthProvider) -> None:
    provider.turn(answers={"STARTTLS": "220 go ahead\r\n250-injected\r\n250 AUTH XOAUTH2"})
    logins = provider.count("AUTH")
    assert why(qube).startswith("421 4.4.1 XOAUTH2: smtp.office.test: TLS does not come about (")
    provider.turn(answers={"EHLO": "250 AUTH XOAUTH2"})
    assert why(qube) == "421 4.4.1 XOAUTH2: smtp.office.test does not offer TLS, so no token was sent"
    assert provider.count("AUTH") == logins


def test_pins_and_a_private_ca_count_as_for_a_password(
    lab: Lab, qube: Qube, provider: OAuthProvider, shows: Callable[..., None]
) -> None:
    private = Authority("Home CA")
    own, other = private.issue(provider.relay), private.issue(provider.relay)
    shows(provider.relay, own)
    old = qube.pillar
    for tls, works in (
        ({"fingerprint": [own.fingerprint]}, True),
        ({"fingerprint": [own.key_fingerprint]}, True),
        ({"fingerprint": [other.fingerprint]}, False),
        ({"ca": private.certificate}, True),
        ({"ca": Authority("Home CA").certificate}, False),
    ):
        qube.pillar = pillar(provider.record(OLIVE, tls=tls))
        assert direct.run(qube).error is None
        verdict = qube.run(direct.PROGRAM, "verify", check=False)
        assert (verdict.returncode == 0) is works, verdict.stdout
        if works:
            comes(qube, provider)
        else:
            assert why(qube).startswith("421 4.4.1 XOAUTH2: ")
    qube.pillar = old
    assert direct.run(qube).error is None
    qube.run("cp", "-a", "/run/good/.", TOKENS)


# -- the proxy ------------------------------------------------------------------------------------------------


def test_proxy_that_does_not_run(qube: Qube, provider: OAuthProvider, relay_a: Relay) -> None:
    old = qube.pillar
    qube.pillar = pillar(*old["postfix_smarthost"]["accounts"], ALICE)
    assert direct.run(qube).error is None
    qube.run("systemctl", "stop", UNIT)
    subject = send(qube, OLIVE)
    relay_a.wait_for(send(qube, ALICE.address))
    qube.wait_for(lambda: "Connection refused" in str(qube.queue()), "the reason")
    (waits,) = status(qube)["waiting"]
    assert waits["reason"] == "the program that logs in with tokens does not run"
    assert f"{UNIT}.service does not run" in str(status(qube)["notes"])
    assert direct.run(qube).changes == {"postfix": "active"}
    qube.run("postqueue", "-f")
    provider.wait_for(subject, 60, diagnosis=qube.diagnosis)
    qube.pillar = old
    assert direct.run(qube).error is None


def test_proxy_that_is_killed_again_and_again(qube: Qube, provider: OAuthProvider) -> None:
    authorize(qube, provider, OLIVE, expires_in=2, rotation="lax")
    subjects = []
    for _ in range(5):
        subjects += [send(qube, OLIVE) for _ in range(3)]
        qube.run("systemctl", "kill", "-s", "KILL", UNIT)
        qube.wait_for(lambda: ":587 " in qube.run("ss", "-lntH").stdout, "the proxy")
    for subject in subjects:
        qube.run("postqueue", "-f")
        provider.wait_for(subject, 60, diagnosis=qube.diagnosis)


def test_full_disk_loses_no_token(qube: Qube, provider: OAuthProvider) -> None:
    """The provider is not asked as long as its answer could not be kept."""
    authorize(qube, provider, OLIVE, rotation="strict")
    expire(qube)
    before = tokens(qube)
    refreshes = provider.count("refresh")
    qube.run("sh", "-c", f"cp -a {TOKENS} /run/kept && mount -t tmpfs -o size=16k,mode=0700 none {TOKENS}")
    qube.run("sh", "-c", f"cp -a /run/kept/*.json {TOKENS}/ && cat /dev/zero >{TOKENS}/filler", check=False)
    restart(qube)
    assert why(qube) == "421 4.3.0 XOAUTH2: the new token cannot be kept: No space left on device"
    assert provider.count("refresh") == refreshes
    qube.run("sh", "-c", f"umount {TOKENS}; rm -rf /run/kept")
    restart(qube)
    assert tokens(qube) == before
    comes(qube, provider)
