# SPDX-License-Identifier: Apache-2.0
"""smarthost_plan: each sender has its own way out, and no other one exists."""

import re

from tests.samples import ALICE, BOB
from tests.unit.plans import main_cf, plan, services, table


def test_each_sender_has_its_own_relay_and_login() -> None:
    """Two accounts at one provider, and port 465 beside 587: neither fits into tables by relay."""
    record = {
        "accounts": [ALICE | {"senders": ["me@alias.example"]}, ALICE | {"address": "al@example.com"}, BOB]
    }
    assert table("sender_relay", record) == {
        "alice@example.com": "smtp-starttls:[mail.example.com]:587",
        "me@alias.example": "smtp-starttls:[mail.example.com]:587",
        # The zero keeps it apart from alice's in qmgr(8).
        "al@example.com": "smtp-starttls:[mail.example.com]:0587",
        "bob@example.org": "smtp-implicit:[smtp.example.org]:465",
        # Of the default account.
        "@localhost.localdomain": "smtp-starttls:[mail.example.com]:587",
        # A report has no sender: it would be bounced, and lost.
        "<>": "reports:localhost.localdomain",
    }
    record["accounts"][1] |= {"username": "al", "password": "other pass: word"}
    assert table("saslpass", record) == {
        "alice@example.com": f"alice@example.com:{ALICE['password']}",
        "me@alias.example": f"alice@example.com:{ALICE['password']}",
        "al@example.com": "al:other pass: word",
        "bob@example.org": f"bob@example.org:{BOB['password']}",
        "@localhost.localdomain": f"alice@example.com:{ALICE['password']}",
    }


def test_a_whole_domain_is_a_row_of_its_own() -> None:
    record = {"accounts": [ALICE | {"senders": ["@Own.example"]}, BOB | {"senders": ["bob@own.example"]}]}
    ways = table("sender_relay", record)
    assert ways["@own.example"] == "smtp-starttls:[mail.example.com]:587"
    assert ways["bob@own.example"] == "smtp-implicit:[smtp.example.org]:465"
    assert table("saslpass", record)["@own.example"].startswith("alice@example.com:")
    assert table("sender_access", record)["own.example"] == "OK"
    assert main_cf(record)["recipient_delimiter"] == "+"


def test_a_sender_without_an_account_is_bounced() -> None:
    """Without these, Postfix delivers to the recipient's mail exchanger itself."""
    parameters = main_cf()
    assert parameters["default_transport"] == parameters["relay_transport"] == "unlisted:"
    # Whatever the message and its sender are, the one program that gets it reports it and ends: EX_UNAVAILABLE.
    flags, user, *argv = services()["unlisted unix"][6:]
    assert (flags, user) == ("flags=q", "user=user")
    command = " ".join(argv)
    assert re.fullmatch(
        r'argv=/bin/sh -c \{printf "5\.7\.1 [^"$`\\]+" "\$\$1"; exit 69\} sh \$\{sender\}', command
    )
    for name in (
        "relayhost",
        "relay_domains",
        "virtual_alias_maps",
        "virtual_mailbox_domains",
    ):
        assert parameters[name] == "", name
    strange, local, ways = parameters["sender_dependent_default_transport_maps"].split(", ")
    assert local.endswith("/local_relay")
    assert plan()["tables-a/local_relay"].content.endswith("/ smtp-starttls:[mail.example.com]:587\n")
    assert strange.endswith("/strange_senders")
    assert ways.endswith("/sender_relay")
    patterns = [
        line for line in plan()["tables-a/strange_senders"].content.split("\n") if line.startswith("/")
    ]
    assert [line for line in patterns if not line.endswith("/ unlisted:")] == []
    # No way out, but for whom it is none of a relay's: local recipients.
    assert parameters["transport_maps"] == parameters["mydestination"].split(", ")[-1]
    results = [line.rpartition("$/ ")[2] for line in plan()["tables-a/recipients"].content.split("\n")[1:-1]]
    assert [result.partition(":")[0] for result in results] == ["local", "", "error"]


def test_no_service_delivers_without_an_account() -> None:
    running = services()
    assert [
        name for name, rest in running.items() if rest[5] in ("smtp", "lmtp", "pipe") and "unix" in name
    ] == [
        "smtp-starttls unix",
        "smtp-implicit unix",
        "smtp-clear unix",
        "smtp-starttls-noauth unix",
        "smtp-implicit-noauth unix",
        "smtp-clear-noauth unix",
        "smtp-xoauth2 unix",
        "unlisted unix",
    ]
    # The null sender's transport delivers to the user, by no address of the message.
    assert running["reports unix"][5] == "virtual"
    assert "virtual_mailbox_maps=static:.maildir/" in running["reports unix"]


def test_each_transport_and_service_that_is_named_is_there() -> None:
    running = services()
    transports = {value.partition(":")[0] for value in table("sender_relay").values()} | {
        "error",
        "local",
        "virtual",
    }
    assert {f"{name} unix" for name in transports - {"virtual"}} <= {*running}
    for name in (
        "pickup",
        "cleanup",
        "qmgr",
        "rewrite",
        "bounce",
        "defer",
        "trace",
        "tlsmgr",
        "retry",
        "proxymap",
    ):
        assert f"{name} unix" in running
    # Connection reuse without tlsproxy(8) defers all mail.
    assert main_cf()["smtp_tls_connection_reuse"] == "yes"
    assert "tlsproxy unix" in running


def test_nothing_is_chrooted() -> None:
    """In a chroot, the copies of resolv.conf and of the CA certificates go stale."""
    assert {name for name, rest in services().items() if rest[2] != "n"} == set()


def test_local_senders_send_through_the_default_account() -> None:
    record = {"accounts": [ALICE, BOB | {"default": True}]}
    assert table("sender_relay", record)["@localhost.localdomain"] == "smtp-implicit:[smtp.example.org]:465"
    assert table("saslpass", record)["@localhost.localdomain"] == f"bob@example.org:{BOB['password']}"
    # By cleanup(8), before the account is chosen.
    assert main_cf(record)["sender_canonical_maps"].endswith("/sender_canonical")
    assert set(re.findall(r"/ (.*)", plan(record)["tables-a/sender_canonical"].content)) == {
        "$1@localhost.localdomain"
    }
