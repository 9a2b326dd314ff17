# SPDX-License-Identifier: Apache-2.0
"""The package for dom0 by dnf5, which asks for what it requires and keeps a history: installed, upgraded, erased."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.checkout import ROOT
from tests.functional.test_package import CACHES, NAME, PASSWORD, QUBES_YAML, QUBESCTL

from . import rootfs

if TYPE_CHECKING:
    from pathlib import Path

# What dom0 has: the packages that ours requires, and what their scripts need, which Debian's packages bring here.
_DOM0 = """\
Name: dom0
Version: 1
Release: 1
Summary: What dom0 has
License: none
BuildArch: noarch
Provides: qubes-mgmt-salt, qubes-mgmt-salt-dom0, python3-pyyaml, /bin/sh, /usr/bin/sh, /usr/bin/python3
%description
%files
"""
_ENTER = """\
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root" || exit 1
mount -t proc proc "$2/root/proc" && mount --rbind /dev "$2/root/dev" || exit 1
exec chroot "$2/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 HOME=/root /bin/sh -euc "$3"
"""

pytestmark = pytest.mark.soak


def build(spec: Path, source: Path, target: Path) -> None:
    """Build a package."""
    options = [f"_topdir {target}/build", f"_sourcedir {source}", f"_rpmdir {target}"]
    options.append("_build_name_fmt %%{NAME}-%%{VERSION}.rpm")
    defined = [word for option in options for word in ("--define", option)]
    subprocess.run(
        ["rpmbuild", "-bb", "--quiet", "--nodeps", *defined, spec], check=True, capture_output=True
    )


class Dom0:
    """The root file system, in which dnf5 runs."""

    def __init__(self, place: Path) -> None:
        self._place, self.upper = place, place / "upper"
        for name in ("upper/srv/new", "upper/usr/bin", "work", "root"):
            (place / name).mkdir(parents=True)
        program = self.upper / "usr/bin/qubesctl"
        program.write_text(QUBESCTL)
        program.chmod(0o755)
        self._packages(self.upper / "srv/new")

    def _packages(self, into: Path) -> None:
        spec = self._place / "dom0.spec"
        spec.write_text(_DOM0)
        build(spec, self._place, into)
        for version in ("0.1.0", "0.1.1"):
            copy = self._place / version
            shutil.copytree(ROOT, copy, ignore=CACHES)
            (copy / "version").write_text(f"{version}\n")
            subprocess.run(["make", "-C", copy, "dist"], check=True, capture_output=True)
            build(copy / f"dist/{NAME}.spec", copy / "dist", into)

    def run(self, script: str) -> str:
        """Run a script; return what it prints."""
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh"]
        command += [str(rootfs.dom0().root), str(self._place), script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def dom0(tmp_path_factory: pytest.TempPathFactory) -> Dom0:
    return Dom0(tmp_path_factory.mktemp("dnf"))


def test_install_upgrade_and_erase(dom0: Dom0) -> None:
    said = dom0.run(
        f"""
        dnf="dnf5 -y --disable-plugin=*"
        # What it requires has to be there.
        $dnf install /srv/new/{NAME}-0.1.0.rpm && exit 1
        $dnf install /srv/new/dom0-1.rpm
        $dnf install /srv/new/{NAME}-0.1.0.rpm
        rpm -V {NAME}
        ls -l {QUBES_YAML}
        echo "mail: {{accounts: [{{address: me@gmail.com, password: '{PASSWORD}'}}]}}" >{QUBES_YAML}
        $dnf upgrade /srv/new/{NAME}-0.1.1.rpm
        rpm -q {NAME}
        cat {QUBES_YAML}
        find /srv -xtype l
        $dnf remove {NAME}
        echo 'What is left:'
        find /srv -xtype l
        find /srv -path '*postfix*' -type f ! -path '/srv/new/*'
        cat /srv/calls
        """
    )
    assert "-rw------- 1 root root" in said
    assert f"{NAME}-0.1.1-1.noarch\n" in said
    assert f"password: '{PASSWORD}'" in said
    assert said.partition("What is left:\n")[2].splitlines() == [
        f"{QUBES_YAML}.rpmsave",
        "saltutil.sync_all refresh=true -l quiet --out quiet",
        "top.enable postfix_smarthost pillar=true -l quiet --out quiet",
        "saltutil.sync_all refresh=true -l quiet --out quiet",
        "top.enable postfix_smarthost pillar=true -l quiet --out quiet",
    ]
