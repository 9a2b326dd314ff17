# SPDX-License-Identifier: Apache-2.0
"""Several problems are told at once."""

from tests.malformed.incoming import LIST_ID
from tests.malformed.settings import USER
from tests.malformed.shared import NOT_AN_ADDRESS, Case
from tests.samples import BOB

TOGETHER: list[Case] = [
    (
        "everything",
        {
            "accounts": [
                {"address": "alice", "relay": "a b", "port": 0, "password": 5},
                BOB | {"username": "b:b"},
            ],
            "lists": [{"list_id": "x y", "folder": "a"}],
            "settings": {"relayhost": "x", "biff": 5},
            "user": 5,
        },
        (
            f"Account 1: address {NOT_AN_ADDRESS}",
            "Account 1: relay is not a host name like mail.example.com.",
            "Account 1: port must be a number from 1 to 65535 without quotes, usually 587 or 465.",
            "Account 1: password is not text for YAML: put it in quotes.",
            "Account 2 (bob@example.org): username holds a colon, which Postfix takes for the end of the name.",
            LIST_ID,
            "settings: relayhost cannot be set: mail leaves only through the account of its sender; use accounts.",
            "settings: biff must be yes or no.",
            USER,
        ),
    ),
]
