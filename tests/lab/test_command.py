# SPDX-License-Identifier: Apache-2.0
"""`postfix-smarthost status`, in each state that the boot script and the states leave, and the commands for mail."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from . import direct
from .accounts import ALICE, RECIPIENT, pillar, unique
from .outcome import told
from .scripted import Port, Scripted
from .tuning import set_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import Relay

LATER, REFUSED = "later@queue.test", "refused@queue.test"
PASSWORD = "a-secret-of-queue"
PORTS = {
    2701: Port(answers={"MAIL": "451 4.7.1 come back later"}),
    2702: Port(answers={"AUTH": "535 5.7.8 no"}),
}


@pytest.fixture(scope="module")
def scripted(lab: Lab) -> Scripted:
    return Scripted(lab, "smtp.queue.test", PORTS)


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template, scripted: Scripted, relay_a: Relay) -> Iterator[Qube]:
    assert relay_a.running
    accounts = [
        {"address": address, "relay": scripted.name, "port": port, "password": PASSWORD}
        for address, port in zip((LATER, REFUSED), PORTS, strict=True)
    ]
    qube = lab.qube(unique("mail"), template=prepared, pillar=pillar(ALICE, *accounts))
    assert direct.run(qube).error is None
    yield qube
    lab.remove(qube)


@pytest.fixture(autouse=True)
def _empty(qube: Qube) -> Iterator[None]:
    yield
    qube.run("postsuper", "-d", "ALL", check=False)


def ask(qube: Qube, *command: str, code: int = 0) -> Any:  # noqa: ANN401
    """Run the program and return what it prints as JSON."""
    ended = qube.run(direct.PROGRAM, *command, "--json", check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def wait(qube: Qube, *senders: str) -> None:
    """Send a message from each sender, and wait until all are deferred."""
    for sender in senders:
        qube.send(sender=sender, to=RECIPIENT, subject=unique())

    def deferred() -> bool:
        queue = qube.queue()
        return len(queue) == len(senders) and {mail["queue_name"] for mail in queue} == {"deferred"}

    qube.wait_for(deferred, "all to be deferred")


def wait_more(qube: Qube, sender: str) -> None:
    """Send one more message, and wait until it is deferred, too."""
    count = len(qube.queue())
    qube.send(sender=sender, to=RECIPIENT, subject=unique())
    qube.wait_for(
        lambda: [mail["queue_name"] for mail in qube.queue()] == ["deferred"] * (count + 1),
        "all to be deferred",
    )


def words(qube: Qube, *command: str, code: int = 0) -> str:
    ended: subprocess.CompletedProcess[str] = qube.run(direct.PROGRAM, *command, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout


def test_status_tells_the_last_success_and_why_mail_waits(qube: Qube, relay_a: Relay) -> None:
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    relay_a.wait_for(subject, diagnosis=qube.diagnosis)
    wait(qube, LATER, LATER, REFUSED)
    status = ask(qube, "status")
    assert status["active"] is True
    assert status["since"].startswith("20")
    assert status["notes"] == []
    assert status["accounts"][ALICE.address]["waiting"] == 0
    assert "failed" not in status["accounts"][ALICE.address]
    assert status["accounts"][ALICE.address]["sent"] >= status["since"]
    assert status["accounts"][LATER]["waiting"] == 2
    assert "smtp.queue.test says: 451 4.7.1 come back later" in status["accounts"][LATER]["reason"]
    by_account = {group["account"]: group for group in status["waiting"]}
    assert (by_account[LATER]["count"], by_account[LATER]["next_try"] > by_account[LATER]["oldest"]) == (
        2,
        True,
    )
    assert (
        by_account[REFUSED]["reason"] == "smtp.queue.test refuses the user name or the password: 535 5.7.8 no"
    )
    assert by_account[REFUSED]["way_out"] == "fix the user name or the password in qubes.yaml and apply"
    said = words(qube, "status")
    assert "Postfix runs since 20" in said
    assert f"2 of {LATER} in the queue, the oldest since 20" in said
    # Only an apply knows the pillar.
    assert direct.run(qube, "postfix_smarthost.status").result == status | {"as_asked": True}
    assert PASSWORD not in said + json.dumps(status)
    assert said.isascii()


def test_reports_say_what_happened_and_what_to_do(qube: Qube) -> None:
    before = qube.read("/etc/postfix/main.cf")
    try:
        set_parameters(qube, delay_warning_time="1s")
        subject = unique()
        qube.send(sender=LATER, to=RECIPIENT, subject=subject)
        qube.wait_for(
            lambda: {mail["queue_name"] for mail in qube.queue()} == {"deferred"}, "it to be deferred"
        )
        words(qube, "flush")
        report = told(qube, subject, "Delayed Mail")
        assert "Your message still waits. You need not send it again" in report
        assert "postfix-smarthost status" in report
        assert RECIPIENT in report
        assert "451 4.7.1 come back later" in report
    finally:
        qube.write("/etc/postfix/main.cf", before)
        qube.run("postfix", "reload")
    subject = unique()
    qube.send(sender="nobody@else.test", to=RECIPIENT, subject=subject)
    report = told(qube, subject)
    assert "Your message, attached below, was not sent to the addresses that follow" in report
    assert "What a relay refuses stands behind" in report
    assert "belongs to no account of this qube" in report
    assert RECIPIENT in report


def test_user_is_told_to_be_root_where_there_is_no_sudo(qube: Qube) -> None:
    ended = qube.run(direct.PROGRAM, "status", user="user", check=False)
    assert ended.returncode == 2
    assert "only root can read the passwords and the queue" in ended.stderr
    # sudo(8) would run it again, with the same words.
    qube.write("/usr/local/bin/sudo", '#!/bin/sh\necho "$@"\n', mode="0755")
    try:
        assert (
            qube.run(direct.PROGRAM, "flush", "--json", user="user").stdout
            == f"-- {direct.PROGRAM} flush --json\n"
        )
    finally:
        qube.run("rm", "/usr/local/bin/sudo")


def test_queue_lists_what_waits_and_no_subject(qube: Qube) -> None:
    wait(qube, LATER, REFUSED)
    first, second = sorted(ask(qube, "queue"), key=lambda message: str(message["sender"]))
    assert (first["sender"], second["sender"]) == (LATER, REFUSED)
    assert first["recipients"] == [RECIPIENT]
    assert (first["kind"], second["kind"]) == ("relay", "login")
    said = words(qube, "queue")
    assert f"{LATER} -> {RECIPIENT}" in said
    assert "message-" not in said
    by_salt = direct.run(qube, "postfix_smarthost.queue").result
    assert sorted(by_salt, key=lambda message: str(message["sender"])) == [first, second]
    qube.run("postsuper", "-d", "ALL")
    assert words(qube, "queue") == "The queue is empty.\n"


def test_flush_tries_one_account_one_message_or_all(qube: Qube, scripted: Scripted) -> None:
    wait(qube, LATER, REFUSED)
    ids = {message["sender"]: message["queue_id"] for message in ask(qube, "queue")}

    def tries() -> tuple[int, int]:
        connects = [event.port for event in scripted.events() if event.what == "connect"]
        return connects.count(2701), connects.count(2702)

    for what, grows in ((LATER, {0}), (ids[REFUSED], {1}), ("ALL", {0, 1})):
        before = tries()
        assert {*ask(qube, "flush", what)} <= {*ids.values()}
        qube.wait_for(
            lambda grows=grows, before=before: all(tries()[n] > before[n] for n in grows), f"a try of {what}"
        )
        qube.wait_for(
            lambda: {mail["queue_name"] for mail in qube.queue()} == {"deferred"}, "all to be deferred again"
        )
        assert all(tries()[n] == before[n] for n in {0, 1} - grows)


def test_message_is_held_released_and_deleted(qube: Qube) -> None:
    wait(qube, LATER, REFUSED)
    ids = {message["sender"]: message["queue_id"] for message in ask(qube, "queue")}

    def parts() -> dict[str, str]:
        return {mail["sender"]: mail["queue_name"] for mail in qube.queue()}

    assert ask(qube, "hold", LATER, "--test") == [ids[LATER]]
    assert parts() == {LATER: "deferred", REFUSED: "deferred"}
    assert direct.run(qube, "postfix_smarthost.hold", what=LATER).result == [ids[LATER]]
    assert parts() == {LATER: "hold", REFUSED: "deferred"}
    assert ask(qube, "hold", LATER) == []
    (note,) = ask(qube, "status", code=1)["notes"]
    assert note.startswith("1 message is held: ")
    assert "1 message released." in words(qube, "release", ids[LATER])
    qube.wait_for(lambda: parts() == {LATER: "deferred", REFUSED: "deferred"}, "it to be deferred again")
    assert "1 message would be deleted." in words(qube, "delete", ids[REFUSED], "--test")
    assert "1 message deleted." in words(qube, "delete", ids[REFUSED])
    assert parts() == {LATER: "deferred"}
    assert ask(qube, "delete", "ALL") == [ids[LATER]]
    assert qube.queue() == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nobody@queue.test", "nobody@queue.test is no account of this qube. It has: alice@a.test, "),
        ("ABCDEF123", "ABCDEF123 is no message in the queue"),
        ("-r ALL", "-r ALL is neither a queue ID nor an address"),
        ("ALL hold", "ALL hold is neither a queue ID nor an address"),
    ],
)
def test_what_is_meant_has_to_be_there(qube: Qube, what: str, said: str) -> None:
    wait(qube, LATER)
    ended = qube.run(direct.PROGRAM, "delete", "--", what, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"postfix-smarthost: {said}")
    assert len(qube.queue()) == 1


# As in a desktop session: the program, and the socket of its bus.
_NOTIFIER = """\
#!/bin/sh
echo "$(id -un) $DBUS_SESSION_BUS_ADDRESS $*" >>/tmp/notes
"""


def notes(qube: Qube) -> list[str]:
    return qube.run("cat", "/tmp/notes").stdout.splitlines()


def test_desktop_is_told_once_for_each_reason(qube: Qube) -> None:
    qube.write("/usr/bin/notify-send", _NOTIFIER, mode="0755")
    qube.run("rm", "-f", "/run/postfix-smarthost/notes")
    qube.write("/tmp/notes", "", mode="0666")
    try:
        wait(qube, LATER, REFUSED)
        # Nobody is logged in yet.
        qube.run("rm", "-rf", "/run/user/1000")
        qube.run(direct.PROGRAM, "notify")
        assert notes(qube) == []
        qube.run(
            "sh",
            "-c",
            "mkdir -p /run/user/1000; touch /run/user/1000/bus; rm -f /run/postfix-smarthost/looked",
        )
        qube.run(direct.BOOT_SCRIPT, "uplink")
        (note,) = notes(qube)
        assert note.startswith(
            "user unix:path=/run/user/1000/bus --app-name=postfix-smarthost -- Mail waits 1 message"
        )
        assert (
            f"waits of {REFUSED}: smtp.queue.test refuses the user name or the password: 535 5.7.8 no."
            in note
        )
        wait_more(qube, REFUSED)
        qube.run(direct.PROGRAM, "notify")
        assert len(notes(qube)) == 1
        # What has waited for long is told, whatever the reason is.
        set_parameters(qube, delay_warning_time="1s")
        qube.wait_for(lambda: qube.run(direct.PROGRAM, "notify").stdout, "a note")
        assert len(notes(qube)) == 2
        assert f"1 message waits of {LATER}: smtp.queue.test says: 451" in notes(qube)[1]
        assert PASSWORD not in "".join(notes(qube))
        # Once it is over and comes back, it is told again.
        qube.run("postsuper", "-d", "ALL")
        qube.run(direct.PROGRAM, "notify")
        wait(qube, REFUSED)
        qube.run(direct.PROGRAM, "notify")
        assert len(notes(qube)) == 3
        before, qube.pillar = qube.pillar, {**qube.pillar}
        qube.pillar["postfix_smarthost"] = {**qube.pillar["postfix_smarthost"], "notifications": False}
        assert direct.run(qube).error is None
        qube.run("rm", "-f", "/run/postfix-smarthost/notes")
        qube.run(direct.PROGRAM, "notify")
        assert len(notes(qube)) == 3
        qube.pillar = before
        assert direct.run(qube).error is None
    finally:
        qube.run("sh", "-c", "rm -rf /usr/bin/notify-send /run/user/1000 /tmp/notes")


# What is done to a qube whose mail goes, what undoes it, and what is told then.
STATES = {
    "no watch": (
        "systemctl stop postfix-smarthost-uplink.timer",
        "true",
        "the watch for the uplink does not run",
    ),
    "stopped": (
        "systemctl stop postfix",
        "systemctl start postfix",
        "Postfix does not run on the configuration",
    ),
    "masked": (
        "systemctl mask --runtime --now postfix",
        "systemctl unmask --runtime postfix",
        "Postfix does not run on the configuration",
    ),
    "no configuration mounted": (
        "systemctl stop postfix; umount /etc/postfix",
        "true",
        "Postfix does not run on the configuration",
    ),
    "custom-persist": (
        "mkdir -p /run/qubes-service; touch /run/qubes-service/custom-persist",
        "rm /run/qubes-service/custom-persist",
        "This qube has the service custom-persist",
    ),
    "no boot script": (
        f"mv {direct.BOOT_SCRIPT} /rw/aside",
        f"mv /rw/aside {direct.BOOT_SCRIPT}",
        "Nothing starts Postfix at the next boot",
    ),
    "queue not mounted": (
        "systemctl stop postfix; umount /var/spool/postfix; systemctl start postfix",
        "systemctl stop postfix",
        "The queue is lost when this qube is shut down",
    ),
    "disposable": (
        "mkdir -p /run/qubes; touch /run/qubes/persistent-none",
        "rm /run/qubes/persistent-none",
        "This is a disposable, and sends no mail",
    ),
    "no configuration": (
        "mv /usr/local/etc/postfix /usr/local/etc/aside",
        "mv /usr/local/etc/aside /usr/local/etc/postfix",
        "There is no configuration: apply postfix_smarthost to this qube.",
    ),
    "not prepared": (
        "mv /usr/sbin/postfix /usr/sbin/postfix.aside",
        "mv /usr/sbin/postfix.aside /usr/sbin/postfix",
        "Postfix is not installed in this qube",
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_told_with_the_way_out(qube: Qube, state: str) -> None:
    breaks, mends, note = STATES[state]
    qube.run("sh", "-c", breaks)
    try:
        said = words(qube, "status", code=1)
        assert note in said
    finally:
        qube.run("sh", "-c", mends)
        qube.run(direct.BOOT_SCRIPT)
        qube.wait_for(lambda: ask_quietly(qube) == 0, "mail to go again")


def ask_quietly(qube: Qube) -> int:
    return qube.run(direct.PROGRAM, "status", check=False).returncode


def test_program_comes_with_an_apply_and_goes_with_clean(new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(pillar=pillar(ALICE))
    done = direct.run(qube)
    assert done.error is None
    (entry,) = qube.tree(direct.PROGRAM).values()
    assert (entry.uid, entry.gid, entry.mode) == (0, 0, "0755")
    for damage in (
        f"echo x >>{direct.PROGRAM}",
        f"chmod 700 {direct.PROGRAM}",
        f"rm {direct.PROGRAM}",
        f"ln -sf /bin/true {direct.PROGRAM}",
    ):
        qube.run("sh", "-c", damage)
        assert direct.run(qube, "postfix_smarthost.put_boot_script", test=True).result != {}
        assert [*direct.run(qube, "postfix_smarthost.put_boot_script").result] == [direct.PROGRAM]
        assert qube.tree(direct.PROGRAM) == {direct.PROGRAM: entry}
    assert direct.run(qube, "postfix_smarthost.put_boot_script").result == {}
    assert direct.PROGRAM in direct.run(qube, "postfix_smarthost.remove").result["changes"]["removed"]
    assert qube.run("find", "/usr/local/bin", "/usr/local/share", "-type", "f").stdout == ""
