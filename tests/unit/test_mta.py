# SPDX-License-Identifier: Apache-2.0
"""mta: what alternatives(8), rpm(8) and dpkg-query(1) print, and what is made of it.

Fedora is known here by its programs' output only. The outputs of ``alternatives --display`` were recorded on
machines of the Red Hat family, but for the one that says otherwise.
"""

from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError

from _modules import mta
from _states import mta as state

# RHEL 6 to 9
AUTO = """\
mta - status is auto.
 link currently points to /usr/sbin/sendmail.postfix
/usr/sbin/sendmail.postfix - priority 30
 slave mta-mailq: /usr/bin/mailq.postfix
 slave mta-newaliases: /usr/bin/newaliases.postfix
 slave mta-pam: /etc/pam.d/smtp.postfix
 slave mta-rmail: /usr/bin/rmail.postfix
 slave mta-sendmail: /usr/lib/sendmail.postfix
 slave mta-mailqman: /usr/share/man/man1/mailq.postfix.1.gz
 slave mta-newaliasesman: /usr/share/man/man1/newaliases.postfix.1.gz
 slave mta-sendmailman: /usr/share/man/man1/sendmail.postfix.1.gz
 slave mta-aliasesman: /usr/share/man/man5/aliases.postfix.5.gz
Current `best' version is /usr/sbin/sendmail.postfix.
"""
# CentOS 5
MANUAL = """\
mta - status is manual.
 link currently points to /usr/sbin/sendmail.postfix
/usr/sbin/sendmail.sendmail - priority 90
 slave mta-pam: /etc/pam.d/smtp.sendmail
 slave mta-mailq: /usr/bin/mailq.sendmail
/usr/sbin/sendmail.postfix - priority 30
 slave mta-pam: /etc/pam.d/smtp.postfix
 slave mta-mailq: /usr/bin/mailq.postfix
Current `best' version is /usr/sbin/sendmail.sendmail.
"""
# CentOS 6
NULL_SLAVES = """\
mta - status is auto.
 link currently points to /usr/sbin/sendmail.postfix
/usr/sbin/sendmail.exim - priority 10
 slave mta-pam: /etc/pam.d/exim
 slave mta-mailq: /usr/bin/mailq.exim
 slave mta-newaliasesman: (null)
/usr/sbin/sendmail.postfix - priority 30
 slave mta-rsmtp: (null)
 slave mta-sendmail: /usr/lib/sendmail.postfix
Current `best' version is /usr/sbin/sendmail.postfix.
"""
# Not recorded: after alternatives.c of chkconfig 1.33 ("follower", "family") and the paths and priorities in
# Fedora's packages since its /usr/sbin is /usr/bin.
FEDORA = """\
mta - status is auto.
 link currently points to /usr/bin/sendmail.ssmtp
/usr/bin/sendmail.ssmtp - priority 30
 follower mta-mailq: /usr/bin/mailq.ssmtp
 follower mta-newaliases: /usr/bin/newaliases.ssmtp
/usr/bin/msmtp - priority 40
 follower mta-mailq: /usr/bin/msmtp
/usr/bin/sendmail.postfix - family x priority 60
 follower mta-mailq: /usr/bin/mailq.postfix
Current `best' version is /usr/bin/sendmail.postfix.
"""


class Machine:
    """Stands for a machine's programs: what they print, and what ``alternatives --set`` does."""

    def __init__(self, os_family: str, owners: dict, display: str | None = None, shown: str = "") -> None:
        self.os_family = os_family
        self.owners = owners
        self.display = display
        self.shown = shown
        self.set: list[str] = []

    def which(self, program: str) -> str | None:
        there = {"Debian": ["dpkg-query"], "RedHat": ["rpm", "alternatives"]}[self.os_family]
        return f"/usr/bin/{program}" if program in there else None

    def run_all(self, command: list[str], **kwargs: object) -> dict:
        assert kwargs["python_shell"] is False
        match [command[0].rpartition("/")[2], *command[1:]]:
            case ["alternatives", "--display", "mta"]:
                out = self.display
            case ["alternatives", "--set", "mta", path]:
                self.set.append(path)
                old = mta._alternatives()
                self.display = self.display.replace("status is auto", "status is manual").replace(
                    f"points to {old['path']}\n", f"points to {path}\n"
                )
                out = ""
            case ["rpm", "--query", "--queryformat", "%{NAME}\\n", "--file", path]:
                out = "".join(f"{name}\n" for name in self.owners.get(path, [])) or None
            case ["dpkg-query", "--search", path]:
                out = self.owners.get(path)
            case ["dpkg-query", "--show", "--showformat", _]:
                out = self.shown
            case _:
                raise AssertionError(command)
        # Salt strips the output.
        return {"retcode": 2 if out is None else 0, "stdout": (out or "").strip(), "stderr": ""}

    def realpath(self, path: str) -> str:
        """Follow the link that alternatives(8) keeps."""
        group = mta._alternatives()
        return group["path"] if group and path == "/usr/sbin/sendmail" else path


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    def use(machine: Machine) -> None:
        functions = {"cmd.which": machine.which, "cmd.run_all": machine.run_all}
        monkeypatch.setattr(mta, "__salt__", functions, raising=False)
        monkeypatch.setattr(mta, "__grains__", {"os_family": machine.os_family}, raising=False)
        monkeypatch.setattr(mta.os.path, "realpath", machine.realpath)
        monkeypatch.setattr(mta.os.path, "exists", lambda _: True)
        functions = {"mta.current": mta.current, "mta.select": mta.select}
        monkeypatch.setattr(state, "__salt__", functions, raising=False)
        monkeypatch.setattr(state, "__grains__", {"os_family": machine.os_family}, raising=False)

    return use


FEDORA_OWNERS = {
    "/usr/bin/sendmail.ssmtp": ["ssmtp"],
    "/usr/bin/msmtp": ["msmtp"],
    "/usr/bin/sendmail.postfix": ["postfix"],
    "/usr/sbin/sendmail.postfix": ["postfix"],
    "/usr/sbin/sendmail.sendmail": ["sendmail"],
    "/usr/sbin/sendmail.exim": ["exim"],
}


@pytest.mark.parametrize(
    ("display", "status", "path", "choices"),
    [
        (AUTO, "auto", "/usr/sbin/sendmail.postfix", ["/usr/sbin/sendmail.postfix"]),
        (
            MANUAL,
            "manual",
            "/usr/sbin/sendmail.postfix",
            ["/usr/sbin/sendmail.postfix", "/usr/sbin/sendmail.sendmail"],
        ),
        (
            NULL_SLAVES,
            "auto",
            "/usr/sbin/sendmail.postfix",
            ["/usr/sbin/sendmail.exim", "/usr/sbin/sendmail.postfix"],
        ),
        (
            FEDORA,
            "auto",
            "/usr/bin/sendmail.ssmtp",
            ["/usr/bin/msmtp", "/usr/bin/sendmail.postfix", "/usr/bin/sendmail.ssmtp"],
        ),
    ],
)
def test_the_group_is_read(on: Callable, display: str, status: str, path: str, choices: list) -> None:
    on(Machine("RedHat", FEDORA_OWNERS, display))
    assert mta.current()["alternatives"] == {
        "group": "mta",
        "status": status,
        "path": path,
        "choices": choices,
    }


def test_the_program_is_named_by_its_package(on: Callable) -> None:
    on(Machine("RedHat", FEDORA_OWNERS, FEDORA))
    now = mta.current()
    assert (now["sendmail"], now["package"], now["mta"]) == ("/usr/bin/sendmail.ssmtp", "ssmtp", "ssmtp")


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("postfix", "postfix"),
        ("exim4-daemon-light", "exim4"),
        ("exim4-daemon-heavy", "exim4"),
        ("msmtp-mta", "msmtp"),
        ("esmtp-run", "esmtp"),
        ("sendmail-bin", "sendmail"),
        ("ssmtp", "ssmtp"),
        ("nullmailer", "nullmailer"),
    ],
)
def test_debian_packages_by_their_short_names(on: Callable, package: str, name: str) -> None:
    on(Machine("Debian", {"/usr/sbin/sendmail": f"{package}: /usr/sbin/sendmail\n"}))
    now = mta.current()
    assert (now["package"], now["mta"], now["alternatives"]) == (package, name, None)


def test_a_diversion_is_not_an_owner(on: Callable) -> None:
    said = (
        "diversion by fake-mta from: /usr/sbin/sendmail\n"
        "diversion by fake-mta to: /usr/sbin/sendmail.real\n"
        "postfix:amd64: /usr/sbin/sendmail\n"
    )
    on(Machine("Debian", {"/usr/sbin/sendmail": said}))
    assert mta.current()["package"] == "postfix"


def test_rivals_on_debian(on: Callable) -> None:
    shown = (
        "installed adduser: \n"
        "installed exim4-daemon-light: default-mta, exim4-localscanapi-6.0, mail-transport-agent\n"
        "config-files nullmailer: mail-transport-agent\n"
        "installed postfix: mail-transport-agent\n"
        "installed odd: mail-transport-agent (= 1), other\n"
        "installed not-one: mail-transport-agent-tools\n"
        "installed zlib1g: libz1\n"
    )
    on(Machine("Debian", {}, shown=shown))
    assert mta.installed_rivals() == ["exim4-daemon-light", "odd"]


def test_rivals_on_fedora(on: Callable) -> None:
    on(Machine("RedHat", FEDORA_OWNERS, FEDORA))
    assert mta.installed_rivals() == ["msmtp", "ssmtp"]


@pytest.mark.parametrize("display", [AUTO, MANUAL, NULL_SLAVES, FEDORA])
def test_select_sets_by_hand_once(on: Callable, display: str) -> None:
    """Status ``auto`` is not enough: sendmail's priority of 90 would win as soon as it is installed."""
    machine = Machine("RedHat", FEDORA_OWNERS, display)
    on(machine)
    assert mta.select("postfix") is True
    now = mta.current()
    assert (now["mta"], now["alternatives"]["status"]) == ("postfix", "manual")
    before = list(machine.set)
    assert mta.select("postfix") is True
    assert machine.set == before
    assert len(before) == (0 if display == MANUAL else 1)


def test_select_on_debian_selects_nothing(on: Callable) -> None:
    on(Machine("Debian", {"/usr/sbin/sendmail": "postfix: /usr/sbin/sendmail\n"}))
    assert mta.select("postfix") is True


def test_select_names_the_package_in_the_way(on: Callable) -> None:
    on(Machine("Debian", {"/usr/sbin/sendmail": "msmtp-mta: /usr/sbin/sendmail\n"}))
    with pytest.raises(
        CommandExecutionError, match="package msmtp-mta: remove that package and install postfix"
    ):
        mta.select("postfix")


def test_select_of_what_is_not_installed(on: Callable) -> None:
    on(Machine("RedHat", FEDORA_OWNERS, FEDORA))
    with pytest.raises(CommandExecutionError, match=r"install the package exim$"):
        mta.select("exim")


def test_a_program_of_no_package(on: Callable) -> None:
    on(Machine("Debian", {}))
    with pytest.raises(CommandExecutionError, match="belongs to no package: remove it and reinstall"):
        mta.select("postfix")


def test_no_group_on_fedora(on: Callable) -> None:
    """Without a mail transfer agent there is no group: alternatives(8) exits 2."""
    on(Machine("RedHat", FEDORA_OWNERS, None))
    now = mta.current()
    assert (now["mta"], now["alternatives"]) == (None, None)


paths = st.from_regex(r"/[a-z0-9./_ -]{1,30}", fullmatch=True).map(str.strip)


@hypothesis.given(
    st.sampled_from(["auto", "manual"]),
    st.lists(
        st.tuples(paths, st.integers(-100, 100), st.booleans()), min_size=1, unique_by=lambda row: row[0]
    ),
)
def test_what_alternatives_prints_is_read_back(status: str, rows: list) -> None:
    display = f"mta - status is {status}.\n link currently points to {rows[0][0]}\n"
    for path, priority, family in rows:
        display += f"{path} - {'family x ' if family else ''}priority {priority}\n follower a: {path}\n"
    display += f"Current `best' version is {rows[-1][0]}.\n"
    machine = Machine("RedHat", {}, display)
    with pytest.MonkeyPatch.context() as patch:
        functions = {"cmd.which": machine.which, "cmd.run_all": machine.run_all}
        patch.setattr(mta, "__salt__", functions, raising=False)
        read = mta._alternatives()
    assert read == {
        "group": "mta",
        "status": status,
        "path": rows[0][0],
        "choices": sorted(row[0] for row in rows),
    }


@pytest.fixture
def selected(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    def call(test: bool) -> dict:
        monkeypatch.setattr(state, "__opts__", {"test": test}, raising=False)
        return state.selected("postfix")

    return call


def debian(package: str | None) -> Machine:
    return Machine("Debian", {"/usr/sbin/sendmail": f"{package}: /usr/sbin/sendmail\n"} if package else {})


@pytest.mark.parametrize(
    ("display", "changes"),
    [
        (AUTO, {"status": {"old": "auto", "new": "manual"}}),
        (MANUAL, {}),
        (NULL_SLAVES, {"status": {"old": "auto", "new": "manual"}}),
        (FEDORA, {"mta": {"old": "ssmtp", "new": "postfix"}, "status": {"old": "auto", "new": "manual"}}),
    ],
)
def test_selected_predicts_what_it_changes(
    on: Callable, selected: Callable, display: str, changes: dict
) -> None:
    machine = Machine("RedHat", FEDORA_OWNERS, display)
    on(machine)
    dry = selected(test=True)
    assert (dry["result"], dry["changes"]) == (None if changes else True, changes)
    assert (machine.set, machine.display) == ([], display)
    wet = selected(test=False)
    assert (wet["result"], wet["changes"]) == (True, changes)
    again = selected(test=False)
    assert (again["result"], again["changes"]) == (True, {})
    assert len(machine.set) == (1 if changes else 0)


@pytest.mark.parametrize("package", ["exim4-daemon-light", None])
def test_selected_on_debian_before_postfix_is_installed(
    on: Callable, selected: Callable, package: str | None
) -> None:
    """Its package takes the place of the other by itself: selecting changes nothing, so nothing is predicted."""
    on(debian(package))
    dry = selected(test=True)
    assert (dry["result"], dry["changes"]) == (True, {})
    on(debian("postfix"))
    wet = selected(test=False)
    assert (wet["result"], wet["changes"]) == (True, {})


def test_selected_on_fedora_before_postfix_is_installed(on: Callable, selected: Callable) -> None:
    """A package that was just installed is in use by its priority, status auto: selecting changes that."""
    on(Machine("RedHat", {}, None))
    dry = selected(test=True)
    assert (dry["result"], dry["changes"]) == (None, {"mta": {"old": None, "new": "postfix"}})
    on(Machine("RedHat", FEDORA_OWNERS, AUTO))
    wet = selected(test=False)
    assert (wet["result"], wet["changes"]) == (True, {"status": {"old": "auto", "new": "manual"}})


@pytest.mark.parametrize(
    ("machine", "comment"),
    [
        (debian("exim4-daemon-light"), "belongs to the package exim4-daemon-light: remove that package and"),
        (Machine("RedHat", FEDORA_OWNERS, None), "belongs to no package"),
        (
            Machine("RedHat", FEDORA_OWNERS, FEDORA.replace("sendmail.postfix", "sendmail.other")),
            "postfix is not among the choices for sendmail(1)",
        ),
    ],
)
def test_selected_fails_with_a_sentence(
    on: Callable, selected: Callable, machine: Machine, comment: str
) -> None:
    on(machine)
    ret = selected(test=False)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert comment in ret["comment"]
