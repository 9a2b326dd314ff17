# SPDX-License-Identifier: Apache-2.0
"""Settings, the type of tables, disposables and the user."""

from typing import Any

from tests.malformed.shared import Case, record
from tests.samples import SECRET

_MESSAGE_SIZE = (
    "settings: message_size_limit must be a whole number of bytes from 100000 to 1000000000, or 0 for none."
)
USER = "user must be the name of the local user who reads the mail, in Qubes usually user."


def _settings(**settings: Any) -> dict[str, Any]:  # noqa: ANN401
    return record(settings=settings)


SETTINGS: list[Case] = [
    (
        "settings that are a list",
        record(settings=["biff = no"]),
        ("settings must be a mapping from main.cf parameters to values.",),
    ),
    (
        "two lines in the name of a setting",
        record(settings={"biff = no\nrelayhost": "x"}),
        ("settings: a key is not the name of a main.cf parameter.",),
    ),
    (
        "a setting that opens the relay's TLS",
        _settings(smtp_tls_security_level="may"),
        (
            "settings: smtp_tls_security_level cannot be set: each relay is verified before it sees a password; use"
            " tls in the account.",
        ),
    ),
    (
        "a setting that holds a password",
        _settings(smtp_sasl_password_maps=f"static:alice:{SECRET}"),
        (
            "settings: smtp_sasl_password_maps cannot be set: a password goes only to its own relay; use username and"
            " password in the account.",
        ),
    ),
    (
        "a setting that routes",
        _settings(relayhost="[smtp.example.net]"),
        (
            "settings: relayhost cannot be set: mail leaves only through the account of its sender; use accounts.",
        ),
    ),
    (
        "a misspelt setting",
        _settings(mesage_size_limit=1),
        (
            "settings: mesage_size_limit cannot be set: it is not among the parameters that can be tuned; did you mean"
            " message_size_limit.",
        ),
    ),
    (
        "a name of one's own",
        _settings(my_way="x"),
        ("settings: my_way cannot be set: it is not among the parameters that can be tuned; leave it out.",),
    ),
    (
        "a size that is no number",
        _settings(message_size_limit="abc"),
        (_MESSAGE_SIZE,),
    ),
    (
        "a size that is an expansion",
        _settings(message_size_limit="${mailbox_size_limit}"),
        (_MESSAGE_SIZE,),
    ),
    (
        "two lines in a value",
        _settings(queue_run_delay="300s\nrelayhost = x"),
        ("settings: queue_run_delay must be a time such as 90s, 30m, 4h or 5d, from 10s to 1h.",),
    ),
    (
        "a mailbox smaller than a message",
        _settings(mailbox_size_limit=200000),
        ("settings: mailbox_size_limit must be 0 or at least message_size_limit.",),
    ),
    (
        "a type of table that there is not",
        record(table_type="btree"),
        ("table_type must be one of auto, cdb, hash, lmdb, texthash.",),
    ),
    (
        "disposables in quotes",
        record(disposables="true"),
        ("disposables must be true or false.",),
    ),
    ("mail to root", record(user="root"), (USER,)),
    ("a user with an expansion", record(user="$(id)"), (USER,)),
    ("a user without a value", record(user=None), (USER,)),
]
