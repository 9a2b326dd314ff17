# SPDX-License-Identifier: Apache-2.0
"""The network of the lab: one switch with a router and a name server, in a network namespace of its own.

Nothing in it reaches the machine's network, nor the other way round. Qubes have addresses in 10.137/16,
the hosts of the outside world in 10.138/16, and DNS answers at 10.139.1.1 and .2, as in Qubes.
"""

from __future__ import annotations

import ipaddress
import itertools
import subprocess
import threading
from typing import TYPE_CHECKING

from .container import Container, LabError

if TYPE_CHECKING:
    from pathlib import Path

    from .container import Cgroup

DNS = ("10.139.1.1", "10.139.1.2")
QUBES = ipaddress.ip_network("10.137.0.0/16")
WORLD = ipaddress.ip_network("10.138.0.0/16")
GATEWAY = str(QUBES[1])

_UNIT = """\
[Unit]
StartLimitIntervalSec=0
[Service]
Type=forking
PIDFile=/run/lab-dns.pid
ExecStart=/usr/sbin/dnsmasq --conf-file=/etc/lab-dns.conf --pid-file=/run/lab-dns.pid
[Install]
WantedBy=multi-user.target
"""

_CONFIG = """\
user=root
no-resolv
no-hosts
no-poll
bind-interfaces
listen-address={listen}
local=/#/
local-ttl=1
neg-ttl=1
"""


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def in_namespace(pid: int, *command: str) -> None:
    """Run a program of this machine in the network namespace of a process."""
    done = subprocess.run(
        ["nsenter", f"--target={pid}", "--net", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")


class Network(Container):
    """The switch, the router and the name server.

    Args:
        place: directory for its files.
        cgroup: the lab's control group.
        root: root filesystem that holds dnsmasq(8).

    """

    def __init__(self, place: Path, cgroup: Cgroup, root: Path) -> None:
        super().__init__("sys-net", place, cgroup)
        self._root = root
        self._records: dict[str, str] = {}
        self._mx: dict[str, str] = {}
        self._addresses = {
            kind: itertools.islice(net.hosts(), 4, None) for kind, net in (("qube", QUBES), ("world", WORLD))
        }
        self._ports = itertools.count(1)
        self._dns_lock = threading.Lock()
        upper = place / "upper"
        units = upper / "etc/systemd/system"
        (units / "multi-user.target.wants").mkdir(parents=True)
        (units / "lab-dns.service").write_text(_UNIT)
        (units / "multi-user.target.wants/lab-dns.service").symlink_to("../lab-dns.service")
        for unit in ("dnsmasq", "postfix", "dovecot"):
            (units / f"{unit}.service").symlink_to("/dev/null")
        self._write_dns()

    def layers(self) -> list[Path]:
        return [self.place / "upper", self._root]

    def wire(self, process: int) -> None:
        # With an address of its own, Qubes' own one: else it takes the lowest of its ports', and changes with them.
        in_namespace(process, "ip", "link", "add", "br0", "address", "fe:ff:ff:ff:ff:ff", "type", "bridge")
        for address in (f"{GATEWAY}/16", f"{WORLD[1]}/16", *(f"{dns}/32" for dns in DNS)):
            in_namespace(process, "ip", "address", "add", address, "dev", "br0")
        in_namespace(process, "ip", "link", "set", "br0", "up")
        switches = (
            "net/ipv4/ip_forward=1 net/ipv4/conf/all/send_redirects=0 net/ipv4/conf/br0/send_redirects=0"
        )
        for switch in switches.split():
            key, value = switch.split("=")
            in_namespace(process, "/bin/sh", "-c", f"echo {value} > /proc/sys/{key}")

    def new_address(self, kind: str) -> str:
        """Return an address that is not in use.

        Args:
            kind: ``qube`` or ``world``.

        """
        return str(next(self._addresses[kind]))

    def plug(self, process: int) -> str:
        """Give the network namespace of a process an interface ``eth0``, and return the switch's port."""
        port = f"port{next(self._ports)}"
        hub = str(self.leader)
        _ip(
            *("link", "add", "name", port, "netns", hub, "type", "veth"),
            *("peer", "name", "eth0", "netns", str(process)),
        )
        in_namespace(self.leader, "ip", "link", "set", port, "master", "br0", "up")
        return port

    def unplug(self, port: str) -> None:
        """Take away the interface that :meth:`plug` gave."""
        in_namespace(self.leader, "ip", "link", "delete", port)

    def set_reachable(self, address: str, *, reachable: bool) -> None:
        """Let the router say at once that a host cannot be reached, or let it look for the host.

        Args:
            address: IPv4 address of the host.
            reachable: whether it is there.

        """
        verb = "delete" if reachable else "replace"
        in_namespace(self.leader, "ip", "route", verb, "unreachable", f"{address}/32")

    def add_name(self, name: str, address: str, mx_for: tuple[str, ...] = ()) -> None:
        """Make a host known to DNS.

        Args:
            name: host name.
            address: IPv4 address.
            mx_for: mail domains that this host is the MX of.

        """
        with self._dns_lock:
            self._records[name] = address
            self._mx |= dict.fromkeys(mx_for, name)
            self._write_dns()
            if self.running:
                self.run("systemctl", "restart", "lab-dns.service")

    def _write_dns(self) -> None:
        lines = [_CONFIG.format(listen=",".join(DNS))]
        lines += [f"host-record={name},{address}" for name, address in self._records.items()]
        lines += [f"mx-host={domain},{host},10" for domain, host in self._mx.items()]
        text = "\n".join(lines) + "\n"
        if self.running:
            self.write("/etc/lab-dns.conf", text)
        else:
            (self.place / "upper/etc/lab-dns.conf").write_text(text)
