# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.status."""

import socket
from collections.abc import Callable

import pytest

from tests.functional.qube import ALICES, BOBS, Qube

NOT_AS_ASKED = (
    "The configuration is not what this version of the formula makes of the pillar of this qube: apply"
)


def test_status_tells_how_mail_goes_and_no_password(configured: Qube) -> None:
    queue = configured.root / "rw/bind-dirs/var/spool/postfix"
    for name, count in {"active": 1, "hold": 2, "deferred/A": 1, "defer/A": 1}.items():
        (queue / name).mkdir(parents=True)
        for number in range(count):
            (queue / name / str(number)).touch()
    configured.asks()
    told = configured.modules.postfix_smarthost.status(root=str(configured.root))
    assert told["active"] is False
    assert told["senders"]["bob@example.org"] == "[smtp.example.org]:465"
    assert {*told["senders"]} == {"alice@example.com", "bob@example.org", "me@alias.example"}
    assert told["queue"] == {"active": 1, "deferred": 1, "hold": 2}
    assert told["tables"] == str(configured.root / "etc/postfix" / configured.tables.name)
    assert told["as_asked"] is True
    stopped, boot, held = told["notes"]
    assert boot == "Nothing starts Postfix at the next boot: apply postfix_smarthost to this qube."
    assert stopped.startswith("Postfix does not run on the configuration: ")
    assert held.startswith("2 messages are held: ")
    assert "sudo postfix-smarthost release ALL sends it" in held
    assert told["accounts"]["bob@example.org"]["relay"] == "smtp.example.org"
    for secret in (ALICES, BOBS):
        assert secret not in str(told)


def test_status_of_a_qube_without_a_configuration(qube: Qube) -> None:
    told = qube.modules.postfix_smarthost.status(root=str(qube.root))
    note = "There is no configuration: apply postfix_smarthost to this qube."
    empty = {"as_asked": None, "senders": {}, "accounts": {}, "queue": {}, "waiting": []}
    assert told == {"active": False, "since": None, "tables": None, **empty, "notes": [note]}


def as_asked(qube: Qube) -> bool:
    """Ask whether the configuration is that of the record as it is now, which is not applied."""
    qube.asks()
    told = qube.modules.postfix_smarthost.status(root=str(qube.root))
    assert any(note.startswith(NOT_AS_ASKED) for note in told["notes"]) is not told["as_asked"]
    for secret in (ALICES, BOBS, "another-password"):
        assert secret not in str(told)
    return told["as_asked"]


def another_password(qube: Qube) -> None:
    qube.record["accounts"][0]["password"] = "another-password"


def another_relay(qube: Qube) -> None:
    qube.record["accounts"][1]["relay"] = "smtp.other.example"


def one_account_less(qube: Qube) -> None:
    qube.record["accounts"].pop()


def a_list_more(qube: Qube) -> None:
    qube.record["lists"] = [*qube.record.get("lists", []), {"list_id": "new.example.org", "folder": "new"}]


def edited_by_hand(qube: Qube) -> None:
    with (qube.config_dir / "main.cf").open("a") as file:
        file.write("mydestination = example.com\n")


@pytest.mark.parametrize(
    "change",
    [another_password, another_relay, one_account_less, a_list_more, edited_by_hand],
)
def test_status_says_that_the_pillar_asks_for_something_else(
    configured: Qube, change: Callable[[Qube], None]
) -> None:
    assert as_asked(configured)
    change(configured)
    assert not as_asked(configured)


def test_clone_under_another_name_is_as_asked(configured: Qube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mail-clone")
    assert as_asked(configured)
    assert configured.apply(test=True).changes


def test_status_does_not_judge_by_a_pillar_that_is_refused(configured: Qube) -> None:
    configured.record["accounts"] = []
    configured.asks()
    told = configured.modules.postfix_smarthost.status(root=str(configured.root))
    assert told["as_asked"] is None
    assert NOT_AS_ASKED not in str(told["notes"])


def test_lists_are_as_asked(qube: Qube) -> None:
    qube.record["lists"] = [{"list_id": "users.example.org", "folder": "users"}]
    assert qube.apply().result
    assert as_asked(qube)
