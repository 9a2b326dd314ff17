# SPDX-License-Identifier: Apache-2.0
"""Debian root filesystems for the lab, built once by mmdebstrap(1) and kept in the user's cache directory.

A root filesystem is named by a hash of its recipe, built beside its place and renamed into it, so what
bears the name is whole. The lab never writes to it: it is the lowest layer of every overlay.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

POOL = "/var/lib/lab-packages"
"""Where a template's apt finds the packages of its pool, without a network."""

_COMMON = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
)

# What an untouched Debian template of Qubes has and the tests need; no mail transfer agent.
_TEMPLATE = (*_COMMON, "apt-utils", "debconf", "sensible-utils")

_RELAY = (
    *_COMMON,
    "dnsmasq",
    "dovecot-imapd",
    "dovecot-pop3d",
    "libsasl2-modules",
    "openssl",
    "postfix",
    "postfix-lmdb",
)

# Downloaded with what they need, one after the other because some of them exclude each other. Not every
# suite has all of them.
_PACKAGES = (
    "postfix libsasl2-modules ca-certificates procmail postfix-cdb postfix-lmdb postfix-pcre",
    "bsd-mailx",
    "cron",
    "debconf-utils",
    "dma",
    "esmtp-run",
    "exim4-daemon-light",
    "fetchmail",
    "git-email",
    "msmtp-mta",
    "mutt",
    "neomutt",
    "nullmailer",
    "opensmtpd",
    "s-nail",
    "sendmail-bin",
    "ssmtp",
    "sudo",
    "vacation",
)

_DOM0 = ("dnf5", "rpm", "python3", "python3-yaml", "passwd")

# A mail host has a main.cf of its own. A template must not be told so: that is up to the formula.
_UNCONFIGURED = (
    "--essential-hook=echo 'postfix postfix/main_mailer_type select No configuration'"
    ' | chroot "$1" debconf-set-selections',
)

_VERSION = 4
"""To be raised when what this file does with a recipe changes."""


class RootfsError(Exception):
    """A root filesystem could not be built; the message holds the end of mmdebstrap's output."""


@dataclass(frozen=True)
class Recipe:
    """What a root filesystem is made of.

    Args:
        kind: ``template`` or ``relay``; only names it.
        suite: Debian's code name for the release.
        include: packages to install.
        pool: groups of packages to download, with what they need, into a local apt repository.

    """

    kind: str
    suite: str
    include: tuple[str, ...]
    pool: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The recipe as a file name."""
        text = json.dumps([_VERSION, asdict(self)], sort_keys=True)
        return f"{self.kind}-{self.suite}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Rootfs:
    """A root filesystem in the cache.

    Args:
        root: its root directory, never written to.
        pool: directory with Debian packages and their index; empty for a relay.

    """

    root: Path
    pool: Path


def template(suite: str = "trixie") -> Rootfs:
    """Return the root filesystem of an untouched Debian template, building it when it is not cached."""
    return _cached(Recipe("template", suite, _TEMPLATE, _PACKAGES))


def relay(suite: str = "trixie") -> Rootfs:
    """Return the root filesystem of a mail provider's host: Postfix, Dovecot, dnsmasq."""
    return _cached(Recipe("relay", suite, _RELAY))


def dom0(suite: str = "forky") -> Rootfs:
    """Return a root filesystem with the package manager of dom0: dnf5, which Debian has since forky."""
    return _cached(Recipe("dom0", suite, _DOM0))


def cache_dir() -> Path:
    """Return the directory that holds the root filesystems (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "postfix_smarthost"


def _cached(recipe: Recipe) -> Rootfs:
    place = cache_dir() / recipe.name
    found = Rootfs(place / "root", place / "pool")
    if place.exists():
        return found
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.with_suffix(".lock")):
        if not place.exists():
            log.info("building the root filesystem %s (once, some minutes)", recipe.name)
            building = place.with_name(f".{place.name}.building")
            _remove(building)
            building.mkdir(mode=0o755)
            try:
                _build(recipe, building)
                building.rename(place)
            finally:
                _remove(building)
    return found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    if path.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(path)], check=True)


def _build(recipe: Recipe, place: Path) -> None:
    root, pool = place / "root", place / "pool"
    pool.mkdir()
    command = [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(recipe.include)}",
        '--aptopt=APT::Install-Recommends "false"',
        # A suite that is not released yet may be served from an old copy.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *(_UNCONFIGURED if "postfix" in recipe.include else ()),
        *(f"--customize-hook={_download(pool, group)}" for group in recipe.pool),
        *_keyring(recipe.suite),
        recipe.suite,
        str(root),
        *_mirror(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-25:])
        raise RootfsError(f"mmdebstrap failed for {recipe.name}:\n{tail}")
    _finish(root)
    if recipe.pool:
        _index(pool)
        _offline(root)


def _download(pool: Path, group: str) -> str:
    """Return a hook that downloads packages, with their dependencies, as apt of the new root resolves them."""
    return (
        'export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"; '
        f"if apt-cache show {group} >/dev/null 2>&1; then apt-get -qq --yes -o APT::Install-Recommends=true "
        f'-o Dir::Cache::Archives="{pool}" -o APT::Keep-Downloaded-Packages=true --download-only install {group}; '
        f"else echo 'not in this suite: {group}' >&2; fi"
    )


def _mirror() -> list[str]:
    """Return the machine's own Debian mirror, or nothing, which is mmdebstrap's default."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        origin, label, uri = line.split("|", 2)
        if origin == label == "Debian":
            return [uri]
    return []


def _keyring(suite: str) -> list[str]:
    """Return the option that names the keys of a suite which the machine is too old to know.

    The newest keys that Debian had signed with keys known here are those of trixie's own
    debian-archive-keyring package, which is in the template.
    """
    known = Path("/usr/share/keyrings")
    if suite in ("bookworm", "trixie") or any(known.glob(f"debian-archive-{suite}*")):
        return []
    return [f"--keyring={template('trixie').root / 'usr/share/keyrings'}"]


def _finish(root: Path) -> None:
    """Make it a host that boots quietly and alike each time."""
    (root / "etc/machine-id").write_text(secrets.token_hex(16) + "\n")
    (root / "etc/hostname").write_text("debian\n")
    (root / "etc/hosts").write_text(
        "127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    )
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
    (root / "rw").mkdir()
    # Nothing to be brought up to date at the first boot (systemd-update-done.service(8)).
    for directory in ("etc", "var"):
        (root / directory / ".updated").touch()
    user = "--create-home --uid 1000 --user-group --shell /bin/bash --groups qubes user"
    for command in (
        ["groupadd", "--system", "--gid", "98", "qubes"],
        ["useradd", *user.split()],
    ):
        subprocess.run(["chroot", str(root), *command], check=True)
    masked = root / "etc/systemd/system"
    # A container has no terminals, and Qubes' presets turn the apt timers off (75-qubes-vm.preset).
    for unit in (
        "apt-daily-upgrade.timer",
        "apt-daily.timer",
        "console-getty.service",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "fstrim.timer",
        "getty@tty1.service",
        "systemd-firstboot.service",
    ):
        link = masked / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")


def _index(pool: Path) -> None:
    """Write the Packages file of the pool (deb822, "Debian Repository Format")."""
    shutil.rmtree(pool / "partial", ignore_errors=True)
    (pool / "lock").unlink(missing_ok=True)
    stanzas = []
    for deb in sorted(pool.glob("*.deb")):
        control = subprocess.run(
            ["dpkg-deb", "--field", str(deb)], capture_output=True, text=True, check=True
        ).stdout
        data = deb.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        stanzas.append(f"{control.strip()}\nFilename: ./{deb.name}\nSize: {len(data)}\nSHA256: {digest}\n")
    (pool / "Packages").write_text("\n".join(stanzas))


def _offline(root: Path) -> None:
    """Let apt of the template use its pool and nothing else.

    ``trusted``: apt has checked each package against Debian's signatures when it was downloaded; the
    index of the pool is the lab's own.
    """
    for path in (root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").glob("*")):
        path.unlink(missing_ok=True)
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes lang=none] file:{POOL} ./\n")
    (root / POOL.lstrip("/")).mkdir()


def missing_programs() -> list[str]:
    """Return the programs that the lab needs and this machine lacks."""
    needed = ("ip", "mmdebstrap", "nsenter", "systemd-nspawn", "unshare")
    return [program for program in needed if shutil.which(program) is None]
