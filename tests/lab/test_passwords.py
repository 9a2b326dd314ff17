# SPDX-License-Identifier: Apache-2.0
"""A password of any shape is the same at the relay as in dom0: two renderings, a table and a login lie between."""

from __future__ import annotations

import base64
import random
import secrets
from typing import TYPE_CHECKING

import pytest

from .accounts import RECIPIENT, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template

# How the relay lets its users log in: as a text, or as a proof of knowing the text.
RELAYS = {"smtp.plain.test": ("plain",), "smtp.scram.test": ("scram-sha-256",)}
SHAPES = (
    "{{ 6 * 7 }}",
    "p{{ 6*7 }}{# x #}w",
    "x{% y",
    "{% raw %}{{ x }}{% endraw %}",
    "{",
    "}",
    "{#",
    "{{",
    "%}{%-",
    "# no comment",
    "no # comment",
    "#",
    ":",
    "::a:b:",
    "key: value",
    " leading blank",
    "\tleading tab",
    "inner  two   blanks",
    "inner\ttab",
    "'",
    '"',
    'it\'s "quoted"',
    '"in quotes"',
    "\\",
    "\\\\n\\t\\",
    "trailing backslash\\",
    "$",
    "$x ${x} $(x) ${x?y} $$",
    "`id`; $(id) | id & id > /id",
    "%s %n %% %(x)s %",
    "-",
    "- item",
    "? key",
    "!tag",
    "&anchor",
    "*alias",
    "|",
    ">-",
    "@at",
    "[a, b]",
    "{a: b}",
    "~",
    "null",
    "true",
    "0123",
    "1e3",
    "2026-01-01",
    "=",
    "<>",
    "a,b;c",
    "../../etc/passwd",
    "\u00e4\u00f6\u00fc\u00df",
    "e\u0301 and \u00e9",
    "\u65e5\u672c\u8a9e",
    "\U0001f511 key",
    "\u00a0no-break blanks\u00a0",
    "\u2028separator",
    "\u0085next line",
    "control \x01\x1b[31m\x7f",
    "x" * 255,
    "\u20ac" * 255,
    "{{x}}" * 51,
)
ALPHABETS = (
    "{}%#",
    "{}%#- \"'x",
    "\"'\\",
    "$`(){}|;&<>",
    " :#\tab",
    "".join(map(chr, range(0x20, 0x7F))),
    "".join(map(chr, (*range(1, 10), 11, 12, *range(14, 0x180)))),
    "a\u00e9\u0301\u05d0\u200f\u4e00\U0001f600\U0010ffff",
)


def generated(count: int) -> list[str]:
    """Return passwords that nobody thought of, others in each run; whatever fails is printed."""
    dice = random.Random(secrets.randbits(64))  # noqa: S311 - not for secrecy
    found = []
    while len(found) < count:
        length = dice.choice((1, 2, 3, dice.randint(4, 40), dice.randint(41, 255)))
        text = "".join(dice.choices(dice.choice(ALPHABETS), k=length))
        if text[-1] not in " \t\v\f":
            found.append(text)
    return found


@pytest.fixture(scope="module")
def accounts(lab: Lab) -> dict[str, tuple[str, str]]:
    """Give the accounts: address -> relay and password."""
    passwords = [*SHAPES, *generated(60)]
    made = {}
    for number, password in enumerate(passwords):
        names = list(RELAYS) if number < len(SHAPES) else [list(RELAYS)[number % 2]]
        if min(password) < " ":
            # As a text, Dovecot takes no control characters ("password having illegal chars").
            names = ["smtp.scram.test"]
        for name in names:
            made[f"user{number}@{name.removeprefix('smtp.')}"] = name, password
    for name, mechanisms in RELAYS.items():
        users = {address: password for address, (relay, password) in made.items() if relay == name}
        lab.relay(name, users=users, mechanisms=mechanisms)
    return made


def test_password_of_any_shape_logs_in_at_its_relay(
    lab: Lab, prepared: Template, accounts: dict[str, tuple[str, str]]
) -> None:
    records = [
        {"address": address, "relay": relay}
        | (
            {"password": password}
            if number % 7
            else {"password_base64": base64.b64encode(password.encode()).decode()}
        )
        for number, (address, (relay, password)) in enumerate(accounts.items())
    ]
    qube = lab.qube("mail-passwords", template=prepared)
    with lab.qubesctl.qubes_yaml({qube.name: {"accounts": records}}):
        qube.apply("postfix_smarthost").check()
    subject = unique()
    script = "".join(
        f"printf 'Subject: {subject}\\n\\nx\\n' | sendmail -f {address} {RECIPIENT} &&\n"
        for address in accounts
    )
    qube.run("sh", "-c", script + "true", user="user")
    expected = {address: (address, relay) for address, (relay, _) in accounts.items()}

    def arrived() -> dict[str, tuple[str, str]]:
        return {
            mail.sender: (mail.login, host.name)
            for host in (lab.relay(name) for name in RELAYS)
            for mail in host.received(subject)
        }

    def tried() -> bool:
        waiting = {mail["sender"] for mail in qube.queue() if mail["queue_name"] == "deferred"}
        return {*expected} <= {*arrived()} | waiting

    qube.wait_for(tried, "all messages to arrive, or to be deferred", timeout=120)
    found = arrived()
    lost = {address: accounts[address] for address in expected if found.get(address) != expected[address]}
    assert lost == {}, qube.queue()
    assert found == expected
    for name, mechanisms in RELAYS.items():
        used = {login.mechanism.lower() for login in lab.relay(name).logins() if login.ok}
        assert used == set(mechanisms)
    lab.remove(qube)


@pytest.mark.parametrize("number", [SHAPES.index("p{{ 6*7 }}{# x #}w"), SHAPES.index('it\'s "quoted"')])
def test_password_in_base64_outlives_a_pillar_that_jinja_renders(
    lab: Lab, new_qube: Callable[..., Qube], accounts: dict[str, tuple[str, str]], number: int
) -> None:
    address = f"user{number}@plain.test"
    relay, password = accounts[address]
    encoded = base64.b64encode(password.encode()).decode()
    qube = new_qube(
        pillar="postfix_smarthost:\n  accounts:\n"
        f"    - address: {address}\n      relay: {relay}\n      password_base64: {encoded}\n"
    )
    qube.apply("postfix_smarthost").check()
    subject = unique()
    qube.send(sender=address, to=RECIPIENT, subject=subject)
    assert lab.relay(relay).wait_for(subject, diagnosis=qube.diagnosis).login == address


def test_password_that_postfix_cannot_hold_is_refused_in_a_sentence(
    lab: Lab, new_qube: Callable[..., Qube]
) -> None:
    impossible = {
        "secret\nsecond": "holds a line break or a NUL byte",
        "secret\r": "holds a line break or a NUL byte",
        "secret\0zero": "holds a line break or a NUL byte",
        "secret ": "ends with white space",
        "secret\t": "ends with white space",
        "": "is empty",
    }
    records = [
        {"address": f"user{number}@plain.test", "relay": "smtp.plain.test", "password": password}
        for number, password in enumerate(impossible)
    ]
    qube = new_qube()
    before = qube.tree("/rw", "/etc")
    with lab.qubesctl.qubes_yaml({qube.name: {"accounts": records}}):
        applied = qube.apply("postfix_smarthost")
    assert not applied.ok
    comment = applied.states["postfix_smarthost-appvm-configuration"]["comment"]
    assert [line.partition(": the password ")[0] for line in comment.splitlines()] == [
        f"Account {number} (user{number - 1}@plain.test)" for number in range(1, len(impossible) + 1)
    ]
    for line, why in zip(comment.splitlines(), impossible.values(), strict=True):
        assert why in line
    assert "secret" not in applied.stdout + applied.stderr + applied.logged
    assert qube.tree("/rw", "/etc") == before
