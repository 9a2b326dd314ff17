# SPDX-License-Identifier: Apache-2.0
"""postfix_smarthost.status."""

from tests.functional.qube import ALICES, BOBS, Qube


def test_status_tells_how_mail_goes_and_no_password(configured: Qube) -> None:
    queue = configured.root / "rw/bind-dirs/var/spool/postfix"
    for name, count in {"active": 1, "hold": 2, "deferred/A": 1, "defer/A": 1}.items():
        (queue / name).mkdir(parents=True)
        for number in range(count):
            (queue / name / str(number)).touch()
    told = configured.modules.postfix_smarthost.status(root=str(configured.root))
    assert told["active"] is False
    assert told["senders"]["bob@example.org"] == "[smtp.example.org]:465"
    assert {*told["senders"]} == {"alice@example.com", "bob@example.org", "me@alias.example"}
    assert told["queue"] == {"active": 1, "deferred": 1, "hold": 2}
    assert told["tables"] == str(configured.root / "etc/postfix" / configured.tables.name)
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
    empty = {"senders": {}, "accounts": {}, "queue": {}, "waiting": []}
    assert told == {"active": False, "since": None, "tables": None, **empty, "notes": [note]}
