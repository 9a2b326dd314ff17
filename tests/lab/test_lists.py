# SPDX-License-Identifier: Apache-2.0
"""Mail of lists as they really write their headers is sorted, and mail that only speaks of a list is not.

The headers are those of Google Groups, Debian's SmartList, Mailman 2 and 3, GitHub, GitLab, Discourse, sourcehut,
vger.kernel.org, public-inbox, Mailchimp, ezmlm, Majordomo, Sympa and LISTSERV; RFC 2919 and RFC 5322 say what else
may stand in them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from . import direct
from .accounts import ALICE, pillar

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Qube, Template

# Folder -> rule.
RULES: dict[str, dict[str, str]] = {
    "google": {"list_id": "qubes-users.googlegroups.com"},
    "debian": {"list_id": "<debian-user.lists.debian.org>"},
    "mailman": {"list_id": "Users of Fedora <users.lists.fedoraproject.org>"},
    "github": {"list_id": "qubes-issues.QubesOS.github.com"},
    "gitlab": {"list_id": "1234.phosh.librem5.source.puri.sm"},
    "sourcehut": {"list_id": "~sircmpwn/sr.ht-discuss.lists.sr.ht"},
    "inbox": {"list_id": "meta.public-inbox.org"},
    "discourse": {"list_id": "general.forum.qubes-os.org"},
    "majordomo": {"list_id": "misc.openbsd.org"},
    "bare": {"list_id": "announce.bare.example"},
    "odd": {"list_id": 'a(b)c[d]e|f?g+h^i$j\\k{l}m"n#o.odd.example'},
    "foreign": {"list_id": "verein.lists.example.org"},
    "mailchimp": {"list_id": "1234567.567890.list-id.mcsv.net"},
    "many": {"list_id": "*.many.example"},
    "kernel": {"header": "X-Mailing-List", "match": "linux-kernel@vger.kernel.org"},
    "ezmlm": {"header": "Delivered-To", "match": "mailing list user@ant.apache.org"},
    "qmail": {"header": "Mailing-List", "match": "contact log-help@list.cr.yp.to; run by ezmlm"},
    "owner": {"header": "sender", "match": "owner-linux-mm@kvack.org"},
    "listserv": {"header": "Sender", "match": "LINUX-390@VM.MARIST.EDU"},
    "sympa": {"header": "X-Loop", "match": "users@lists.sympa.example"},
    "tag": {"header": "Subject", "match": "[taiga]"},
    "post": {"header": "List-Post", "match": "~emersion/*@lists.sr.ht"},
    "yahoo": {"header": "Mailing-List", "match": "list foo@yahoogroups.com"},
    "bulk": {"header": "List-Unsubscribe-Post", "match": "*"},
    # It matches what an earlier one does, and comes too late.
    "late": {"header": "Subject", "match": "taiga"},
}

SORTED = [
    ("google", "List-ID: <qubes-users.googlegroups.com>"),
    ("google", "List-ID:   <QUBES-users.GoogleGroups.com>   "),
    ("google", "LIST-ID:<qubes-users.googlegroups.com>"),
    (
        "debian",
        "List-Id: <debian-user.lists.debian.org>\nX-Mailing-List: <debian-user@lists.debian.org> archive/latest/7",
    ),
    ("mailman", 'List-Id: "Users, \\"all\\" of them" <users.lists.fedoraproject.org>'),
    ("mailman", "List-Id: For users\n\tof Fedora\n <users.lists.fedoraproject.org>"),
    ("mailman", "List-Id:\n <users.lists.fedoraproject.org>"),
    ("mailman", "List-Id: Fedora (all (of) them) < users.lists.fedoraproject.org >"),
    ("mailman", 'List-Id: 12" disks <users.lists.fedoraproject.org>'),
    ("mailman", "List-Id: Fedora :-( <users.lists.fedoraproject.org>"),
    ("mailman", "List-Id: <users.lists.fedoraproject.org> (formerly <misc.openbsd.org>)"),
    ("github", "List-ID: QubesOS/qubes-issues <qubes-issues.QubesOS.github.com>"),
    ("gitlab", "List-Id: Librem5/phosh <1234.phosh.Librem5.source.puri.sm>"),
    ("sourcehut", "List-ID: ~sircmpwn/sr.ht-discuss <~sircmpwn/sr.ht-discuss.lists.sr.ht>"),
    ("inbox", "List-Id: <meta.public-inbox.org>"),
    ("discourse", 'List-ID: "Qubes OS Forum | General" <general.forum.qubes-os.org>'),
    ("majordomo", "List-ID: <misc.openbsd.org>\nSender: owner-misc@openbsd.org"),
    ("bare", "List-Id: announce.bare.example"),
    ("bare", "List-Id: announce.bare.example (Announcements)"),
    ("odd", 'List-Id: <a(b)c[d]e|f?g+h^i$j\\k{l}m"n#o.odd.example>'),
    ("foreign", "List-Id: =?utf-8?q?Verein_f=C3=BCr_=22Alles=22?= <verein.lists.example.org>"),
    ("foreign", "List-Id: Verein für Alles <verein.lists.example.org>"),
    ("mailchimp", "List-ID: 1234567mc list <1234567.567890.list-id.mcsv.net>"),
    ("many", "List-Id: Some of them <some.of.many.example>"),
    ("kernel", "X-Mailing-List: linux-kernel@vger.kernel.org"),
    ("kernel", "X-Mailing-List: <linux-kernel@vger.kernel.org> archive/latest/1"),
    ("kernel", "X-Mailing-List: Linux-Kernel@vger.kernel.org."),
    ("ezmlm", "Delivered-To: someone@example.org\nDelivered-To: mailing list user@ant.apache.org"),
    ("ezmlm", "Delivered-To: mailing  list\n user@ant.apache.org"),
    ("qmail", "Mailing-List: contact log-help@list.cr.yp.to; run by ezmlm"),
    ("owner", "Sender: owner-linux-mm@kvack.org"),
    ("owner", "Sender: <owner-linux-mm@kvack.org>"),
    ("listserv", "Sender: Linux on S/390 <linux-390@vm.marist.edu>"),
    ("sympa", "X-Loop: users@lists.sympa.example\nX-Sequence: 12"),
    ("tag", "Subject: Re: [taiga] hello"),
    ("tag", "Subject: [Taiga] hello"),
    ("post", "List-Post: <mailto:~emersion/public-inbox@lists.sr.ht>"),
    ("yahoo", "Mailing-List: list foo@yahoogroups.com; contact foo-owner@yahoogroups.com"),
    ("bulk", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
    ("late", "Subject: on taiga, once more"),
    # Two rules match: the first one of the pillar has it, whatever comes first in the message.
    ("google", "Sender: owner-linux-mm@kvack.org\nList-Id: <qubes-users.googlegroups.com>"),
]

NOT_SORTED = [
    "List-Id: Talk about qubes-users.googlegroups.com <talk.example.org>",
    'List-Id: "was <misc.openbsd.org>" <talk.example.org>',
    "List-Id: (formerly <misc.openbsd.org>) <talk.example.org>",
    "List-Id: (a (nested <misc.openbsd.org>) one) <talk.example.org>",
    "List-Id: <talk.example.org> (formerly <misc.openbsd.org>)",
    'List-Id: <talk.example.org> "formerly <misc.openbsd.org>"',
    "List-Id: <big-misc.openbsd.org>",
    "List-Id: <x.misc.openbsd.org>",
    "List-Id: <misc.openbsd.org.example.com>",
    "List-Id: <misc_openbsd.org>",
    "List-Id: misc.openbsd.org archive <talk.example.org>",
    "List-Id: announce.bare.example and more",
    "List-Id: <some.of.many.example.org>",
    "X-List-Id: <misc.openbsd.org>",
    "Subject: List-Id: <misc.openbsd.org>",
    "X-Nothing: at all\n\nList-Id: <misc.openbsd.org>",
    "X-Mailing-List: not-linux-kernel@vger.kernel.org",
    "X-Mailing-List: linux-kernel@vger.kernel.org.example.com",
    "X-Mailing-List: linux-kernel@vger.kernel.organic",
    "X-Mailing-List: linux-kernel@vgerXkernel.org",
    "X-X-Mailing-List: linux-kernel@vger.kernel.org",
    "Delivered-To: mailing list super-user@ant.apache.org",
    "Sender: co-owner-linux-mm@kvack.org",
    "Subject: [taiga-dev] hello",
    "Subject: pataigagonia",
    "List-Post: <mailto:~emersion/public-inbox@lists.sr.ht.example.org>",
    "List-Post: <mailto:~other/public-inbox@lists.sr.ht>",
    "List-Post: <mailto:~emersion/one two@lists.sr.ht>",
]

# Brings all messages in by one connection, waits until the queue is empty, and tells the folder of each.
BRING_IN = r"""
import json, os, smtplib, subprocess, sys, time
messages = json.load(sys.stdin)
smtp = smtplib.SMTP("127.0.0.1", timeout=30)
for message in messages:
    smtp.sendmail("list-bounces@far.test", "user@localhost", message.encode())
smtp.quit()
deadline = time.monotonic() + 60
while subprocess.run(["postqueue", "-j"], capture_output=True).stdout and time.monotonic() < deadline:
    time.sleep(0.1)
folders = {}
top = "/home/user/.maildir"
for where, _, names in os.walk(top):
    for name in names:
        with open(os.path.join(where, name), encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("X-Number: "):
                    folders.setdefault(int(line.split()[1]), []).append(os.path.relpath(os.path.dirname(where), top))
json.dump([folders.get(number, []) for number in range(len(messages))], sys.stdout)
"""


def rules() -> list[dict[str, str]]:
    return [{**rule, "folder": f"list/{name}"} for name, rule in RULES.items()]


@pytest.fixture(scope="module")
def qube(lab: Lab, prepared: Template) -> Qube:
    """Give a qube that sorts by all rules."""
    made = lab.qube("mail-lists", template=prepared, pillar=pillar(ALICE, lists=rules()))
    made.apply("postfix_smarthost").check()
    return made


@pytest.fixture(scope="module")
def folders(qube: Qube) -> dict[str, list[str]]:
    """Give the folders in which each message is, once all were brought in: by its headers."""
    headers = [*(header for _, header in SORTED), *NOT_SORTED]
    messages = [
        f"From: somebody@far.test\nTo: list@far.test\nX-Number: {number}\n{header}\n\nList-Id: <misc.openbsd.org>\n"
        for number, header in enumerate(headers)
    ]
    found = json.loads(qube.run("python3", "-c", BRING_IN, stdin=json.dumps(messages), timeout=120).stdout)
    return dict(zip(headers, found, strict=True))


@pytest.mark.parametrize(("folder", "header"), SORTED)
def test_mail_of_a_list_is_sorted(folders: dict[str, list[str]], folder: str, header: str) -> None:
    assert folders[header] == [f"list/{folder}"]


@pytest.mark.parametrize("header", NOT_SORTED)
def test_mail_that_only_speaks_of_a_list_is_not(folders: dict[str, list[str]], header: str) -> None:
    assert folders[header] == ["."]


def test_a_second_apply_has_nothing_to_do(qube: Qube) -> None:
    direct.run(qube)
    said = direct.run(qube)
    assert said.changes == {}
    assert [step for step in said.steps if not step.startswith("os.mkdir ")] == []
