# SPDX-License-Identifier: Apache-2.0
"""Another Postfix under a lasting /rw: the next boot sends old and new mail, with nothing applied again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .accounts import ALICE, RECIPIENT, pillar, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template
    from .relay import MX, Relay


def send(qube: Qube) -> str:
    subject = unique()
    qube.send(sender=ALICE.address, to=RECIPIENT, subject=subject)
    return subject


def queue_mail(qube: Qube) -> list[str]:
    """Queue a message that was tried and one that nothing has looked at yet, and shut the qube down."""
    qube.network("down")
    subjects = [send(qube)]
    qube.wait_for(lambda: [m for m in qube.queue() if m["queue_name"] == "deferred"], "mail to be deferred")
    qube.run("systemctl", "stop", "postfix")
    subjects.append(send(qube))
    qube.shutdown()
    qube.network("up")
    return subjects


def assert_all_is_well(qube: Qube, relay: Relay, mx: MX, old: list[str]) -> None:
    """Old mail, new mail and local mail arrive, and an apply has nothing to do."""
    for subject in (*old, send(qube)):
        assert relay.wait_for(subject, 90, diagnosis=qube.diagnosis).login == ALICE.login
        assert len(relay.received(subject)) == 1
    # Postfix 3.7 to 3.10 expand less in what names the table of aliases than 3.11.
    qube.run("newaliases")
    local = unique()
    qube.send(to="root", subject=local, user="root")
    qube.wait_for(lambda: [m for m in qube.maildir() if m["Subject"] == local], "local mail")
    assert qube.apply("postfix_smarthost").check().changed == []
    assert mx.connections() == []


def version(qube: Qube) -> str:
    return qube.run("postconf", "-h", "mail_version").stdout.rpartition(".")[0]


def test_debian_12_to_13_to_forky_and_back(
    prepared: Template,
    new_template: Callable[..., Template],
    new_qube: Callable[..., Qube],
    relay_a: Relay,
    mx: MX,
) -> None:
    bookworm = new_template(unique("debian-12"), suite="bookworm")
    forky = new_template(unique("debian-14"), suite="forky")
    for template in (bookworm, forky):
        template.apply("postfix_smarthost").check()
        assert template.apply("postfix_smarthost").check().changed == []
    qube = new_qube(template=bookworm, pillar=pillar(ALICE))
    qube.apply("postfix_smarthost").check()
    assert_all_is_well(qube, relay_a, mx, [])
    seen = [(version(qube), qube.run("postconf", "-h", "default_database_type").stdout.strip())]
    for template in (prepared, forky, bookworm):
        old = queue_mail(qube)
        qube.template = template
        qube.start()
        assert_all_is_well(qube, relay_a, mx, old)
        seen.append((version(qube), qube.run("postconf", "-h", "default_database_type").stdout.strip()))
        if template is forky:
            boot_with_hash(qube, relay_a, mx)
    assert [kind for _, kind in seen] == ["hash", "hash", "cdb", "hash"]
    assert len({number for number, _ in seen}) == 3


def boot_with_hash(qube: Qube, relay: Relay, mx: MX) -> None:
    """Let a Postfix of which each program warns of tables of the type hash start with these, good and stale ones."""
    qube.pillar = pillar(ALICE, table_type="hash")
    qube.apply("postfix_smarthost").check()
    tables = "/usr/local/etc/postfix/tables-?"
    assert (
        "deprecated"
        in qube.run("sh", "-c", f"postmap -q x hash:$(echo {tables}/saslpass) 2>&1", check=False).stdout
    )
    for stale in (
        "",
        f"rm {tables}/saslpass.db",
        f"touch {tables}/*[a-z]; touch -d '1 hour ago' {tables}/*.db",
    ):
        qube.run("sh", "-c", stale)
        old = queue_mail(qube)
        qube.start()
        assert "postfix-smarthost:" not in qube.journal("qubes-misc-post.service")
        assert_all_is_well(qube, relay, mx, old)
    qube.pillar = pillar(ALICE)
    qube.apply("postfix_smarthost").check()


# What an upgrade may do to a template: other users, another preferred type of table, other services.
_UPGRADE = r"""
set -eu
groupmod -g 4102 postdrop
usermod -u 4100 postfix
groupmod -g 4101 postfix
find / -xdev \( -uid "$1" -o -gid "$2" -o -gid "$3" \) ! -path '/proc/*' -print0 > /tmp/theirs
xargs -0r chown -h --from="$1" postfix < /tmp/theirs
xargs -0r chown -h --from=":$2" :postfix < /tmp/theirs
xargs -0r chown -h --from=":$3" :postdrop < /tmp/theirs
chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue
for file in /etc/postfix/master.cf /usr/share/postfix/master.cf.dist; do
    [ ! -e "$file" ] || sed -i '/^pickup/d; $a new-one unix - - n - - new-one' "$file"
done
echo "# of a new version" >> /etc/postfix/postfix-files
rm /tmp/theirs
"""


def test_a_template_that_is_upgraded_in_place(
    lab: Lab, prepared: Template, new_qube: Callable[..., Qube], relay_a: Relay, mx: MX
) -> None:
    template = prepared.clone(unique("upgraded"))
    qube = new_qube(template=template, pillar=pillar(ALICE))
    qube.apply("postfix_smarthost").check()
    services = qube.read("/etc/postfix/master.cf")
    owner = qube.run("stat", "-c", "%u", "/var/spool/postfix/active").stdout
    old = queue_mail(qube)
    template.start()
    ids = [
        template.run("sh", "-c", command).stdout.strip()
        for command in ("id -u postfix", "id -g postfix", "getent group postdrop | cut -d: -f3")
    ]
    template.run("sh", "-c", _UPGRADE, "sh", *ids)
    template.shutdown()
    qube.start()
    assert_all_is_well(qube, relay_a, mx, old)
    assert qube.run("stat", "-c", "%u", "/var/spool/postfix/active").stdout == "4100\n" != owner
    assert qube.read("/etc/postfix/master.cf") == services
    assert "# of a new version" in qube.read("/etc/postfix/postfix-files")
    qube.kill()
    lab.remove(template)
