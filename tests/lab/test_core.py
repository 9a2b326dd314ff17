# SPDX-License-Identifier: Apache-2.0
"""From an untouched template and an untouched app qube to mail that leaves through its account, at each boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, ANN, BOB, RECIPIENT, pillar, unique
from .search import holding

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay

ACCOUNTS = (ALICE, ANN, BOB)
SECRETS = [account.password for account in ACCOUNTS]


@pytest.fixture(scope="module")
def mail_qube(lab: Lab, prepared: Template, relay_a: Relay, relay_b: Relay) -> Qube:
    """Give a qube with three accounts that no test of this module changes for long."""
    assert relay_a.running
    assert relay_b.running
    qube = lab.qube("mail-core", template=prepared, pillar=pillar(*ACCOUNTS))
    qube.apply("postfix_smarthost").check()
    return qube


def assert_each_account_delivers(qube: Qube, relay_a: Relay, relay_b: Relay) -> None:
    """Send from each account; the relays say who logged in."""
    relays = {relay.name: relay for relay in (relay_a, relay_b)}
    subjects = {account: unique() for account in ACCOUNTS}
    for account, subject in subjects.items():
        qube.send(sender=account.address, to=RECIPIENT, subject=subject)
    for account, subject in subjects.items():
        mail = relays[account.relay].wait_for(subject, diagnosis=qube.diagnosis)
        assert (mail.login, mail.sender, mail.recipients) == (account.login, account.address, [RECIPIENT])
        assert mail.tls in ("TLSv1.2", "TLSv1.3")
        assert all(not relay.received(subject) for relay in relays.values() if relay.name != account.relay)


def test_untouched_template_and_qube_to_mail_and_again_after_restart(
    new_template: Callable[..., Template],
    new_qube: Callable[..., Qube],
    relay_a: Relay,
    relay_b: Relay,
    mx: MX,
) -> None:
    template = new_template()
    template.start()
    before = template.tree("/rw", "/etc")
    predicted = template.apply("postfix_smarthost", test=True).check()
    assert template.tree("/rw", "/etc") == before
    applied = template.apply("postfix_smarthost").check()
    assert applied.changed == predicted.predicted
    assert "postfix_smarthost-template-debconf" in applied.changed
    assert template.apply("postfix_smarthost").check().changed == []
    # It has programs of Postfix that work, and takes no mail.
    refused = template.run("sendmail", "root", stdin="Subject: lost\n\n", check=False)
    assert (refused.returncode, "not allowed to submit mail" in refused.stderr) == (75, True)
    # Nor while the package was installed.
    assert "postfix" in template.journal()
    assert "daemon started" not in template.journal()
    template.shutdown()

    qube = new_qube(template=template, pillar=pillar(*ACCOUNTS))
    assert qube.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
    before = qube.tree("/rw", "/etc")
    predicted = qube.apply("postfix_smarthost", test=True).check()
    assert qube.tree("/rw", "/etc") == before
    applied = qube.apply("postfix_smarthost").check()
    assert applied.changed == predicted.predicted
    # There is nothing of a set-up by hand.
    assert {*applied.states} - {*applied.changed} == {"postfix_smarthost-appvm-sole-start"}
    assert_each_account_delivers(qube, relay_a, relay_b)

    qube.restart()
    assert_each_account_delivers(qube, relay_a, relay_b)
    assert mx.connections() == []


def test_prepared_template_never_runs_postfix(prepared: Template, lab: Lab) -> None:
    template = prepared.clone("debian-13-idle")
    template.start()
    try:
        assert template.run("systemctl", "is-enabled", "postfix", check=False).stdout == "disabled\n"
        assert template.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
        assert "daemon started" not in template.run("journalctl", "--no-pager").stdout
    finally:
        lab.remove(template)


def install(template: Template, package: str, preset: str = "") -> None:
    """Install a package as a user does, before the formula comes."""
    template.start()
    template.run("debconf-set-selections", stdin=preset)
    template.run("apt-get", "-qq", "update")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    # sendmail makes itself a certificate and more, which can take minutes.
    template.run("apt-get", "-qq", "-y", "install", package, env=quiet, timeout=300)


@pytest.mark.parametrize(
    "rival",
    [
        "esmtp-run",
        "exim4-daemon-light",
        "msmtp-mta",
        "nullmailer",
        # It takes two minutes to install.
        pytest.param("sendmail-bin", marks=pytest.mark.soak),
        "ssmtp",
    ],
)
def test_another_mta_of_the_template_is_gone(new_template: Callable[..., Template], rival: str) -> None:
    template = new_template()
    install(template, rival)
    assert template.run("readlink", "-e", "/usr/sbin/sendmail").stdout != ""
    template.apply("postfix_smarthost").check()
    assert template.salt("mta.current")["package"] == "postfix"
    assert template.salt("mta.installed_rivals") == []
    status = template.run("dpkg-query", "-W", "-f", "${db:Status-Status}", rival, check=False).stdout
    assert status in ("", "config-files", "not-installed")


def test_postfix_that_runs_in_the_template_is_stopped_for_good(
    new_template: Callable[..., Template],
) -> None:
    template = new_template()
    install(template, "postfix", "postfix postfix/main_mailer_type select Local only\n")
    assert template.run("systemctl", "is-active", "postfix").stdout == "active\n"
    predicted = template.apply("postfix_smarthost", test=True).check()
    assert template.run("systemctl", "is-active", "postfix").stdout == "active\n"
    applied = template.apply("postfix_smarthost").check()
    assert applied.changed == predicted.predicted
    assert applied.states["postfix_smarthost-template-service"]["changes"] == {
        "enabled": {"old": True, "new": False},
        "running": {"old": True, "new": False},
    }
    template.restart()
    assert template.run("systemctl", "is-enabled", "postfix", check=False).stdout == "disabled\n"
    assert "daemon started" not in template.journal()
    assert template.apply("postfix_smarthost").check().changed == []


def test_template_with_accounts_is_refused_and_keeps_none(new_template: Callable[..., Template]) -> None:
    template = new_template()
    template.pillar = pillar(*ACCOUNTS)
    template.start()
    before = template.tree("/rw", "/etc")
    applied = template.apply("postfix_smarthost")
    assert not applied.ok
    assert "passwords do not belong in templates" in applied.printed
    assert template.tree("/rw", "/etc") == before
    assert holding(template, *SECRETS) == {}


def test_qube_without_the_app_side_does_not_run_postfix(new_qube: Callable[..., Qube]) -> None:
    qube = new_qube()
    assert qube.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"
    assert "daemon started" not in qube.run("journalctl", "--no-pager").stdout


def test_second_run_changes_nothing_and_runs_no_program_of_postfix(mail_qube: Qube) -> None:
    before = mail_qube.tree("/rw", "/etc")
    applied = mail_qube.apply("postfix_smarthost", trace=True).check()
    assert applied.changed == []
    assert mail_qube.tree("/rw", "/etc") == before
    programs = {command[0].rpartition("/")[2] for command in applied.executed}
    assert "python3" in programs  # The record is of this run.
    assert not programs & {
        "newaliases",
        "postalias",
        "postconf",
        "postfix",
        "postmap",
        "postqueue",
        "sendmail",
    }
    # Salt asks systemctl for its version to find out what manages services.
    systemctl = {command[1] for command in applied.executed if command[0].endswith("systemctl")}
    assert systemctl <= {"--version"}


@pytest.mark.parametrize("change", ["added", "removed", "lists"])
def test_prediction_of_a_change_is_exact_and_writes_nothing(mail_qube: Qube, change: str) -> None:
    changed = {
        "added": pillar(*ACCOUNTS, ALICE.record(address="new@a.test", username=ALICE.login)),
        "removed": pillar(ALICE, BOB),
        "lists": pillar(*ACCOUNTS, lists=[{"list_id": "users.example.test", "folder": "list/users"}]),
    }[change]
    usual = mail_qube.pillar
    mail_qube.pillar = changed
    try:
        before = mail_qube.tree("/rw", "/etc")
        predicted = mail_qube.apply("postfix_smarthost", test=True).check()
        assert mail_qube.tree("/rw", "/etc") == before
        applied = mail_qube.apply("postfix_smarthost").check()
        assert applied.changed == predicted.predicted == ["postfix_smarthost-appvm-configuration"]
        what = [
            run.states["postfix_smarthost-appvm-configuration"]["changes"] for run in (predicted, applied)
        ]
        assert what[0] == what[1]
    finally:
        mail_qube.pillar = usual
        assert direct.run(mail_qube).error is None


def test_unlisted_sender_bounces_into_the_users_maildir(
    mail_qube: Qube, relay_a: Relay, relay_b: Relay, mx: MX
) -> None:
    subject = unique()
    mail_qube.send(sender="stranger@c.test", to=RECIPIENT, subject=subject)

    def report() -> object:
        return [mail for mail in mail_qube.maildir() if subject in mail.as_string()]

    (found,) = mail_qube.wait_for(report, "the delivery report")
    assert "belongs to no account of this qube" in " ".join(found.as_string().split())
    assert all(not host.received(subject) for host in (relay_a, relay_b, mx))
    assert mx.connections() == []


@pytest.mark.parametrize("user", ["user", "root"])
def test_local_sender_leaves_through_the_default_account(mail_qube: Qube, relay_a: Relay, user: str) -> None:
    subject = unique()
    mail_qube.send(to=RECIPIENT, subject=subject, user=user)
    mail = relay_a.wait_for(subject, diagnosis=mail_qube.diagnosis)
    assert (mail.login, mail.sender) == (ALICE.login, ALICE.address)
    assert mail.message["From"].addresses[0].addr_spec == ALICE.address


def test_local_mail_goes_to_the_maildir(mail_qube: Qube) -> None:
    subject = unique()
    mail_qube.send(to="root", subject=subject, user="root")
    mail_qube.wait_for(
        lambda: [m for m in mail_qube.maildir() if m["Subject"] == subject], "the message to root"
    )


def test_mail_over_smtp_is_taken_from_accounts_and_for_local_users_only(
    mail_qube: Qube, relay_b: Relay, mx: MX
) -> None:
    subject, fetched = unique(), unique()
    assert mail_qube.send_smtp(sender=BOB.address, to=RECIPIENT, subject=subject)["data"][0] == 250
    assert relay_b.wait_for(subject, diagnosis=mail_qube.diagnosis).login == BOB.login
    refused = mail_qube.send_smtp(sender="stranger@c.test", to=RECIPIENT, subject=unique())
    assert refused[RECIPIENT][0] == 550
    assert (
        mail_qube.send_smtp(sender="stranger@c.test", to="user@localhost", subject=fetched)["data"][0] == 250
    )
    mail_qube.wait_for(
        lambda: [m for m in mail_qube.maildir() if m["Subject"] == fetched], "the fetched mail"
    )
    assert mx.connections() == []


def test_listener_is_on_loopback_only(mail_qube: Qube) -> None:
    sockets = mail_qube.run("ss", "-Hltn").stdout.splitlines()
    assert [line.split()[3] for line in sockets] == ["127.0.0.1:25"]


def test_lists_are_sorted_and_spam_is_discarded(new_qube: Callable[..., Qube], relay_a: Relay) -> None:
    lists = [{"list_id": "qubes-users.googlegroups.com", "folder": "list/qubes-users"}]
    qube = new_qube(pillar=pillar(ALICE, lists=lists, discard_senders=["spamdomain1.com"]))
    qube.apply("postfix_smarthost").check()
    on_list, off_list, spam = unique(), unique(), unique()
    header = {"List-Id": "Users <qubes-users.googlegroups.com>"}
    qube.send_smtp(sender="somebody@c.test", to="user@localhost", subject=on_list, headers=header)
    qube.send_smtp(sender="x@sub.spamdomain1.com", to="user@localhost", subject=spam)
    qube.send_smtp(sender="somebody@c.test", to="user@localhost", subject=off_list)
    qube.wait_for(
        lambda: [m for m in qube.maildir("list/qubes-users") if m["Subject"] == on_list], "the list's mail"
    )
    qube.wait_for(lambda: [m for m in qube.maildir() if m["Subject"] == off_list], "the other mail")
    assert [m["Subject"] for m in qube.maildir()] == [off_list]
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


def test_qube_of_a_template_that_was_not_prepared_is_told_what_to_apply(
    new_template: Callable[..., Template], new_qube: Callable[..., Qube]
) -> None:
    template = new_template()
    qube = new_qube(template=template, pillar=pillar(*ACCOUNTS))
    before = qube.tree("/rw", "/etc")
    applied = qube.apply("postfix_smarthost")
    assert not applied.ok
    comment = applied.states["postfix_smarthost-appvm-configuration"]["comment"]
    assert f"apply postfix_smarthost to its template {template.name}" in comment
    assert "Traceback" not in applied.printed + applied.stderr
    assert qube.tree("/rw", "/etc") == before


def test_dom0_is_left_alone(new_qube: Callable[..., Qube]) -> None:
    dom0 = new_qube(type="admin")
    before = dom0.tree("/rw", "/etc")
    for sls in ("postfix_smarthost", "postfix_smarthost.template", "postfix_smarthost.appvm"):
        applied = dom0.apply(sls).check()
        assert applied.changed == []
        assert len(applied.states) == 1
    assert dom0.tree("/rw", "/etc") == before


def test_top_file_gives_each_tagged_qube_its_side(
    lab: Lab, prepared: Template, new_qube: Callable[..., Qube]
) -> None:
    template = prepared.clone("debian-13-top")
    try:
        assert template.apply().states == {}
        template.tags = ["postfix-smarthost"]
        assert all("-template-" in name for name in template.apply().check().states)
    finally:
        lab.remove(template)
    qube = new_qube(pillar=pillar(ALICE), tags=["postfix-smarthost"])
    assert all("-appvm-" in name for name in qube.apply().check().states)


def test_standalone_qube_gets_both_sides(
    new_template: Callable[..., Template], new_qube: Callable[..., Qube], relay_a: Relay
) -> None:
    qube = new_qube(template=new_template(), type="standalone", pillar=pillar(ALICE))
    predicted = qube.apply("postfix_smarthost", test=True).check()
    applied = qube.apply("postfix_smarthost").check()
    assert applied.changed == predicted.predicted
    assert qube.apply("postfix_smarthost").check().changed == []
    qube.restart()
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == ALICE.login


def test_execution_modules_by_hand(mail_qube: Qube) -> None:
    tables = mail_qube.run("postconf", "-xh", "sender_dependent_default_transport_maps").stdout
    table = tables.split(", ")[-1].strip()
    assert mail_qube.salt("postmap.query", ALICE.address, table) == "smtp-starttls:[smtp.a.test]:587"
    assert mail_qube.salt("mta.current")["mta"] == "postfix"


def test_password_is_in_no_output_log_process_or_open_file(mail_qube: Qube) -> None:
    mail_qube.pillar, usual = (
        pillar(ALICE, ANN, BOB, settings={"message_size_limit": 40000000}),
        mail_qube.pillar,
    )
    try:
        runs = [mail_qube.apply("postfix_smarthost", test=test, trace=True) for test in (True, False)]
    finally:
        mail_qube.pillar = usual
    mail_qube.send(sender=ALICE.address, to=RECIPIENT, subject=unique())
    texts = {
        "output": "".join(run.stdout + run.stderr + run.logged for run in runs),
        "arguments": "".join(word for run in runs for command in run.executed for word in command),
        "journal": mail_qube.run("journalctl", "--no-pager").stdout,
        "processes": mail_qube.run(
            "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '"
        ).stdout,
    }
    assert {name for name, text in texts.items() for secret in SECRETS if secret in text} == set()
    patterns = [word for secret in SECRETS for word in ("-e", secret)]
    # As the user, and as nobody: a file that root alone can read is not found.
    for user in ("user", "nobody"):
        found = mail_qube.run(
            *("grep", "-rlsF", *patterns, "/etc", "/home", "/rw", "/run", "/tmp", "/usr/local", "/var"),
            user=user,
            check=False,
        )
        assert found.stdout == ""
    found = mail_qube.run(
        "grep", "-rlsaF", *patterns, "/rw", "/var", "/tmp", "/root", "/run", check=False
    ).stdout.split()
    assert {path.rpartition("/")[2] for path in found} == {"saslpass", "saslpass.db"}
    for path in found:
        assert mail_qube.run("stat", "-c", "%U:%G %a", path).stdout == "root:root 600\n"
