# SPDX-License-Identifier: Apache-2.0
"""The package for dom0: built, installed, verified, upgraded and erased by rpm(8), beside a qubesctl that takes notes.

Each takes place in a mount namespace of its own, where /srv, /etc/salt and the database of rpm are empty.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.checkout import ROOT

NAME = "qubes-mgmt-salt-postfix-smarthost"
CACHES = shutil.ignore_patterns("__pycache__", ".git", ".venv", ".*_cache", ".hypothesis", "dist")
PASSWORD = "y0urP4ssw0rd"
QUBES_YAML = "/srv/pillar/base/postfix_smarthost/qubes.yaml"

# What topd's function does: a link to the top file for each of the roots where there is one.
QUBESCTL = """\
#!/bin/sh
echo "$*" >>/srv/calls
case $1 in top.enable)
	mkdir -p /srv/salt/_tops/base /srv/pillar/_tops/base
	ln -sf /srv/pillar/base/postfix_smarthost/init.top /srv/pillar/_tops/base/postfix_smarthost.top
esac
"""
_PREPARE = f"""\
set -eu
for place in /srv /etc/salt /var/lib/rpm /usr/local; do mkdir -p $place; mount -t tmpfs tmpfs $place; done
mkdir /usr/local/upper /usr/local/work
mount -t overlay -o lowerdir=/usr/sbin,upperdir=/usr/local/upper,workdir=/usr/local/work overlay /usr/sbin
cat >/usr/sbin/qubesctl <<'EOF'
{QUBESCTL}EOF
chmod 755 /usr/sbin/qubesctl
rpm() {{ command rpm --dbpath /var/lib/rpm "$@"; }}
install() {{ rpm --nodeps -U "$@"; }}
dangling() {{ find /srv -xtype l; }}
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the package, and one of the version after it."""
    built = []
    for version in ("0.1.0", "0.1.1"):
        copy = tmp_path_factory.mktemp("source") / "checkout"
        shutil.copytree(ROOT, copy, ignore=CACHES)
        (copy / "version").write_text(f"{version}\n")
        subprocess.run(["make", "-C", copy, "rpm"], check=True, capture_output=True)
        built.append(copy / f"dist/{NAME}-{version}-1.noarch.rpm")
    return built[0], built[1]


def within(script: str, **variables: object) -> str:
    """Run a script in a system of its own, and return what it prints."""
    lines = "".join(f"{name}='{value}'\n" for name, value in variables.items())
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", _PREPARE + lines + script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_version_stands_once() -> None:
    version = (ROOT / "version").read_text().strip()
    assert f"\nversion: {version}\n" in (ROOT / "FORMULA").read_text()


def test_package_puts_each_file_into_its_place(packages: tuple[Path, Path]) -> None:
    said = within(
        """
        install $first
        rpm -V --nodeps qubes-mgmt-salt-postfix-smarthost
        stat -c '%a %U:%G %n' /srv/formulas/base/postfix_smarthost-formula /srv/pillar/base/postfix_smarthost/*
        grep -v '^#' /srv/pillar/base/postfix_smarthost/qubes.yaml || echo 'only comments'
        find /srv /etc/salt -mindepth 1 -name '*.pyc' -o -mindepth 1 -perm -o=w ! -type l
        cat /srv/calls
        dangling
        postfix-smarthost-check && echo 'checked'
        """,
        first=packages[0],
    )
    assert said.startswith(
        "Write the mail accounts into /srv/pillar/base/postfix_smarthost/qubes.yaml, then: "
    )
    assert "750 root:root /srv/formulas/base/postfix_smarthost-formula\n" in said
    assert f"600 root:root {QUBES_YAML}\n" in said
    assert "644 root:root /srv/pillar/base/postfix_smarthost/init.sls\n" in said
    assert said.partition("only comments\n")[2] == (
        "saltutil.sync_all refresh=true -l quiet --out quiet\n"
        "top.enable postfix_smarthost pillar=true -l quiet --out quiet\n"
        "qubes.yaml is good.\nchecked\n"
    )


def test_upgrade_keeps_what_the_user_has_written(packages: tuple[Path, Path]) -> None:
    said = within(
        f"""
        install $first >/dev/null
        echo "mail: {{accounts: [{{address: me@gmail.com, password: '{PASSWORD}'}}]}}" >{QUBES_YAML}
        install $second
        rpm -q qubes-mgmt-salt-postfix-smarthost
        cat {QUBES_YAML}; stat -c %a {QUBES_YAML}
        dangling
        """,
        first=packages[0],
        second=packages[1],
    )
    assert f"{NAME}-0.1.1-1.noarch\n" in said
    assert f"password: '{PASSWORD}'" in said
    assert said.endswith("600\n")
    assert "Write the mail accounts" not in said


def test_erase_leaves_no_link_that_leads_nowhere_and_says_where_the_passwords_stay(
    packages: tuple[Path, Path],
) -> None:
    said = within(
        f"""
        install $first >/dev/null
        echo "mail: {{accounts: []}}" >{QUBES_YAML}
        rpm -e qubes-mgmt-salt-postfix-smarthost
        dangling
        find /srv /etc/salt -type f
        """,
        first=packages[0],
    )
    assert f"The passwords stay in {QUBES_YAML}.rpmsave" in said
    left = sorted(line for line in said.splitlines() if line.startswith(("/srv/", "/etc/")))
    assert left == ["/srv/calls", f"{QUBES_YAML}.rpmsave"]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 20, 60])
def test_erase_that_is_killed_leaves_no_link_that_leads_nowhere(
    packages: tuple[Path, Path], step: int
) -> None:
    """Before the first file goes, after it, and so on."""
    said = within(
        """
        install $first >/dev/null
        test -h /srv/pillar/_tops/base/postfix_smarthost.top
        strace -f -qq -o /dev/null -e trace=unlink,unlinkat -e inject=unlink,unlinkat:signal=KILL:when=$step \
            rpm --dbpath /var/lib/rpm -e qubes-mgmt-salt-postfix-smarthost >/dev/null 2>&1 && echo ended
        dangling
        """,
        first=packages[0],
        step=step,
    )
    assert said in ("", "ended\n")


def test_archive_is_the_same_each_time(tmp_path: Path) -> None:
    sums = []
    for name in ("one", "other"):
        copy = tmp_path / name
        shutil.copytree(ROOT, copy, ignore=CACHES)
        (copy / "_utils/smarthost_text.py").touch()
        made = subprocess.run(["make", "-C", copy, "dist"], check=True, capture_output=True, text=True)
        sums.append(next(line for line in made.stdout.splitlines() if line.endswith(".tar.gz")))
        assert (copy / f"dist/{NAME}-0.1.0.tar.gz.sha256").read_text().strip() in made.stdout
    assert sums[0] == sums[1]
