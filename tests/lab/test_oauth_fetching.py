# SPDX-License-Identifier: Apache-2.0
"""Mail that is fetched with a token: fetchmail(1) sees none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, pillar, unique
from .fetching import applied, arrived, comes, fetch_notes, put, runs, status_of
from .mailbox import Mailbox
from .oauth import OLIVE, TOKENS, authorize, restart, send
from .oauth_provider import PORTS, OAuthProvider

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube


@pytest.fixture(scope="module", params=["13", pytest.param("forky", marks=pytest.mark.soak)])
def qube(request: pytest.FixtureRequest, lab: Lab, fetching_qube: Callable[..., Qube]) -> Qube:
    """Give a qube with the fetchmail of Debian 13, or of forky."""
    if request.param == "13":
        return fetching_qube()
    template = lab.template(unique("debian-14"), suite=request.param)
    template.apply("postfix_smarthost").check()
    template.start()
    template.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "fetchmail", timeout=180)
    template.shutdown()
    made = lab.qube(unique("fetches"), template=template, pillar=pillar(ALICE))
    assert direct.run(made).error is None
    return made


@pytest.fixture
def box(provider: OAuthProvider) -> Mailbox:
    """Give a mailbox behind the servers that want tokens."""
    return Mailbox(provider.host, unique("box"))


def record(provider: OAuthProvider, box: Mailbox, protocol: str = "imap", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    fetch = {
        "server": provider.relay,
        "protocol": protocol,
        "port": PORTS[protocol],
        "tls": {"mode": "implicit"},
    }
    return provider.record(f"{box.name}@office.test", fetch={**fetch, **more})


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_mail_comes_with_a_token(qube: Qube, provider: OAuthProvider, box: Mailbox, protocol: str) -> None:
    address = f"{box.name}@office.test"
    applied(qube, record(provider, box, protocol, interval=60))
    qube.wait_for(lambda: [n for n in fetch_notes(qube) if "not authorized yet" in n], "the note")
    subject = put(box)
    authorize(qube, provider, address)
    qube.wait_for(lambda: arrived(qube, subject), "the message", 40)
    assert provider.wait_for(send(qube, address)).login == address
    if protocol == "imap":
        # Which is told at once.
        comes(qube, box, timeout=20)
    assert qube.run(direct.PROGRAM, "verify", address).stdout.splitlines()[1] == (
        f"{address} (fetch): its mail is fetched from {provider.relay} port {PORTS[protocol]}"
    )
    assert fetch_notes(qube) == []
    secrets = qube.run("sh", "-c", f"cat {TOKENS}/*.json").stdout
    rc = qube.run("sh", "-c", "cat /usr/local/etc/smarthost/sorting-*/fetchmailrc").stdout
    assert [word for word in secrets.split('"') if len(word) > 30 and word in rc] == []
    assert direct.run(qube).changes == {}


def test_token_that_is_refused_is_told(qube: Qube, provider: OAuthProvider, box: Mailbox) -> None:
    address = f"{box.name}@office.test"
    applied(qube, record(provider, box))
    authorize(qube, provider, address)
    comes(qube, box)
    provider.turn(refuses="535 5.7.3 no")
    qube.run("systemctl", "restart", "postfix-smarthost-fetch")
    qube.wait_for(lambda: [n for n in fetch_notes(qube) if "AUTHENTICATE failed" in n], "the note")
    fetch = status_of(qube)["accounts"][address]["fetch"]
    assert fetch["reason"] == f"{provider.relay} said: L1 NO AUTHENTICATE failed."
    assert (
        qube.run(direct.PROGRAM, "verify", address, check=False)
        .stdout.splitlines()[1]
        .startswith(f"{address} (fetch): {provider.relay} said: L1 NO")
    )
    provider.turn()
    restart(qube)
    authorize(qube, provider, address)
    comes(qube, box)
    assert fetch_notes(qube) == []


def test_others_do_not_read_which_accounts_there_are(
    qube: Qube, provider: OAuthProvider, box: Mailbox
) -> None:
    applied(qube, record(provider, box))
    qube.wait_for(lambda: [n for n in fetch_notes(qube) if "not authorized yet" in n], "the note")
    noted = "/run/postfix-smarthost-oauth/state.json"
    readers = {
        user: qube.run("cat", noted, user=user, check=False).returncode == 0 for user in ("user", "nobody")
    }
    assert readers == {"user": True, "nobody": False}
    assert qube.run("stat", "-c", "%U:%G %a", noted).stdout.strip() == "root:user 640"


def test_only_the_user_may_use_it(qube: Qube, provider: OAuthProvider, box: Mailbox) -> None:
    applied(qube, record(provider, box))
    authorize(qube, provider, f"{box.name}@office.test")
    place = next(
        word for word in qube.run("ss", "-lntH", "sport = :143").stdout.split() if word.startswith("127.")
    )
    logins = provider.count("login", f"{box.name}@office.test")
    look = "import socket,sys; s=socket.create_connection((sys.argv[1],143),20); print(s.recv(200).decode())"
    said = {
        user: qube.run("python3", "-c", look, place.partition(":")[0], user=user).stdout.strip()
        for user in ("user", "root", "nobody", "postfix")
    }
    assert said.pop("user") == "* PREAUTH logged in"
    assert {*said.values()} == {"* BYE Only user may use this"}
    assert provider.count("login", f"{box.name}@office.test") <= logins + 3
    assert runs(qube)


def test_account_is_known_by_its_address_in_any_letters(
    qube: Qube, provider: OAuthProvider, box: Mailbox
) -> None:
    """The sender addresses are in lower case wherever Postfix looks them up; the pillar has them as the user does."""
    own = record(provider, box)
    applied(qube, {**own, "address": own["address"].title(), "username": own["address"]})
    authorize(qube, provider, own["address"])
    comes(qube, box)
    assert status_of(qube)["accounts"][own["address"].lower()]["fetch"]["looked"]
    assert OLIVE not in status_of(qube)["accounts"]
