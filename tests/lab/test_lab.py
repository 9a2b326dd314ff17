# SPDX-License-Identifier: Apache-2.0
"""The lab itself: it is like Qubes where that matters, its mail hosts are strict, and nothing of it stays behind."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, ANN, BOB, RECIPIENT, unique
from .container import LabError, wait_for
from .lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from .accounts import Account
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
def bare(lab: Lab) -> Template:
    """Give a template that no test changes."""
    return lab.template("debian-13")


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


def test_a_template_is_untouched(bare: Template) -> None:
    bare.start()
    assert bare.run("systemctl", "is-system-running").stdout == "running\n"
    assert bare.run("dpkg-query", "--list", "postfix", check=False).returncode == 1
    assert bare.run("sh", "-c", "ls /run/qubes").stdout.split() == ["persistent-full", "this-is-templatevm"]
    assert bare.run("id", "user").stdout.startswith("uid=1000(user) gid=1000(user)")
    bare.shutdown()


def test_a_template_keeps_what_was_changed_and_qubes_see_it_from_its_shutdown_on(
    new_template: Callable[..., Template], new_qube: Callable[..., Qube]
) -> None:
    template = new_template()
    template.start()
    template.write("/etc/lab", "first\n")
    template.restart()
    assert template.read("/etc/lab") == "first\n"
    qube = new_qube(template=template)
    assert qube.read("/etc/lab") == "first\n"
    template.write("/etc/lab", "second\n")
    template.run("rm", "/etc/issue")
    qube.restart()
    assert qube.read("/etc/lab") == "first\n"
    template.shutdown()
    assert qube.read("/etc/lab") == "first\n"
    qube.restart()
    assert qube.read("/etc/lab") == "second\n"
    assert qube.run("test", "-e", "/etc/issue", check=False).returncode == 1


def test_a_clone_goes_its_own_way(lab: Lab, new_template: Callable[..., Template]) -> None:
    template = new_template()
    template.start()
    template.write("/etc/lab", "both\n")
    template.shutdown()
    clone = template.clone(unique("clone"))
    clone.start()
    clone.write("/etc/lab", "clone\n")
    clone.shutdown()
    template.start()
    assert template.read("/etc/lab") == "both\n"
    lab.remove(clone)


def test_an_app_qube_keeps_rw_home_and_usr_local(bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)
    assert qube.run("sh", "-c", "ls /run/qubes").stdout.split() == ["persistent-rw-only", "this-is-appvm"]
    assert qube.run("stat", "-c", "%U %a", "/home/user").stdout == "user 700\n"
    assert qube.run("test", "-x", "/rw/config/rc.local").returncode == 0
    paths = ("/rw/kept", "/home/user/kept", "/usr/local/kept", "/etc/lost", "/var/spool/lost")
    for path in paths:
        qube.write(path, "")
    for stop in (qube.shutdown, qube.kill):
        stop()
        assert not qube.running
        qube.start()
        there = [path for path in paths if qube.run("test", "-e", path, check=False).returncode == 0]
        assert there == ["/rw/kept", "/home/user/kept", "/usr/local/kept"]
        qube.write("/etc/lost", "")
    assert (qube.rw / "home/user/kept").exists()


def test_rc_local_runs_as_in_qubes(bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)

    def script(word: str) -> str:
        return f"#!/bin/sh\necho {word} $(id -u) >> /run/order\nexit 1\n"

    qube.write("/rw/config/rc.local.d/20-b.rc", script("b"), mode="0755")
    qube.write("/rw/config/rc.local.d/10-a.rc", script("a"), mode="0755")
    qube.write("/rw/config/rc.local.d/30-c.rc", script("not executable"), mode="0644")
    qube.write("/rw/config/rc.local.d/40-d.sh", script("not .rc"), mode="0755")
    qube.write("/rw/config/rc.local", script("rc.local"), mode="0755")
    qube.restart()
    assert qube.read("/run/order") == "a 0\nb 0\nrc.local 0\n"
    assert qube.run("systemctl", "is-system-running").stdout == "running\n"
    qube.services.add("custom-persist")
    qube.restart()
    assert qube.run("test", "-e", "/run/order", check=False).returncode == 1
    assert qube.run("test", "-e", "/run/qubes-service/custom-persist").returncode == 0


def test_a_disposable_has_a_copy_of_rw_that_is_thrown_away(
    lab: Lab, bare: Template, new_qube: Callable[..., Qube]
) -> None:
    qube = new_qube(template=bare)
    qube.write("/rw/file", "of the qube\n")
    qube.shutdown()
    disposable = qube.disposable(unique("disp"))
    disposable.start()
    assert disposable.run("ls", "/run/qubes").stdout.split() == ["persistent-none"]
    assert disposable.read("/rw/file") == "of the qube\n"
    disposable.write("/rw/file", "changed\n")
    lab.remove(disposable)
    assert (qube.rw / "file").read_text() == "of the qube\n"


def test_bind_dirs_are_copied_once_and_mounted(bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)
    qube.write("/rw/config/qubes-bind-dirs.d/50.conf", "binds+=( '/var/lib/dpkg' )\n")
    qube.restart()
    qube.write("/var/lib/dpkg/mine", "")
    qube.restart()
    assert qube.run("ls", "/var/lib/dpkg/mine", "/rw/bind-dirs/var/lib/dpkg/status").returncode == 0


def test_apt_installs_without_a_network(with_postfix: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=with_postfix)
    assert qube.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "postfix").stdout == "installed"
    assert qube.run("systemctl", "is-active", "postfix", check=False).stdout == "inactive\n"


def test_states_are_applied_as_qubesctl_does(lab: Lab, bare: Template, new_qube: Callable[..., Qube]) -> None:
    states = lab.qubesctl.srv / "salt"
    (states / "lab_states.sls").write_text(
        textwrap.dedent("""\
            lab-nothing:
              test.nop
            lab-file:
              file.managed:
                - name: /rw/from-salt
                - contents: {{ pillar["value"] }} {{ pillar["qubes"]["type"] }} {{ pillar["qubes"]["template"] }}
            lab-broken:
              test.fail_without_changes:
                - onlyif: {{ pillar["broken"] | yaml_squote }}
            """)
    )
    qube = new_qube(
        template=bare, pillar={"value": "p{{ 6*7 }}w", "broken": "false"}, tags=["mail"], start=False
    )
    predicted = qube.apply("lab_states", test=True)
    assert not qube.running
    assert predicted.predicted == ["lab-file"]
    assert not (qube.rw / "from-salt").exists()

    qube.start()
    temporary = ("/var/tmp", "/tmp", "/root")
    before = qube.tree(*temporary)
    first = qube.apply("lab_states")
    assert (first.returncode, first.changed, first.ok) == (0, ["lab-file"], True)
    # A value is rendered by Jinja once more in the management qube.
    assert qube.read("/rw/from-salt") == "p42w app debian-13\n"
    assert "Succeeded: 3 (changed=1)" in first.printed
    assert qube.tree(*temporary) == before

    second = qube.apply("lab_states", trace=True)
    assert second.changed == []
    assert any("salt-call" in word for command in second.executed for word in command)
    assert ["mkdir", "-p", "/run/salt-shim-sandbox"] in second.executed

    qube.pillar = {"value": "x", "broken": "true"}
    broken = qube.apply("lab_states")
    assert (broken.ok, broken.failed, broken.returncode != 0) == (False, ["lab-broken"], True)
    with pytest.raises(LabError, match="lab-broken"):
        broken.check()

    assert qube.salt("test.arg", "a b", key="c d")["args"] == ["a b"]


def test_a_run_that_cannot_start_says_why(lab: Lab, bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)
    missing = qube.apply("there_is_no_such_sls")
    assert not missing.ok
    assert "there_is_no_such_sls" in missing.errors[0]
    assert "there_is_no_such_sls" in missing.logged
    # A pillar that a user wrote by hand is rendered in dom0 first.
    qube.pillar = "answer: {{ 6 * 7 }}\n"
    assert qube.salt("pillar.get", "answer") == 42


def test_the_highstate_is_what_the_top_files_say(
    lab: Lab, bare: Template, new_qube: Callable[..., Qube]
) -> None:
    srv = lab.qubesctl.srv
    (srv / "salt/lab_top.sls").write_text("lab-top: test.nop\n")
    top = srv / "salt/_tops/base/lab.top"
    qube = new_qube(template=bare, tags=["lab-top"])
    other = new_qube(template=bare, start=False)
    formula = srv / "salt/_tops/base/postfix_smarthost.top"
    enabled = formula.readlink() if formula.is_symlink() else None
    formula.unlink(missing_ok=True)
    try:
        top.write_text(
            "base:\n  'I@qubes:type:app and I@qubes:tags:lab-top':\n    - match: compound\n    - lab_top\n"
        )
        applied = qube.apply()
        assert list(applied.states) == ["lab-top"], applied
        skipped = other.apply()
        assert skipped.skipped
        assert not skipped.states
    finally:
        top.unlink()
        if enabled:
            formula.symlink_to(enabled)


def test_only_salt_gets_through_the_ssh_stand_in(lab: Lab) -> None:
    ssh = Path(__file__).with_name("remote_shell.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_QUBES", str(lab.place))
        link = lab.place / "ssh"
        link.symlink_to(ssh)
        shim = "/bin/sh  << 'EOF'\nid\nEOF"
        for command in (["id"], [f"{shim}\nid"], [f"{shim}\nid\nEOF"], [shim, "id"]):
            done = subprocess.run([str(link), "qube", *command], capture_output=True, text=True, check=False)
            assert done.returncode == 2, command


def test_salts_files_are_for_root_only(lab: Lab) -> None:
    for path in (lab.place, lab.qubesctl.dom0, lab.qubesctl.management):
        assert path.stat().st_mode & 0o777 == 0o700


def test_the_network_is_like_a_qubes(
    lab: Lab, bare: Template, relay_a: Relay, new_qube: Callable[..., Qube]
) -> None:
    resolve = ("getent", "ahostsv4", relay_a.name)
    qube = new_qube(template=bare)
    assert qube.read("/etc/resolv.conf") == "nameserver 10.139.1.1\nnameserver 10.139.1.2\n"
    assert relay_a.address in qube.run(*resolve).stdout
    assert qube.run("getent", "hosts", "nothing.test", check=False).returncode == 2
    qube.network("down")
    assert qube.run(*resolve, check=False).returncode == 2
    qube.restart()
    assert qube.run("test", "-e", "/sys/class/net/eth0", check=False).returncode == 1
    assert qube.run(*resolve, check=False).returncode == 2
    qube.network("up")
    assert relay_a.address in qube.run(*resolve).stdout
    # It ends at the lab's own router.
    routes = qube.run("ip", "-oneline", "route").stdout
    assert routes.startswith("default via 10.137.0.1 dev eth0")
    assert lab.network.run("ip", "-oneline", "route", "show", "default").stdout == ""


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


@pytest.fixture(scope="module")
def bare_client(lab: Lab, bare: Template) -> Qube:
    """Give an app qube without any mail transfer agent."""
    return lab.qube("client", template=bare)


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


def test_a_tree_shows_any_change(bare_client: Qube) -> None:
    bare_client.run("mkdir", "-p", "/rw/tree/directory")
    bare_client.write("/rw/tree/file", "one\n")
    seen = [bare_client.tree("/rw/tree")]
    for change in (
        "echo two > file",
        "chmod 600 file",
        "chown user file",
        "ln -s file link",
        "rmdir directory",
        "mkfifo fifo",
    ):
        bare_client.run("sh", "-c", f"cd /rw/tree && {change}")
        seen.append(bare_client.tree("/rw/tree"))
    assert all(one != next_one for one, next_one in itertools.pairwise(seen))
    assert bare_client.tree("/rw/tree") == seen[-1]


_CHILD = """\
import signal, sys, time
from pathlib import Path
# It is ignored by what a shell began in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {repository!r})
from tests.lab import Lab
with Lab() as lab:
    lab.qube("one", template=lab.template("debian"))
    lab.relay("smtp.a.test")
    print(lab.place, lab.cgroup.path, flush=True)
    {then}
"""


def _left_behind(place: Path, cgroup: Path) -> list[str]:
    """Return what there still is of a lab."""
    found = [str(path) for path in (place, cgroup) if path.exists()]
    for process in Path("/proc").glob("[0-9]*"):
        for file, mark in (("cgroup", f"/{cgroup.name}"), ("mountinfo", str(place)), ("cmdline", str(place))):
            try:
                text = (process / file).read_text(errors="replace")
            except OSError:
                continue
            if mark in text:
                found.append(f"process {process.name}: {mark} in its {file}")
    return found


@pytest.mark.parametrize(
    ("then", "number", "status"),
    [
        ("pass", 0, 0),
        ("raise RuntimeError('on purpose')", 0, 1),
        ("time.sleep(600)", signal.SIGINT, -signal.SIGINT),
        ("time.sleep(600)", signal.SIGTERM, -signal.SIGTERM),
        (
            "lab.qubesctl.call(lab._machines['one'], 'test.sleep', '600', timeout=900)",
            signal.SIGINT,
            -signal.SIGINT,
        ),
        ("time.sleep(600)", signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_nothing_is_left_behind(then: str, number: int, status: int) -> None:
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    namespaces = set(Path("/run/netns").glob("*")) if Path("/run/netns").exists() else set()
    program = _CHILD.format(repository=str(Path(__file__).parents[2]), then=then)
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        said = child.stdout.readline().split()
        assert said, child.communicate(timeout=60)[1]
        place, cgroup = map(Path, said)
        if number:
            assert _left_behind(place, cgroup)
            if "salt" in then or "call" in then:
                wait_for(lambda: _runs(cgroup, "salt-ssh"), "salt-ssh in the child lab")
            # As a terminal does: to the whole process group.
            os.killpg(child.pid, number)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == status, errors

    def left_behind() -> list[str]:
        return _left_behind(place, cgroup)

    wait_for(lambda: not left_behind(), "the lab to vanish", 15, diagnosis=lambda: "\n".join(left_behind()))
    assert subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout == links
    assert (set(Path("/run/netns").glob("*")) if Path("/run/netns").exists() else set()) == namespaces


def _runs(cgroup: Path, program: str) -> bool:
    for procs in cgroup.rglob("cgroup.procs"):
        for pid in procs.read_text().split():
            if program in Path(f"/proc/{pid}/cmdline").read_text():
                return True
    return False


def test_two_labs_do_not_meet(lab: Lab, bare_client: Qube, relay_a: Relay) -> None:
    with Lab() as other:
        qube = other.qube(bare_client.name, template=other.template("debian-13"))
        assert qube.run("getent", "hosts", relay_a.name, check=False).returncode == 2
        assert bare_client.running
    assert bare_client.running
