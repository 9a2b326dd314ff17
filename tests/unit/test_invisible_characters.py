# SPDX-License-Identifier: Apache-2.0
"""What cannot be seen or told apart is told with account, key and place, in whatever text of the pillar it stands."""

import base64
import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given

from smarthost_pillar import normalise, problems
from smarthost_text import odd_characters
from tests.records import fuzz, randoms, record, texts_within
from tests.samples import ALICE, FINGERPRINT, SECRET

ACCOUNT = "Account 1 (alice@example.com)"
UNSEEN = " holds U+200B (ZERO WIDTH SPACE) as character {}, which cannot be seen or told apart: type it anew"
# In the middle of a text, where each of them is good otherwise.
PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "address": (
        {"accounts": [ALICE | {"address": "ali\u200bce@example.com"}]},
        "Account 1: address" + UNSEEN.format(4),
    ),
    "sender": (
        {"accounts": [ALICE | {"senders": ["b\u200b@c.de"]}]},
        f"{ACCOUNT}: sender 1" + UNSEEN.format(2),
    ),
    "relay": (
        {"accounts": [ALICE | {"relay": "mail\u200b.example.com"}]},
        f"{ACCOUNT}: relay" + UNSEEN.format(5),
    ),
    "username": (
        {"accounts": [ALICE | {"username": "al\u200bice"}]},
        f"{ACCOUNT}: username" + UNSEEN.format(3),
    ),
    "password": (
        {"accounts": [ALICE | {"password": f"{SECRET}\u200bx"}]},
        f"{ACCOUNT}: the password" + UNSEEN.format(len(SECRET) + 1) + ", or change it at the provider",
    ),
    "discard_senders": (
        {"accounts": [ALICE], "discard_senders": ["spam\u200b.example"]},
        "discard_senders: item 1" + UNSEEN.format(5),
    ),
    "list_id": (
        {"accounts": [ALICE], "lists": [{"list_id": "a\u200b.b", "folder": "x"}]},
        "List 1: list_id" + UNSEEN.format(2),
    ),
    "folder": (
        {"accounts": [ALICE], "lists": [{"list_id": "a.b", "folder": "x\u200b"}]},
        "List 1: folder" + UNSEEN.format(2),
    ),
}


@pytest.mark.parametrize(("made", "sentence"), PLACES.values(), ids=PLACES)
def test_place_is_told(made: dict[str, Any], sentence: str) -> None:
    assert problems(made) == [sentence + "."]


def test_password_in_base64_is_told_alike() -> None:
    """dom0's pillar makes one of each password."""
    account = {key: value for key, value in ALICE.items() if key != "password"}
    account["password_base64"] = base64.b64encode("pass\u00a0word".encode()).decode()
    assert problems({"accounts": [account]}) == [
        f"{ACCOUNT}: the password holds U+00A0 (NO-BREAK SPACE) as character 5, which cannot be seen or told apart:"
        " type it anew, or change it at the provider."
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("address", " alice@example.com", "begins or ends with a blank"),
        ("relay", "mail.example.com ", "begins or ends with a blank"),
        ("username", " al.login", "without white space at its ends"),
        ("password", " secret", "begins with white space"),
        ("password", "secret ", "ends with white space"),
        ("username", "\u201calice\u201d", "typographic quotation mark"),
        ("address", "\u201calice@example.com\u201d", "typographic quotation mark"),
        ("relay", "\u201email.example.com\u201c", "typographic quotation mark"),
        ("password", "\u2018secret\u2019", "typographic quotation mark"),
        ("username", "\uff41lice", "a full-width character as character 1"),
        ("address", "alice@exampl\u0065\u0301.com", "in another form than the usual one"),
    ],
)
def test_ends_quotes_and_look_alikes(key: str, value: str, words: str) -> None:
    (told,) = problems({"accounts": [ALICE | {key: value}]})
    assert words in told
    assert value.strip(" ") not in told


@pytest.mark.parametrize(
    "password",
    [
        "p\u00e4ss w\u00f6rd",
        "\u043f\u0430\u0440\u043e\u043b\u044c",
        "\u5bc6\u7801",
        "it\u2019s",
        "\U0001f511",
    ],
)
def test_letters_of_any_script_stay(password: str) -> None:
    (account,) = normalise({"accounts": [ALICE | {"password": password, "username": password}]})["accounts"]
    assert account["password"] == account["username"] == password


@given(randoms)
@fuzz
def test_one_that_is_put_into_any_text_of_a_good_pillar_is_refused(random: Random) -> None:
    made = copy.deepcopy(record(random))
    keys = {
        "address",
        "relay",
        "username",
        "password",
        "senders",
        "list_id",
        "folder",
        "discard_senders",
        "user",
    }
    texts = [(key, holder, at) for key, holder, at in texts_within(made) if key in keys]
    key, holder, at = random.choice(texts)
    cut = random.randint(0, len(holder[at]))
    odd = random.choice("\u00a0\u200b\ufeff\u00ad\u202e\u2066\u3000\u2028\t\x1b\x85\ufe0f\u3164")
    holder[at] = holder[at][:cut] + odd + holder[at][cut:]
    told = problems(made)
    assert told != []
    assert all(sentence.isascii() for sentence in told)
    if key != "user":
        assert any(f"U+{ord(odd):04X}" in sentence or "white space" in sentence for sentence in told)


def test_fingerprints_and_settings_are_told_in_their_own_words() -> None:
    pinned = ALICE | {"tls": {"fingerprint": [FINGERPRINT + "\u200b"]}}
    assert "32 pairs of hexadecimal digits" in problems({"accounts": [pinned]})[0]
    record = {"accounts": [ALICE], "settings": {"queue_run_delay": "5m\u200b", "biff\u200b": "no"}}
    assert len(problems(record)) == 2
    assert odd_characters("5m") == ""
