# SPDX-License-Identifier: Apache-2.0
"""The service that logs in with tokens: its rights, its boots, its connections, and changes that are killed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .oauth import OLIVE, UNIT, authorize, expire, send, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .oauth_provider import OAuthProvider
    from .qube import Qube, Template
    from .relay import Relay

# CAP_NET_BIND_SERVICE (linux/capability.h).
_BIND_SERVICE = 1 << 10


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, provider: OAuthProvider, relay_a: Relay) -> Iterator[Qube]:
    assert relay_a.running
    own = pillar(provider.record(OLIVE), ALICE, disposables=True)
    qube = lab.qube(unique("oauth"), template=prepared, pillar=own)
    assert direct.run(qube).error is None
    authorize(qube, provider, OLIVE)
    provider.turn()
    yield qube
    lab.remove(qube)


def test_it_is_root_without_root_s_rights(qube: Qube) -> None:
    pid = qube.run("systemctl", "show", "-P", "MainPID", UNIT).stdout.strip()
    status = dict(
        line.split(":\t", 1)
        for line in qube.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        if ":\t" in line
    )
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {_BIND_SERVICE}
    assert (status["Uid"].split()[0], status["NoNewPrivs"]) == ("0", "1")
    # Its own view of the system: nothing but the tokens and its notes can be written.
    places = ("/etc", "/usr/local/etc", "/rw", "/root", "/home/user", "/var/spool/postfix")
    for place in places:
        assert qube.run("nsenter", "-t", pid, "-m", "touch", f"{place}/x", check=False).returncode, place
    assert qube.run("nsenter", "-t", pid, "-m", "ls", "/home", check=False).stdout == ""


def test_many_messages_share_few_logins(qube: Qube, provider: OAuthProvider) -> None:
    logins = provider.count("login", OLIVE)
    subjects = [unique() for _ in range(30)]
    script = "".join(
        f"printf 'Subject: {subject}\\n\\nx\\n' | sendmail -f {OLIVE} {RECIPIENT}\n" for subject in subjects
    )
    qube.run("sh", "-c", script, user="user")
    for subject in subjects:
        assert provider.wait_for(subject, diagnosis=qube.diagnosis).login == OLIVE
    assert provider.count("login", OLIVE) - logins < 15


def test_relay_where_nothing_listens(qube: Qube, provider: OAuthProvider) -> None:
    old = qube.pillar
    qube.pillar = pillar(provider.record(OLIVE, port=2599), ALICE)
    assert direct.run(qube).error is None
    subject = send(qube, OLIVE)
    qube.wait_for(
        lambda: "421 4.4.1 XOAUTH2: smtp.office.test: Connection refused" in str(qube.queue()), "the reason"
    )
    # The tokens are for the same user and client: they stay.
    qube.pillar = old
    assert "tokens" not in direct.run(qube).changes
    qube.run("postqueue", "-f")
    provider.wait_for(subject, diagnosis=qube.diagnosis)


def test_boot_without_a_network_and_then_an_uplink(qube: Qube, provider: OAuthProvider) -> None:
    expire(qube)
    qube.network("down")
    qube.kill()
    qube.start()
    subject = send(qube, OLIVE)
    qube.wait_for(lambda: "421 4.4.1 XOAUTH2: " in str(qube.queue()), "the reason", 60)
    qube.run("sh", "-c", "find /var/spool/postfix/deferred -type f -exec touch -d '+1 hour' {} +")
    qube.network("up")
    provider.wait_for(subject, 60, diagnosis=qube.diagnosis)


def test_power_cut_right_after_a_rotation(qube: Qube, provider: OAuthProvider) -> None:
    """Where each refresh token is taken once, the one that was just given is the only one that counts."""
    authorize(qube, provider, OLIVE, rotation="strict")
    for _ in range(3):
        expire(qube)
        refreshes = provider.count("refresh", OLIVE)
        subject = send(qube, OLIVE)
        qube.wait_for(
            lambda before=refreshes: provider.count("refresh", OLIVE) > before, "the refresh", pause=0.05
        )
        provider.wait_for(subject, diagnosis=qube.diagnosis)
        qube.kill()
        qube.start()
    provider.wait_for(send(qube, OLIVE), diagnosis=qube.diagnosis)
    provider.turn()


def test_disposable_sends_with_the_tokens_of_its_template_qube(
    lab: Lab, qube: Qube, provider: OAuthProvider
) -> None:
    authorize(qube, provider, OLIVE)
    qube.shutdown()
    disposable = qube.disposable(unique("disp"))
    disposable.start()
    provider.wait_for(send(disposable, OLIVE), diagnosis=disposable.diagnosis)
    lab.remove(disposable)
    qube.start()


@pytest.mark.parametrize("part", [0.3, 0.6, 0.8, 0.9, 0.97])
def test_change_to_a_token_that_is_killed_is_made_good_by_the_next(
    new_qube: Callable[..., Qube], provider: OAuthProvider, relay_a: Relay, part: float
) -> None:
    qube = new_qube(pillar=pillar(ALICE))
    assert direct.run(qube).error is None
    by_token = pillar(provider.record(ALICE.address))
    counted = len(direct.run(qube, pillar=by_token).steps)
    assert direct.run(qube).error is None
    qube.pillar = by_token
    assert direct.run(qube, kill_before=int(counted * part)).killed
    subject = send(qube, ALICE.address)
    assert direct.run(qube).error is None
    authorize(qube, provider, ALICE.address)
    assert direct.run(qube).changes == {}
    qube.run("postqueue", "-f")
    qube.wait_for(lambda: not qube.queue(), "an empty queue")
    assert len(provider.messages(subject)) + len(relay_a.received(subject)) == 1
    assert json.loads(qube.run(direct.PROGRAM, "status", "--json").stdout)["notes"] == []
    assert len(tokens(qube)) == 1
