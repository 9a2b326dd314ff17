# SPDX-License-Identifier: Apache-2.0
"""A password of any shape is the same at the relay as in dom0: two renderings, a table and a login lie between."""

from __future__ import annotations

import base64
import random
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.records import seen

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
    "inner  two   blanks",
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
    "it\u2019s and \u201cinner\u201d quotes",
    "\u65e5\u672c\u8a9e",
    "\U0001f511 key",
    "\u05e9\u05c1 and \u0939\u093f\u0928\u094d\u0926\u0940",
    "x" * 255,
    "\u20ac" * 255,
    "{{x}}" * 51,
)
ALPHABETS = (
    "{}%#",
    "{}%#- \"'x",
    "\"'\\",
    "$`(){}|;&<>",
    " :#ab",
    "".join(map(chr, range(0x20, 0x7F))),
    "".join(map(chr, range(0xA1, 0x180))),
    "a\u00e9\u0301\u05d0\u05b0\u4e00\U0001f600\U0010ffff",
)


def generated(count: int) -> list[str]:
    """Return passwords that nobody thought of, others in each run; whatever fails is printed."""
    dice = random.Random(secrets.randbits(64))  # noqa: S311 - not for secrecy
    found = []
    while len(found) < count:
        length = dice.choice((1, 2, 3, dice.randint(4, 40), dice.randint(41, 255)))
        text = seen("".join(dice.choices(dice.choice(ALPHABETS), k=length)))
        if text:
            found.append(text)
    return found


@pytest.fixture(scope="module")
def accounts(lab: Lab) -> dict[str, tuple[str, str]]:
    """Give the accounts: address -> relay and password."""
    passwords = [*SHAPES, *generated(60)]
    made = {}
    for number, password in enumerate(passwords):
        names = list(RELAYS) if number < len(SHAPES) else [list(RELAYS)[number % 2]]
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


def test_password_that_cannot_be_held_or_seen_is_refused_in_a_sentence(
    lab: Lab, new_qube: Callable[..., Qube]
) -> None:
    impossible = {
        "secret\nsecond": "holds a line break or a NUL byte",
        "secret\r": "holds a line break or a NUL byte",
        "secret\0zero": "holds a line break or a NUL byte",
        "secret ": "ends with white space",
        "secret\t": "ends with white space",
        "": "is empty",
        " secret": "begins with white space",
        "\tsecret": "begins with white space",
        "secret\tword": "holds U+0009 (a tabulator) as character 7",
        "secret\u00a0": "holds U+00A0 (NO-BREAK SPACE) as character 7",
        "\u200bsecret": "holds U+200B (ZERO WIDTH SPACE) as character 1",
        "\ufeffsecret": "holds U+FEFF (ZERO WIDTH NO-BREAK SPACE) as character 1",
        "se\u00adcret": "holds U+00AD (SOFT HYPHEN) as character 3",
        "\u202esecret\u202c": "holds U+202E (RIGHT-TO-LEFT OVERRIDE) as character 1 and U+202C",
        "secret\u2028": "holds U+2028 (LINE SEPARATOR) as character 7",
        "secret\x85x": "holds U+0085 (a control character) as character 7",
        "secret\x1b[31m": "holds U+001B (a control character) as character 7",
        "secret\uff01": "holds a full-width character as character 7",
        "secre\u0301t": "holds a letter in another form than the usual one (Unicode's NFC) as character 5",
        "\u201csecret\u201d": "begins or ends with a typographic quotation mark",
        "\u201esecret\u201c": "begins or ends with a typographic quotation mark",
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
