# SPDX-License-Identifier: Apache-2.0
"""A password is in root's own files of its own qube, and nowhere else: no output, log, process, cache or other qube."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import stat
import zlib
from typing import TYPE_CHECKING

import pytest

from .accounts import ALICE, RECIPIENT, Account, pillar, unique
from .search import forms, holding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .lab import Lab
    from .qube import Qube, Template
    from .qubesctl import Applied
    from .relay import Relay

CONFIGURATION = "postfix_smarthost-appvm-configuration"
TABLES = {"hash": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
# First in PATH of what salt-ssh runs in the qube.
POSTMAP = "/usr/local/sbin/postmap"
# What dom0 hands to a management qube (qubessalt, prepare_salt_config_for_vm).
PILLAR = "srv/pillar/combined.sls"


def assert_in_tables_only(qube: Qube, suffix: str, *texts: str) -> None:
    """Check that some texts are in the password table and its compiled form alone, root's and 0600."""
    found = holding(qube, *texts)
    assert {os.path.basename(path) for path in found} == {"saslpass", f"saslpass{suffix}"}, found
    assert {os.path.dirname(path).rpartition("/")[0] for path in found} <= {
        "/etc/postfix",
        "/usr/local/etc/postfix",
        "/rw/usrlocal/etc/postfix",
    }, found
    assert {tuple(facts[:3]) for facts in found.values()} == {("0600", 0, 0)}, found


def assert_not_told(texts: list[str], **places: str) -> None:
    """Check that no text stands in any place."""
    wanted = forms(*texts)
    assert {place for place, said in places.items() for word in wanted if word in said} == set()


def said(applied: Applied) -> str:
    """Return all that came of an apply: as JSON, as a user and as dom0's log has it."""
    return applied.stdout + applied.stderr + applied.printed + applied.logged


class Traced:
    """Records each program that runs in a qube, with its arguments and its environment.

    Args:
        monkeypatch: pytest's.
        qube: the qube.
        record: where to.

    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, qube: Qube, record: Path) -> None:
        enter = qube.entering
        options = ["-f", "-v", "-qq", "--seccomp-bpf", "-s", "65535", "-e", "trace=execve", "-A", "-o"]
        monkeypatch.setattr(
            qube, "entering", lambda *a, **k: ["strace", *options, str(record), *enter(*a, **k)]
        )
        self._record = record

    def text(self) -> str:
        """Return what strace(1) wrote."""
        return self._record.read_text(encoding="utf-8", errors="replace")


def everywhere(qube: Qube) -> dict[str, str]:
    """Return what a running qube tells by itself: journal, processes, mail queue."""
    processes = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"
    return {
        "journal": qube.run("journalctl", "--no-pager", "--all", "--output=json").stdout + qube.journal(),
        "processes": qube.run("sh", "-c", processes, check=False).stdout,
        "console": qube.console.read_text(errors="replace"),
    }


def account(name: str, relay: str = "smtp.a.test") -> Account:
    """Return an account that nothing else has a word of."""
    return Account(f"{name}-{secrets.token_hex(6)}@a.test", relay, f"Pw{secrets.token_hex(12)}")


def management(lab: Lab, qube: Qube, *texts: str) -> set[str]:
    """Return the files of a management qube that hold one of some texts, also in what gzip(1) made."""
    wanted = [word.encode() for word in forms(*texts)]
    place = lab.qubesctl.management / qube.name
    found = set()
    for path in place.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            # That of a run that was killed may be cut off.
            data += zlib.decompressobj(31).decompress(data)
        if any(word in data for word in wanted):
            found.add(str(path.relative_to(place)))
    return found


def outside(lab: Lab, path: str) -> bool:
    """Tell whether anybody but root can get at a path below the management qubes' directories."""
    place = lab.qubesctl.management / path
    return not any(stat.S_IMODE(above.stat().st_mode) == 0o700 for above in place.parents)


def assert_in_handed_over_pillar_only(lab: Lab, qube: Qube, *texts: str) -> None:
    """Check that in a management qube some texts are in what dom0 gave it alone: in no log, no cache, no archive."""
    found = management(lab, qube, *texts)
    assert found == {PILLAR}
    assert [path for path in found if outside(lab, f"{qube.name}/{path}")] == []


@pytest.fixture(scope="module")
def all_types(lab: Lab, prepared: Template) -> Template:
    """Give a template whose Postfix has all types of tables."""
    template = prepared.clone("debian-13-types")
    template.start()
    template.run("apt-get", "install", "-y", "-qq", "postfix-cdb", "postfix-lmdb", timeout=120)
    template.shutdown()
    return template


@pytest.fixture
def mail(new_qube: Callable[..., Qube], relay_a: Relay) -> Qube:
    """Give a qube with one account that was applied, and two that its pillar has not yet."""
    assert relay_a.running
    qube = new_qube(pillar=pillar(ALICE))
    qube.apply("postfix_smarthost").check()
    return qube


def test_password_is_in_no_output_and_in_no_process(
    lab: Lab, mail: Qube, relay_a: Relay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh = account("fresh")
    relay_a.set_user(fresh.address, fresh.password)
    mail.pillar = pillar(ALICE, fresh)
    with monkeypatch.context() as patch:
        traced = Traced(patch, mail, tmp_path / "trace")
        runs = [mail.apply("postfix_smarthost", test=test).check() for test in (True, False)]
        programs = traced.text()
    # Each run begins with an empty management qube.
    assert_in_handed_over_pillar_only(lab, mail, fresh.password)
    subject = unique()
    mail.send(sender=fresh.address, to=RECIPIENT, subject=subject)
    assert relay_a.wait_for(subject, diagnosis=mail.diagnosis).login == fresh.address
    # A wrong password, and what the log then says.
    mail.pillar = pillar(ALICE, wrong := fresh.record(password=f"Wrong{secrets.token_hex(12)}"))
    runs.append(mail.apply("postfix_smarthost").check())
    assert_in_handed_over_pillar_only(lab, mail, wrong["password"])
    mail.send(sender=fresh.address, to=RECIPIENT, subject=subject)
    mail.wait_for(lambda: [m for m in mail.queue() if m["queue_name"] == "deferred"], "the deferred mail")
    assert "execve" in programs
    assert "LC_ALL=C" in programs
    assert runs[1].states[CONFIGURATION]["changes"]["accounts"] == {"added": [fresh.address]}
    passwords = [fresh.password, wrong["password"]]
    assert_not_told(passwords, programs=programs, output="".join(map(said, runs)), **everywhere(mail))
    assert_in_tables_only(mail, ".db", wrong["password"])
    assert holding(mail, fresh.password) == {}
    # The address is where it has to be: the search does find.
    assert len(holding(mail, fresh.address)) > len(holding(mail, wrong["password"]))


@contextlib.contextmanager
def postmap_that(qube: Qube, does: str) -> Iterator[None]:
    """Put another postmap(1) before Postfix's own."""
    qube.write(POSTMAP, f"#!/bin/sh\n{does}\n", mode="0755")
    try:
        yield
    finally:
        qube.run("rm", POSTMAP)


def test_password_is_in_no_output_of_a_run_that_fails(lab: Lab, mail: Qube) -> None:
    fresh = account("fails")
    usual = mail.pillar
    mail.pillar = pillar(ALICE, fresh)
    before = mail.tree("/rw/usrlocal/etc/postfix")
    runs = {}

    def apply(name: str) -> None:
        runs[name] = mail.apply("postfix_smarthost")
        assert_in_handed_over_pillar_only(lab, mail, fresh.password)

    # It quotes the table with the passwords.
    quotes = 'for word; do case $word in *:*saslpass) cat "${word#*:}" >&2; NEXT;; esac; done\n'
    goes_on = 'exec /usr/sbin/postmap "$@"'
    with postmap_that(mail, quotes.replace("NEXT", "exit 1") + goes_on):
        apply("postmap fails")
    with postmap_that(mail, quotes.replace("NEXT", ":") + goes_on):
        apply("postmap warns")
    for name in ("postmap fails", "postmap warns"):
        assert "saslpass was not compiled" in runs[name].states[CONFIGURATION]["comment"]
    mail.run("mount", "--bind", "-o", "ro", "/rw/usrlocal/etc/postfix", "/usr/local/etc/postfix")
    try:
        apply("read-only")
    finally:
        mail.run("umount", "/usr/local/etc/postfix")
    # What nobody thought of: an exception in the midst of it, with its traceback.
    module = lab.qubesctl.srv / "formulas/base/postfix_smarthost-formula/_utils/smarthost_staging.py"
    good = module.read_text()
    head = "def preflight(places: Places, staging: str, plan: Plan, template: str) -> None:\n"
    assert head in good
    try:
        module.write_text(good.replace(head, f"{head}    raise TypeError('forced')\n"))
        apply("exception")
    finally:
        module.write_text(good)
    assert [name for name, applied in runs.items() if applied.ok] == []
    assert "Traceback" in said(runs["exception"])
    assert "forced" in said(runs["exception"])
    assert_not_told([fresh.password], output="".join(map(said, runs.values())), **everywhere(mail))
    assert holding(mail, fresh.password) == {}
    assert mail.tree("/rw/usrlocal/etc/postfix") == before
    mail.pillar = usual


def test_run_that_is_killed_leaves_a_password_to_root_alone_and_the_next_one_takes_it_away(
    lab: Lab, mail: Qube
) -> None:
    fresh = account("killed")
    mail.pillar = pillar(ALICE, fresh)
    # Its parent is the process that applies the states, which has written the sources of the tables by then.
    with postmap_that(mail, "kill -KILL $PPID"):
        applied = mail.apply("postfix_smarthost")
    assert not applied.ok
    assert_not_told([fresh.password], output=said(applied), **everywhere(mail))
    left = holding(mail, fresh.password)
    assert [path for path in left if "/staging/" in path], left
    assert [path for path, facts in left.items() if not facts[3]] == []
    for user in ("user", "nobody"):
        found = mail.run(
            *(
                "grep",
                "-rlsaF",
                "-e",
                fresh.password,
                "/etc",
                "/home",
                "/root",
                "/run",
                "/rw",
                "/tmp",
                "/var",
            ),
            user=user,
            check=False,
        )
        assert found.stdout == ""
    assert [
        path for path in management(lab, mail, fresh.password) if outside(lab, f"{mail.name}/{path}")
    ] == []
    # The boot script takes away the directory of the apply; what Salt has left is not below /rw.
    mail.restart()
    assert holding(mail, fresh.password) == {}
    with postmap_that(mail, "kill -KILL $PPID"):
        assert not mail.apply("postfix_smarthost").ok
    assert holding(mail, fresh.password) != {}
    mail.pillar = pillar(ALICE)
    mail.apply("postfix_smarthost").check()
    left = holding(mail, fresh.password)
    # Salt's own, of the run that was killed: for root alone, and gone with the root volume.
    assert [path for path, facts in left.items() if not (path.startswith("/tmp/tmp") and facts[3])] == []


@pytest.mark.parametrize("kind", TABLES)
def test_password_of_a_removed_account_is_nowhere_on_the_disk(
    new_qube: Callable[..., Qube], all_types: Template, kind: str
) -> None:
    stays, changes, goes = (account(name) for name in ("stays", "changes", "goes"))
    changed = changes.record(password=f"New{secrets.token_hex(12)}")
    # So many that the table has more than one page.
    more = [account(f"more{number}") for number in range(60)]
    qube = new_qube(template=all_types, pillar=pillar(stays, *more, changes, goes, table_type=kind))
    qube.apply("postfix_smarthost").check()
    assert_in_tables_only(qube, TABLES[kind], changes.password, goes.password)
    qube.pillar = pillar(stays, changed, table_type=kind)
    qube.apply("postfix_smarthost").check()
    old = [changes.password, goes.password, *(item.password for item in more)]
    assert holding(qube, *old) == {}
    assert_in_tables_only(qube, TABLES[kind], stays.password)
    assert_in_tables_only(qube, TABLES[kind], changed["password"])


def test_two_qubes_know_nothing_of_each_other(lab: Lab, prepared: Template, relay_a: Relay) -> None:
    names = [unique("one"), unique("two")]
    own = {name: (account("first"), account("second")) for name in names}
    for item in (item for items in own.values() for item in items):
        relay_a.set_user(item.address, item.password)
    entries = {name: pillar(*items)["postfix_smarthost"] for name, items in own.items()}
    with lab.qubesctl.qubes_yaml(entries):
        qubes = [lab.qube(name, template=prepared) for name in names]
        runs = {qube.name: qube.apply("postfix_smarthost").check() for qube in qubes}
        pillars = {
            name: json.dumps(lab.qubesctl.salt_ssh(qube, "--out=json", "pillar.items").stdout)
            for name, qube in zip(names, qubes, strict=True)
        }
    for qube in qubes:
        subject = unique()
        qube.send(sender=own[qube.name][1].address, to=RECIPIENT, subject=subject)
        assert relay_a.wait_for(subject, diagnosis=qube.diagnosis).login == own[qube.name][1].address
    for qube in qubes:
        mine = [text for item in own[qube.name] for text in (item.address, item.password)]
        theirs = [
            text
            for name in names
            if name != qube.name
            for item in own[name]
            for text in (item.address, item.password)
        ]
        assert base64.b64encode(own[qube.name][0].password.encode()).decode() in pillars[qube.name]
        assert_not_told(theirs, pillar=pillars[qube.name], output=said(runs[qube.name]), **everywhere(qube))
        assert holding(qube, *theirs) == {}
        assert management(lab, qube, *theirs) == set()
        assert management(lab, qube, *mine) != set()
    for qube in qubes:
        lab.remove(qube)


def test_password_that_is_missing_in_the_table_keeps_the_message_from_leaving_without_a_login(
    lab: Lab, new_qube: Callable[..., Qube]
) -> None:
    # It would take mail from anybody.
    relay = lab.relay(
        "smtp.unlocked.test",
        users={"alice@open.test": ALICE.password},
        settings={
            "smtpd_sender_restrictions": "",
            "smtpd_relay_restrictions": "check_client_access static:OK, reject",
        },
    )
    qube = new_qube(
        pillar=pillar({"address": "alice@open.test", "relay": relay.name, "password": ALICE.password})
    )
    qube.apply("postfix_smarthost").check()
    (table,) = {
        path
        for path in holding(qube, ALICE.password)
        if path.endswith("/usr/local/etc/postfix/tables-a/saslpass")
    }
    qube.run("sh", "-c", 'sed -i /open.test/d "$1" && postmap "hash:$1"', "sh", table)
    qube.run("postfix", "reload")
    subject = unique()
    qube.send(sender="alice@open.test", to=RECIPIENT, subject=subject)
    qube.wait_for(lambda: [m for m in qube.queue() if m["queue_name"] == "deferred"], "the deferred mail")
    assert relay.received(subject) == []
