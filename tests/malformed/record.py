# SPDX-License-Identifier: Apache-2.0
"""What the pillar holds is no record at all, or has no accounts."""

from tests.malformed.shared import Case, record
from tests.samples import ALICE, SECRET

_RECORD_KEYS = (
    "accounts, discard_senders, disposables, lists, mutt, notifications, packages, qube, settings, table_type,"
    " user"
)
_NO_ACCOUNTS = "accounts must be a list with at least one account (each item begins with a dash)."

RECORD: list[Case] = [
    (
        "nothing",
        None,
        (
            "There is no mail account for this qube: give it one under postfix_smarthost:accounts in its pillar (in"
            " dom0: an entry with the name of the qube in qubes.yaml).",
        ),
    ),
    ("a text", SECRET, ("postfix_smarthost must be a mapping with the key accounts.",)),
    ("a list", [ALICE], ("postfix_smarthost must be a mapping with the key accounts.",)),
    ("an empty record", {}, (_NO_ACCOUNTS,)),
    ("accounts empty", {"accounts": []}, (_NO_ACCOUNTS,)),
    ("accounts a mapping", {"accounts": {"alice": ALICE}}, (_NO_ACCOUNTS,)),
    (
        "misspelt key of the record",
        record(acounts=[]),
        ("postfix_smarthost has an unknown key: did you mean accounts.",),
    ),
    (
        "a key that is no text",
        record(**{}) | {1: 2},
        (f"postfix_smarthost has an unknown key: use {_RECORD_KEYS}.",),
    ),
    (
        "packages of somebody else",
        record(packages=["mutt", "alpine", 5]),
        (
            "package 2 must be one of fetchmail, mutt, neomutt.",
            "package 3 must be one of fetchmail, mutt, neomutt.",
        ),
    ),
    ("packages that are a text", record(packages="mutt"), ("packages must be a list.",)),
    (
        "a qube that is a text",
        record(qube="mail"),
        ("qube must be a mapping, such as {template: debian-13-mail}.",),
    ),
    (
        "a qube with five mistakes",
        record(
            qube={
                "lable": "red",
                "template": "dom0",
                "netvm": "none",
                "tags": ["ok", "a b"],
                "firewall": "yes",
            }
        ),
        (
            "qube: there is an unknown key: did you mean label.",
            "qube: template must be the name of a qube, as qvm-ls shows it.",
            "qube: netvm must be the name of a qube, as qvm-ls shows it.",
            "qube: tag 2 must be a tag: letters, digits, _ and -.",
            "qube: firewall must be true or false.",
        ),
    ),
    (
        "errors of dom0's pillar",
        {"errors": ["qubes.yaml: line 3 is not UTF-8 text."]},
        ("qubes.yaml: line 3 is not UTF-8 text.",),
    ),
    (
        "errors that say nothing",
        {"errors": None, "accounts": [ALICE]},
        ("The pillar of this qube could not be read: look at qubes.yaml in dom0.",),
    ),
]
