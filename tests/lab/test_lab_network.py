# SPDX-License-Identifier: Apache-2.0
"""The network of the lab: a qube's as in Qubes, and of this lab only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from .qube import Qube, Template
    from .relay import Relay


def test_the_network_is_like_a_qubes(
    lab: Lab, bare: Template, relay_a: Relay, new_qube: Callable[..., Qube]
) -> None:
    resolve = ("getent", "ahostsv4", relay_a.name)
    qube = new_qube(template=bare)
    assert qube.read("/etc/resolv.conf") == "nameserver 10.139.1.1\nnameserver 10.139.1.2\n"
    assert relay_a.address in qube.run(*resolve).stdout
    assert qube.run("getent", "hosts", "nothing.test", check=False).returncode == 2
    qube.network("down")
    assert qube.run(*resolve, check=False).returncode == 2
    qube.restart()
    assert qube.run("test", "-e", "/sys/class/net/eth0", check=False).returncode == 1
    assert qube.run(*resolve, check=False).returncode == 2
    qube.network("up")
    assert relay_a.address in qube.run(*resolve).stdout
    # It ends at the lab's own router.
    routes = qube.run("ip", "-oneline", "route").stdout
    assert routes.startswith("default via 10.137.0.1 dev eth0")
    assert lab.network.run("ip", "-oneline", "route", "show", "default").stdout == ""


def test_two_labs_do_not_meet(lab: Lab, bare_client: Qube, relay_a: Relay) -> None:
    with Lab() as other:
        qube = other.qube(bare_client.name, template=other.template("debian-13"))
        assert qube.run("getent", "hosts", relay_a.name, check=False).returncode == 2
        assert bare_client.running
    assert bare_client.running
