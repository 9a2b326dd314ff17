# SPDX-License-Identifier: Apache-2.0
"""
Where everything is: each path stands here once.

Sources: docs.qubes-os.org on what lasts in an app qube; postfix(1), QSHAPE_README; systemd.unit(5).
"""

from __future__ import annotations

import os
from typing import NamedTuple

# The lookup tables are in one of two directories below the configuration; main.cf names the one in use.
TABLES = ("tables-a", "tables-b")
TABLES_PARAMETER = "smarthost_tables"
# What sorts and fetches mail goes with them, in a directory of its own: SELinux lets procmail(1) read no configuration
# of Postfix.
SORTING = {"tables-a": "sorting-a", "tables-b": "sorting-b"}
STAGING = "staging"
TOKENS = "tokens"
# In the order in which they are renamed into place: main.cf, which names the tables, last.
TOP_FILES = ("submit-policy", "submit-milter", "own-names", "master.cf", "main.cf")
# The suffixes of compiled tables, and their types (src/util/dict_*.h of Postfix).
SUFFIXES = {".db": "hash", ".lmdb": "lmdb", ".cdb": "cdb"}
# What the boot script copies from the template (carry_over).
CARRIED = ("dynamicmaps.cf", "dynamicmaps.cf.d", "postfix-files", "postfix-files.d", "sasl")
# What else the packages put beside them.
PACKAGED = ("main.cf.proto", "master.cf.proto", "makedefs.out", "post-install", "postfix-script")
# Directories of the queue that hold messages: Postfix's, and those in which the boot script has what it brings in, and
# what another qube has queued.
MESSAGES = (
    *("maildrop", "incoming", "active", "deferred", "hold", "corrupt", "saved"),
    *("beneath", "foreign/maildrop", "foreign/hold"),
)
# What is kept of a configuration made by hand.
BY_HAND = ".by-hand"


def is_sorting(name: str) -> bool:
    """Tell whether a file or a directory of a plan is among what sorts mail."""
    return name.split("/", maxsplit=1)[0] in SORTING.values()


class Places(NamedTuple):
    """
    The paths of one system.

    root
        The directory that its root file system is in; tests have one of their own.
    plain
        Whether it is no qube: all of it lasts, so that Postfix has configuration and queue where it looks for them.
    """

    root: str = "/"
    plain: bool = False

    def _at(self, path: str) -> str:
        return os.path.join(self.root, path)

    @property
    def config_dir(self) -> str:
        """The configuration, which lasts."""
        return self.running_config_dir if self.plain else self._at("usr/local/etc/postfix")

    @property
    def smarthost_dir(self) -> str:
        """What lasts and is not Postfix's: its name does not begin with postfix, by which SELinux would know it."""
        return self._at("usr/local/etc/smarthost")

    def of(self, name: str) -> str:
        """Return where a file or a directory of a plan is, by its name there."""
        top = self.smarthost_dir if is_sorting(name) else self.config_dir
        return os.path.join(top, name)

    @property
    def running_config_dir(self) -> str:
        """Where Postfix looks for it: the boot script mounts it there."""
        return self._at("etc/postfix")

    @property
    def queue_dir(self) -> str:
        """The queue, which lasts."""
        return self.running_queue_dir if self.plain else self._at("rw/bind-dirs/var/spool/postfix")

    @property
    def running_queue_dir(self) -> str:
        """Where Postfix looks for it."""
        return self._at("var/spool/postfix")

    @property
    def boot_script(self) -> str:
        """What starts Postfix at boot."""
        return self._at(
            "usr/local/sbin/postfix-smarthost-start"
            if self.plain
            else "rw/config/rc.local.d/50-postfix-smarthost.rc"
        )

    @property
    def unit(self) -> str:
        """What has systemd run it at boot on a machine that is no qube."""
        return self._at("etc/systemd/system/postfix-smarthost.service")

    @property
    def enabled(self) -> tuple[str, ...]:
        """The links that are there when that unit and Postfix's are enabled."""
        wants = self._at("etc/systemd/system/multi-user.target.wants")
        return tuple(os.path.join(wants, f"{name}.service") for name in ("postfix-smarthost", "postfix"))

    @property
    def command(self) -> str:
        """The program for the user."""
        return self._at("usr/local/bin/postfix-smarthost")

    @property
    def shared_dir(self) -> str:
        """What is above the next two."""
        return self._at("usr/local/share")

    @property
    def manual(self) -> str:
        """Its manual page."""
        return self._at("usr/local/share/man/man1/postfix-smarthost.1")

    @property
    def completion(self) -> str:
        """What bash(1) completes for it."""
        return self._at("usr/local/share/bash-completion/completions/postfix-smarthost")

    @property
    def programs(self) -> tuple[str, ...]:
        """What an apply puts beside the configuration; the boot script comes first."""
        programs = (self.boot_script, self.command, self.manual, self.completion)
        return (*programs, self.unit) if self.plain else programs

    @property
    def rc_local(self) -> str:
        """The user's own boot script."""
        return self._at("rw/config/rc.local")

    @property
    def aliases(self) -> str:
        """The aliases of local users, which the template compiles."""
        return self._at("etc/aliases")

    @property
    def sasl_plugins(self) -> tuple[str, ...]:
        """Patterns of the SASL mechanism PLAIN."""
        directories = ("usr/lib/*/sasl2", "usr/lib64/sasl2", "usr/lib/sasl2")
        return tuple(self._at(f"{directory}/libplain.so*") for directory in directories)

    @property
    def state_dir(self) -> str:
        """What the boot script keeps until the qube is shut down, for root alone."""
        return self._at("run/postfix-smarthost")

    @property
    def fetching(self) -> str:
        """What the service that fetches mail says of each account; the user's, in a directory that systemd makes."""
        return self._at("run/postfix-smarthost-fetch/state.json")

    @property
    def fetch_unit(self) -> str:
        """Where systemd keeps the transient unit of that service as long as it is there."""
        return self._at("run/systemd/transient/postfix-smarthost-fetch.service")

    @property
    def fetch_off(self) -> str:
        """What keeps it from starting: this qube is a clone, and has the mailboxes of another one."""
        return os.path.join(self.queue_dir, "fetch-off")

    @property
    def fetch_ids(self) -> str:
        """Where it notes what it has fetched and not deleted, below the home of the user."""
        return ".local/state/postfix-smarthost"

    @property
    def tokens_dir(self) -> str:
        """Where the tokens of accounts are that log in by XOAUTH2: root's alone, and no apply brings them."""
        return os.path.join(self.smarthost_dir, TOKENS)

    @property
    def oauth_dir(self) -> str:
        """What the proxy that logs in with them keeps until it ends, for root alone."""
        return self._at("run/postfix-smarthost-oauth")

    @property
    def oauth_unit(self) -> str:
        """Where systemd keeps the transient unit of that proxy as long as it is there."""
        return self._at("run/systemd/transient/postfix-smarthost-oauth.service")

    @property
    def shown_notes(self) -> str:
        """Which notes the user has been shown."""
        return os.path.join(self.state_dir, "notes")

    @property
    def lock(self) -> str:
        """What an apply and the boot script lock while they change the configuration."""
        return os.path.join(self.state_dir, "lock")

    @property
    def uplink_timer(self) -> str:
        """Where systemd keeps the transient timer of the boot script as long as it is there."""
        return self._at("run/systemd/transient/postfix-smarthost-uplink.timer")

    @property
    def mask(self) -> str:
        """What keeps Postfix from starting until the next boot."""
        return self._at("run/systemd/system/postfix.service")

    @property
    def disposable(self) -> str:
        """Qubes' mark of a qube of which nothing lasts."""
        return self._at("run/qubes/persistent-none")

    @property
    def custom_persist(self) -> str:
        """Whether the qube has the Qubes service custom-persist."""
        return self._at("run/qubes-service/custom-persist")

    @property
    def ipv6_addresses(self) -> str:
        """Where the kernel lists the system's addresses of IPv6."""
        return self._at("proc/net/if_inet6")


def here(root: str = "/") -> Places:
    """
    Return the paths of this system: in a qube ``/rw`` is what lasts.

    root : str
        The directory that its root file system is in.
    """
    return Places(root, plain=not os.path.isdir(os.path.join(root, "rw")))
