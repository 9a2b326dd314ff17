# SPDX-License-Identifier: Apache-2.0
"""Templates and qubes of the lab last, are copied and are thrown away as those of Qubes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from .accounts import unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab import Lab
    from .qube import Qube, Template


def test_a_template_is_untouched(bare: Template) -> None:
    bare.start()
    assert bare.run("systemctl", "is-system-running").stdout == "running\n"
    assert bare.run("dpkg-query", "--list", "postfix", check=False).returncode == 1
    assert bare.run("sh", "-c", "ls /run/qubes").stdout.split() == ["persistent-full", "this-is-templatevm"]
    assert bare.run("id", "user").stdout.startswith("uid=1000(user) gid=1000(user)")
    bare.shutdown()


def test_a_template_keeps_what_was_changed_and_qubes_see_it_from_its_shutdown_on(
    new_template: Callable[..., Template], new_qube: Callable[..., Qube]
) -> None:
    template = new_template()
    template.start()
    template.write("/etc/lab", "first\n")
    template.restart()
    assert template.read("/etc/lab") == "first\n"
    qube = new_qube(template=template)
    assert qube.read("/etc/lab") == "first\n"
    template.write("/etc/lab", "second\n")
    template.run("rm", "/etc/issue")
    qube.restart()
    assert qube.read("/etc/lab") == "first\n"
    template.shutdown()
    assert qube.read("/etc/lab") == "first\n"
    qube.restart()
    assert qube.read("/etc/lab") == "second\n"
    assert qube.run("test", "-e", "/etc/issue", check=False).returncode == 1


def test_a_clone_goes_its_own_way(lab: Lab, new_template: Callable[..., Template]) -> None:
    template = new_template()
    template.start()
    template.write("/etc/lab", "both\n")
    template.shutdown()
    clone = template.clone(unique("clone"))
    clone.start()
    clone.write("/etc/lab", "clone\n")
    clone.shutdown()
    template.start()
    assert template.read("/etc/lab") == "both\n"
    lab.remove(clone)


def test_an_app_qube_keeps_rw_home_and_usr_local(bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)
    assert qube.run("sh", "-c", "ls /run/qubes").stdout.split() == ["persistent-rw-only", "this-is-appvm"]
    assert qube.run("stat", "-c", "%U %a", "/home/user").stdout == "user 700\n"
    assert qube.run("test", "-x", "/rw/config/rc.local").returncode == 0
    paths = ("/rw/kept", "/home/user/kept", "/usr/local/kept", "/etc/lost", "/var/spool/lost")
    for path in paths:
        qube.write(path, "")
    for stop in (qube.shutdown, qube.kill):
        stop()
        assert not qube.running
        qube.start()
        there = [path for path in paths if qube.run("test", "-e", path, check=False).returncode == 0]
        assert there == ["/rw/kept", "/home/user/kept", "/usr/local/kept"]
        qube.write("/etc/lost", "")
    assert (qube.rw / "home/user/kept").exists()


def test_rc_local_runs_as_in_qubes(bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)

    def script(word: str) -> str:
        return f"#!/bin/sh\necho {word} $(id -u) >> /run/order\nexit 1\n"

    qube.write("/rw/config/rc.local.d/20-b.rc", script("b"), mode="0755")
    qube.write("/rw/config/rc.local.d/10-a.rc", script("a"), mode="0755")
    qube.write("/rw/config/rc.local.d/30-c.rc", script("not executable"), mode="0644")
    qube.write("/rw/config/rc.local.d/40-d.sh", script("not .rc"), mode="0755")
    qube.write("/rw/config/rc.local", script("rc.local"), mode="0755")
    qube.restart()
    assert qube.read("/run/order") == "a 0\nb 0\nrc.local 0\n"
    assert qube.run("systemctl", "is-system-running").stdout == "running\n"
    qube.services.add("custom-persist")
    qube.restart()
    assert qube.run("test", "-e", "/run/order", check=False).returncode == 1
    assert qube.run("test", "-e", "/run/qubes-service/custom-persist").returncode == 0


def test_a_disposable_has_a_copy_of_rw_that_is_thrown_away(
    lab: Lab, bare: Template, new_qube: Callable[..., Qube]
) -> None:
    qube = new_qube(template=bare)
    qube.write("/rw/file", "of the qube\n")
    qube.shutdown()
    disposable = qube.disposable(unique("disp"))
    disposable.start()
    assert disposable.run("ls", "/run/qubes").stdout.split() == ["persistent-none"]
    assert disposable.read("/rw/file") == "of the qube\n"
    disposable.write("/rw/file", "changed\n")
    lab.remove(disposable)
    assert (qube.rw / "file").read_text() == "of the qube\n"


def test_bind_dirs_are_copied_once_and_mounted(bare: Template, new_qube: Callable[..., Qube]) -> None:
    qube = new_qube(template=bare)
    qube.write("/rw/config/qubes-bind-dirs.d/50.conf", "binds+=( '/var/lib/dpkg' )\n")
    qube.restart()
    qube.write("/var/lib/dpkg/mine", "")
    qube.restart()
    assert qube.run("ls", "/var/lib/dpkg/mine", "/rw/bind-dirs/var/lib/dpkg/status").returncode == 0


def test_a_tree_shows_any_change(bare_client: Qube) -> None:
    bare_client.run("mkdir", "-p", "/rw/tree/directory")
    bare_client.write("/rw/tree/file", "one\n")
    seen = [bare_client.tree("/rw/tree")]
    for change in (
        "echo two > file",
        "chmod 600 file",
        "chown user file",
        "ln -s file link",
        "rmdir directory",
        "mkfifo fifo",
    ):
        bare_client.run("sh", "-c", f"cd /rw/tree && {change}")
        seen.append(bare_client.tree("/rw/tree"))
    assert all(one != next_one for one, next_one in itertools.pairwise(seen))
    assert bare_client.tree("/rw/tree") == seen[-1]
