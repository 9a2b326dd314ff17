# SPDX-License-Identifier: Apache-2.0
"""The tokens of an account: how the user gets them, where they are, and what becomes of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, pillar, unique
from .oauth import OLIVE, OSCAR, TOKENS, authorize, expire, send, tokens
from .oauth_provider import OAuthProvider
from .outages import dropped, without_network
from .search import forms, holding
from .test_secrets import everywhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

# As a person does it: opens the page that is told, agrees, and then either the browser finds this qube, or the person
# pastes the address that it shows. Its arguments: the account, and what to do.
_PERSON = r"""
import http.client, ssl, subprocess, sys, urllib.parse
command = ["/usr/local/bin/postfix-smarthost", "authorize", sys.argv[1], "--browser"]
program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
lines = [program.stdout.readline() for _ in range(3)]
page = urllib.parse.urlsplit(lines[1].strip())
browser = http.client.HTTPSConnection(page.hostname, context=ssl.create_default_context())
browser.request("GET", f"{page.path}?{page.query}")
last = browser.getresponse().headers["Location"]
for step in sys.argv[2:]:
    if step == "visit":
        there = urllib.parse.urlsplit(last)
        visit = http.client.HTTPConnection("127.0.0.1", there.port)
        visit.request("GET", f"{there.path}?{there.query}")
        print(visit.getresponse().read().decode())
    elif step == "icon":
        visit = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(last).port)
        visit.request("GET", "/favicon.ico")
        print(visit.getresponse().status)
    elif step == "attack":
        visit = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(last).port)
        visit.request("GET", "/?code=mine&state=guessed")
        visit.getresponse().read()
    else:
        program.stdin.write(last + "\n" if step == "paste" else step + "\n")
        program.stdin.flush()
print("".join(lines), program.communicate()[0], program.returncode)
"""
_CA, _PROCMAIL = "/etc/ssl/certs/ca-certificates.crt", "/usr/bin/procmail"
# The access token of an account, from the program itself, killed before a step of its number.
_KILLED = r"""
import os, signal, sys
sys.path.insert(0, "/usr/local/bin/postfix-smarthost")
import smarthost_oauth_access as keep, smarthost_oauth_state as state
from smarthost_places import here
left = [int(sys.argv[2])]
for name in ("open", "write", "pwrite", "fsync", "fchown", "replace", "unlink", "close"):
    def counted(*a, _of=getattr(os, name), **k):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return _of(*a, **k)
    setattr(os, name, counted)
used = state.used(here())
print(keep.Keeper(here()).access(used.accounts[sys.argv[1]], used.ca_file, ipv4=True))
"""


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, provider: OAuthProvider, relay_a: Relay) -> Iterator[Qube]:
    assert relay_a.running
    qube = lab.qube(
        unique("oauth"),
        template=prepared,
        pillar=pillar(provider.record(OLIVE), provider.record(OSCAR), ALICE),
    )
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


def person(qube: Qube, *steps: str) -> str:
    """Let somebody authorize OLIVE's account by a page."""
    return qube.run("python3", "-c", _PERSON, OLIVE, *steps, timeout=90).stdout


# -- agreeing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [("visit",), ("icon", "attack", "visit"), ("paste",), ("https://other.test/", "", "paste")],
    ids=range(4),
)
def test_page_in_a_browser(qube: Qube, provider: OAuthProvider, steps: tuple[str, ...]) -> None:
    qube.run("sh", "-c", f"rm -f {TOKENS}/*")
    subject = send(qube, OLIVE)
    provider.turn(agrees=OLIVE)
    said = person(qube, *steps)
    assert f"{OLIVE} is authorized, and its mail is on its way." in said
    assert provider.wait_for(subject, diagnosis=qube.diagnosis).login == OLIVE
    asked = json.loads(next(e.text for e in reversed(provider.events()) if e.what == "authorize"))
    assert (asked["login_hint"], asked["code_challenge_method"], asked["access_type"]) == (
        OLIVE,
        "S256",
        "offline",
    )
    assert ("That is not the address" in said) == ("https://other.test/" in steps)


def test_user_who_does_not_agree(qube: Qube, provider: OAuthProvider) -> None:
    before = tokens(qube)
    provider.turn()
    assert "there was no agreement (access_denied): run it again." in person(qube, "visit")
    assert tokens(qube) == before


def test_user_of_another_account_is_found_out(qube: Qube, provider: OAuthProvider) -> None:
    before = tokens(qube)
    provider.turn(agrees="mallory@office.test")
    done = qube.run(direct.PROGRAM, "authorize", OLIVE, check=False)
    assert done.returncode == 2
    assert f"Nothing is stored: agree as {OLIVE}, who may send with this application" in done.stderr
    assert tokens(qube) == before


def test_account_that_there_is_not(qube: Qube) -> None:
    for address in (ALICE.address, "nobody@nowhere.test"):
        done = qube.run(direct.PROGRAM, "authorize", address, check=False)
        assert done.returncode == 2
        assert (
            f"{address} is no account of this qube with auth: xoauth2. There are: {OLIVE}, {OSCAR}."
            in done.stderr
        )


def test_waiting_for_the_user_outlives_trouble_of_the_endpoint(qube: Qube, provider: OAuthProvider) -> None:
    provider.turn()
    driver = f"timeout 25 {direct.PROGRAM} authorize {OLIVE} >/run/said 2>&1 & sleep 3; wait"
    provider.turn(token=[503, {}, "busy"])
    qube.run("sh", "-c", f"({driver}) >/dev/null 2>&1 &")
    time.sleep(5)
    provider.turn(agrees=OLIVE)
    qube.wait_for(lambda: "is authorized" in qube.run("cat", "/run/said").stdout, "the agreement")


def test_relay_that_is_not_reached_is_seen_later(qube: Qube, provider: OAuthProvider) -> None:
    provider.turn(agrees=OLIVE, answers={"GREETING": "421 4.3.2 busy"})
    said = qube.run(direct.PROGRAM, "authorize", OLIVE).stdout
    assert (
        f"{OLIVE} is authorized. Whether the server takes it is not known yet: {provider.relay} said: 421"
        in said
    )
    provider.turn()
    provider.wait_for(send(qube, OLIVE), diagnosis=qube.diagnosis)


# -- keeping --------------------------------------------------------------------------------------------------


def test_kill_at_each_step_of_the_write_loses_no_token(qube: Qube, provider: OAuthProvider) -> None:
    """A provider that lets the old one in, as Microsoft and Google do: whatever was on the way, the next try works."""
    authorize(qube, provider, OLIVE)
    step, killed = 0, True
    while killed:
        step += 1
        expire(qube)
        # A process that was killed by a signal is told so by the shell.
        done = qube.run("sh", "-c", 'python3 -c "$0" "$@"; echo "ended $?"', _KILLED, OLIVE, str(step))
        killed = "ended 137" in done.stdout
        assert killed or "access-" in done.stdout, done.stdout + done.stderr
        expire(qube)
        done = qube.run("python3", "-c", _KILLED, OLIVE, "0")
        assert done.stdout.startswith("access-")
        # What was begun is gone by then.
        assert {*qube.run("ls", TOKENS).stdout.split()} == {*tokens(qube)}
    assert step > 10
    provider.wait_for(send(qube, OLIVE), diagnosis=qube.diagnosis)


def test_tokens_are_nowhere_else(qube: Qube, provider: OAuthProvider) -> None:
    client_secret = "client-secret-" + unique("x")
    old = qube.pillar
    own = provider.record(OLIVE, oauth=provider.oauth(client_secret=client_secret))
    qube.pillar = pillar(own, ALICE)
    said = str(direct.run(qube).result)
    provider.turn(agrees=OLIVE)
    said += person(qube, "visit")
    provider.wait_for(send(qube, OLIVE), diagnosis=qube.diagnosis)
    provider.turn(refuses="535 no")
    send(qube, OLIVE)
    for command in ("status", "verify", "queue"):
        done = qube.run(direct.PROGRAM, command, check=False)
        said += done.stdout + done.stderr
    (told,) = tokens(qube).values()
    for secret in (told["refresh"], told["access"]):
        found = holding(qube, secret)
        assert {path.rpartition("/")[0] for path in found} <= {
            TOKENS,
            TOKENS.replace("/usr/local", "/rw/usrlocal"),
        }
        assert {tuple(facts[:3]) for facts in found.values()} == {("0600", 0, 0)}
    found = holding(qube, client_secret)
    assert {path.rpartition("/")[2] for path in found} == {"xoauth2"}
    assert {tuple(facts[:3]) for facts in found.values()} == {("0600", 0, 0)}
    for place, text in {**everywhere(qube), "output": said}.items():
        for secret in (told["refresh"], told["access"], client_secret):
            assert not any(word in text for word in forms(secret)), place
    provider.turn()
    qube.run("postsuper", "-d", "ALL")
    qube.pillar = old
    assert direct.run(qube).error is None


# -- networks and copies --------------------------------------------------------------------------------------


def test_mail_leaves_within_a_minute_of_the_uplink_s_return(qube: Qube, provider: OAuthProvider) -> None:
    authorize(qube, provider, OLIVE)
    expire(qube)
    with without_network(qube):
        subject = send(qube, OLIVE)
        qube.wait_for(
            lambda: "421 4.4.1 XOAUTH2: login.office.test cannot be asked" in str(qube.queue()),
            "the reason",
            60,
        )
        # Postfix itself would come back to it in a quarter of an hour.
        qube.run("sh", "-c", "find /var/spool/postfix/deferred -type f -exec touch -d '+1 hour' {} +")
    provider.wait_for(subject, 60, diagnosis=qube.diagnosis)


def test_endpoint_that_comes_back_counts_like_an_uplink(
    lab: Lab, qube: Qube, provider: OAuthProvider
) -> None:
    authorize(qube, provider, OLIVE)
    expire(qube)
    with dropped(lab, 443):
        subject = send(qube, OLIVE)
        qube.wait_for(lambda: "421 4.4.1" in str(qube.queue()), "the reason", 60)
        qube.run("sh", "-c", "find /var/spool/postfix/deferred -type f -exec touch -d '+1 hour' {} +")
    provider.wait_for(subject, 75, diagnosis=qube.diagnosis)


@pytest.mark.parametrize("rotation", ["lax", "strict"])
def test_clone_has_the_same_tokens(lab: Lab, qube: Qube, provider: OAuthProvider, rotation: str) -> None:
    """Where a refresh token is taken once, one of the two has to be authorized again, and says so."""
    authorize(qube, provider, OLIVE, rotation=rotation)
    qube.shutdown()
    clone = qube.clone(unique("clone"))
    qube.start()
    expire(qube)
    provider.wait_for(send(qube, OLIVE), diagnosis=qube.diagnosis)
    clone.start()
    expire(clone)
    subject = send(clone, OLIVE)
    if rotation == "lax":
        provider.wait_for(subject, diagnosis=clone.diagnosis)
    else:
        clone.wait_for(
            lambda: f"run postfix-smarthost authorize {OLIVE} again" in str(clone.queue()), "the reason"
        )
        authorize(clone, provider, OLIVE)
        provider.wait_for(subject, diagnosis=clone.diagnosis)
    lab.remove(clone)


def test_from_a_password_to_a_token_and_back(
    new_qube: Callable[..., Qube], provider: OAuthProvider, relay_a: Relay
) -> None:
    """What waits leaves by the account as it is then."""
    by_password = ALICE.record()
    by_token = provider.record(ALICE.address)
    qube = new_qube(pillar=pillar(by_password))
    assert direct.run(qube).error is None
    relay_a.wait_for(send(qube, ALICE.address))
    qube.pillar = pillar(by_token)
    predicted = direct.run(
        qube, "postfix_smarthost.configure", ca_file=_CA, procmail=_PROCMAIL, test=True
    ).changes
    assert predicted["accounts"] == {"changed": [ALICE.address]}
    assert direct.run(qube).changes["accounts"] == {"changed": [ALICE.address]}
    waits = send(qube, ALICE.address)
    authorize(qube, provider, ALICE.address)
    assert provider.wait_for(waits, diagnosis=qube.diagnosis).login == ALICE.address
    provider.turn(refuses="535 5.7.8 no")
    stuck = send(qube, ALICE.address)
    qube.wait_for(lambda: "535 5.7.8 no" in str(qube.queue()), "the reason")
    qube.pillar = pillar(by_password)
    changes = direct.run(qube).changes
    assert (changes["accounts"], len(changes["tokens"]["removed"])) == ({"changed": [ALICE.address]}, 1)
    qube.run("postqueue", "-f")
    assert relay_a.wait_for(stuck).login == ALICE.login
    assert provider.messages(stuck) == []
    assert qube.run("systemctl", "is-active", "postfix-smarthost-oauth", check=False).returncode
    assert direct.run(qube).changes == {}
    assert qube.run("ls", "-d", TOKENS, check=False).returncode
