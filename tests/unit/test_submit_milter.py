# SPDX-License-Identifier: Apache-2.0
"""The milter without Postfix: how it reads addresses, and that no header makes it fall over."""

import io
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from hypothesis import given

import smarthost_privacy
import smarthost_services
from smarthost_places import TOP_FILES, Places
from tests.checkout import ROOT
from tests.records import PIECES, fuzz, randoms

FILE = ROOT / "_utils/smarthost_submit_milter.py"


def loaded() -> ModuleType:
    spec = spec_from_loader("submit_milter", SourceFileLoader("submit_milter", str(FILE)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = written
    return module


milter = loaded()


@pytest.mark.parametrize(
    ("header", "addresses"),
    [
        ("bob@b.test", ["bob@b.test"]),
        (" Bob <bob@b.test>", ["bob@b.test"]),
        ("\n\tBob\n <bob@b.test>\n", ["bob@b.test"]),
        ('"a@b.c, <d@e.f>" <bob@b.test>', ["bob@b.test"]),
        ('"a\\"b" <bob@b.test>', ["bob@b.test"]),
        ("bob@b.test (x@y.z)", ["bob@b.test"]),
        ("(a (nested) \\) one) bob@b.test", ["bob@b.test"]),
        ('(a "quote) bob@b.test', ["bob@b.test"]),
        ('"a (comment" <bob@b.test>', ["bob@b.test"]),
        ('"bob"@b.test', ["bob@b.test"]),
        ("<@x.test,@y.test:bob@b.test>", None),
        ("<@x.test:bob@b.test>", ["bob@b.test"]),
        ("bob@b.test, Al <al@a.test>", ["bob@b.test", "al@a.test"]),
        ("Us: bob@b.test, al@a.test;", ["bob@b.test", "al@a.test"]),
        ("root", ["root"]),
        ("undisclosed-recipients:;", []),
        ("", []),
        ('"bob@b.test', None),
        ("bob@b.test (x", None),
        ("Bob <bob@b.test", None),
        ("bob@b.te\u017ft", None),
        ('"bob b"@b.test', None),
        ("bob@b.test al@a.test", None),
        ("bob@b.test\0al@a.test", None),
        ("a\\@b.test", None),
        ("bob@@b.test", None),
    ],
)
def test_addresses_of_a_header(header: str, addresses: list[str] | None) -> None:
    assert milter.mailboxes(header) == addresses


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("user", True),
        ("user@localhost", True),
        ("user@WORK", True),
        ("user@work.localdomain.", True),
        ("user@[127.0.0.1]", True),
        ("user@[IPv6:::1]", True),
        ("user@taiga", False),
        ("rita%recipients.test@localhost", False),
        ("recipients.test!rita@localhost", False),
        ('"rita@recipients.test"@localhost', False),
        ("recipients.test!rita", False),
        ("@localhost:rita@recipients.test", False),
        ("user@work.example", False),
        ("user@[192.0.2.1]", False),
    ],
)
def test_addresses_inside_the_qube(tmp_path: Path, address: str, own: bool) -> None:
    (tmp_path / "names").write_text("work\nold.name\n")
    assert milter.is_own(address, milter.own_names(str(tmp_path / "names"))) is own


def test_what_it_shares_with_the_plan() -> None:
    places = Places()
    (named,) = re.findall(r"-IS \S+/submit-milter (\S+)\n", smarthost_services.master_cf("user"))
    directory, _, name = named.rpartition("/")
    assert directory == places.running_config_dir
    assert name in TOP_FILES
    checks = smarthost_privacy.header_checks({"user": "user", "accounts": []}, [])
    programs = "|".join(milter.PRIVATE)
    assert f"/^({programs}):/ IGNORE\n" in checks.lower().replace(" ignore", " IGNORE")
    assert f"/^{milter.PREFIX}(".lower() in checks.lower()


@given(randoms)
@fuzz
def test_whatever_a_header_holds_there_is_an_answer(random: Random) -> None:
    """And it is no sender but one that stands there: of one line, without a blank or a control character."""
    pieces = (*PIECES, *'()<>@,;:"\\', "bob@b.test", "al@a.test", "\r\n ", "=?utf-8?q?x?=")
    message = milter.Message()
    message.sender = random.choice(("", "user@localhost", "user@work", "bob@b.test", '"<>"@localhost'))
    message.recipients = [random.choice(("rita@recipients.test", "user@localhost"))]
    names = ("From", "from", "Sender", "Resent-From", "Received", "Message-ID", "User-Agent", "X-Mailer")
    message.headers = [
        (random.choice(names), "".join(random.choices(pieces, k=random.randrange(8))))
        for _ in range(random.randrange(6))
    ]
    answers = message.answers({"localhost", "localhost.localdomain", "work"})
    whole = " ".join(value for _, value in message.headers).lower()
    for command, data in answers:
        assert command in (b"e", b"i", b"m", b"y")
        if command == b"e":
            sender = data.decode().removeprefix("<").removesuffix(">\0")
            assert sender.isascii()
            assert sender.isprintable()
            assert " " not in sender
            assert sender.count("@") <= 1
            assert sender.rpartition("@")[2].lower() in whole


def talk(names: Path, *packets: tuple[bytes, bytes]) -> list[bytes]:
    """Run it as spawn(8) does, and return the commands of its answers."""
    sent = b"".join((len(data) + 1).to_bytes(4, "big") + command + data for command, data in packets)
    done = subprocess.run(
        [sys.executable, "-IS", str(FILE), str(names)], input=sent, capture_output=True, check=True
    )
    stream, commands = io.BytesIO(done.stdout), []
    while length := stream.read(4):
        commands.append(stream.read(int.from_bytes(length, "big"))[:1])
    return commands


def test_protocol(tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("work\n")
    offer = (b"O", b"".join(number.to_bytes(4, "big") for number in (6, 0x1FF, 0x1FFFFF)))
    message = (
        (b"D", b"Mi\0queue-id\0"),
        (b"M", b"<user@localhost.localdomain>\0"),
        (b"R", b"<rita@recipients.test>\0"),
        (b"L", b"From\0 Bob <bob@b.test>\0"),
        (b"L", b"Subject\0 \xff\xfe\0"),
        (b"E", b""),
    )
    assert talk(names, offer, *message, *message, (b"Q", b"")) == [b"O", b"e", b"c", b"e", b"c"]
    # One that is given up counts for nothing.
    assert talk(names, offer, *message[:-1], (b"A", b""), (b"M", b"<a@b.test>\0"), *message[2:]) == [
        b"O",
        b"c",
    ]
    # An old Postfix is refused, whose messages wait then.
    with pytest.raises(subprocess.CalledProcessError):
        talk(names, (b"O", b"".join(number.to_bytes(4, "big") for number in (2, 0x1, 0x7F))))
