# SPDX-License-Identifier: Apache-2.0
"""Postfix's own programs apply the planned tables to headers and addresses that leave."""

from pathlib import Path
from typing import Any

import pytest

import smarthost_pillar
import smarthost_plan
from tests.records import FACTS
from tests.samples import ALICE


@pytest.mark.parametrize(
    ("header", "action"),
    [
        ("Received: by localhost.localdomain (Postfix, from userid 1000)\n\tid 1; Thu", "IGNORE"),
        (
            "Received: from my-mail (localhost [127.0.0.1])\n\tby localhost.localdomain (Postfix) with ESMTP",
            "IGNORE",
        ),
        ("Received: by mail.example.net (Postfix) with ESMTPS", None),
        (
            "Received: from imap.example.net\n\tby my-mail with POP3 (fetchmail-6.4.37)\n\tfor <user@localhost>",
            "IGNORE",
        ),
        ("Delivered-To: user@localhost.localdomain", "IGNORE"),
        ("X-Original-To: user", "IGNORE"),
        ("From: root <alice@example.com>", "REPLACE From: <alice@example.com>"),
        ("From: user <alice@example.com>", "REPLACE From: <alice@example.com>"),
        ("From: Ruth Root <alice@example.com>", None),
        ("User-Agent: Mutt/2.2.9", "IGNORE"),
        ("X-Mailer: x", "IGNORE"),
        ("Message-ID: <1@my-mail>", "REPLACE Message-ID: <1@localhost.localdomain>"),
        ("Message-Id: <1.2@My-Mail.localdomain>", "REPLACE Message-Id: <1.2@localhost.localdomain>"),
        # Names that the qube had.
        ("Message-ID: <1@earlier>", "REPLACE Message-ID: <1@localhost.localdomain>"),
        ("Message-ID: <1@with.dot>", "REPLACE Message-ID: <1@localhost.localdomain>"),
        (
            "References: <1@a> <2@b.c> <3@my-mail.localdomain>\n\t<4@earlier>",
            "REPLACE References: <1@a> <2@b.c> <3@localhost.localdomain>\n\t<4@localhost.localdomain>",
        ),
        (
            "References: <2@my-mail.localdomain.> <3@earlier.>",
            "REPLACE References: <2@localhost.localdomain> <3@localhost.localdomain>",
        ),
        ("Mail-Followup-To: user <user@my-mail>", "REPLACE Mail-Followup-To: <user@my-mail>"),
        (
            "Disposition-Notification-To: root <root@earlier>",
            "REPLACE Disposition-Notification-To: <root@earlier>",
        ),
        # Names that others have.
        ("Message-ID: <1@another-name>", None),
        ("References: <1@localhost> <2@box.localdomain> <3@with-dot>", None),
        ("Received: from x by taiga with ESMTP", None),
        ("Delivered-To: friend@taiga", None),
        ("From: root <root@taiga>", None),
        ("From: root <root@my-mail.example.com>", None),
        # What a message that is passed on has, see submit-milter.
        ("Passed-On-User-Agent:  Mutt\n (x)", "REPLACE User-Agent:  Mutt\n (x)"),
        ("Passed-On-Subject: x", None),
        # The name before and behind an address inside the qube.
        ('From: "user" <user@MY-MAIL.>', "REPLACE From: <user@MY-MAIL.>"),
        ("Sender: user@earlier (user)", "REPLACE Sender: user@earlier"),
        ("Cc: root <root@[127.0.0.1]>, x@y.z", "REPLACE Cc: <root@[127.0.0.1]>, x@y.z"),
        (
            'Cc: Joe <x@y.z>, root <root@localhost>,\n "user" <user@with.dot>, z@y.x',
            "REPLACE Cc: Joe <x@y.z>, <root@localhost>,\n <user@with.dot>, z@y.x",
        ),
        ("Resent-From: Joe User <user@my-mail>", None),
        ("Message-ID: <1@my-mail.example.com>", None),
        ("Subject: my-mail", None),
    ],
)
def test_headers_that_leave_the_qube(
    loaders: object, tmp_path: Path, config_dir: Path, header: str, action: str | None
) -> None:
    checks = planned(tmp_path, "smtp_header_checks", names=("earlier", "with.dot", "my-mail"))
    assert loaders.modules.postmap.query(header, checks, config_dir=str(config_dir)) == action


def planned(directory: Path, name: str, address: str = "alice@example.com", **facts: Any) -> str:  # noqa: ANN401
    """Write a table of regular expressions as it is planned; return it as Postfix names it."""
    record = smarthost_pillar.normalise({"accounts": [ALICE | {"address": address}]})
    files = smarthost_plan.plan(record, "tables-a", FACTS | facts).files
    (directory / name).write_text(files[f"tables-a/{name}"].content)
    return f"regexp:{directory}/{name}"


@pytest.mark.parametrize("address", ["alice@example.com", "$1${1}$$@example.com"])
def test_addresses_that_leave_the_qube(
    loaders: object, tmp_path: Path, config_dir: Path, address: str
) -> None:
    generic = planned(tmp_path, "smtp_generic", address, hostname="my.mail", names=("my-mail",))

    def query(key: str) -> str | None:
        return loaders.modules.postmap.query(key, generic, config_dir=str(config_dir))

    inside = (
        "user",
        "root",
        "user@my-mail",
        "x@My-Mail.localdomain.",
        "root@localhost",
        "a@localhost.localdomain",
    )
    inside += ("user@[127.0.0.1]", "x@[10.137.0.9]", "x@[IPv6:::1]", '"a@b"@localhost', "root@my.mail.")
    assert {key: query(key) for key in (*inside, "root@my.mail", "user@my.mail")} == dict.fromkeys(
        (*inside, "root@my.mail", "user@my.mail"), address
    )
    outside = (
        "bob@example.org",
        "friend@my.mail",
        "user@mx.my.mail",
        "user@myxmail.org",
        "x@localdomain.net",
        "x@another-name",
        "a@b.localdomain",
        "a@my",
        "x@[192.0.2.1]",
        "x@[10.13.7.1]",
    )
    assert {key: query(key) for key in outside} == dict.fromkeys(outside)


def test_a_host_name_with_dots_is_known_in_headers(loaders: object, tmp_path: Path, config_dir: Path) -> None:
    checks = planned(tmp_path, "smtp_header_checks", hostname="my.mail")
    for header, action in {
        "Message-ID: <1@my.mail>": "REPLACE Message-ID: <1@localhost.localdomain>",
        "Message-ID: <1@myxmail>": None,
        "Message-ID: <1@my.mail.example.com>": None,
        "Received: from x by my.mail with POP3": "IGNORE",
    }.items():
        assert loaders.modules.postmap.query(header, checks, config_dir=str(config_dir)) == action
