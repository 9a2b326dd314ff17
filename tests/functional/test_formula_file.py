# SPDX-License-Identifier: Apache-2.0
"""FORMULA, by the programs that read it."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.checkout import ROOT

FORMULA = yaml.safe_load((ROOT / "FORMULA").read_text())
CACHES = shutil.ignore_patterns("__pycache__", ".*")
# What the formula is in a file root, without what only develops it.
INSTALLED = ("_modules", "_states", "_utils", "postfix_smarthost")


def files_below(*directories: Path) -> set[str]:
    """The files of some directories, each by its path from the directory's parent."""
    return {
        str(path.relative_to(directory.parent))
        for directory in directories
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clean copy of this repository and, in it, what a developer may have lying about."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=CACHES)
    (copy / ".venv").mkdir()
    (copy / ".venv/secret").write_text("not to be packed")
    return copy


@pytest.fixture
def spm(tmp_path: Path, checkout: Path) -> Callable[..., str]:
    """Salt's package manager, run in the checkout with everything that it keeps below a temporary directory."""
    config = {
        "spm_logfile": str(tmp_path / "log"),
        "spm_build_dir": str(tmp_path / "build"),
        "spm_cache_dir": str(tmp_path / "cache"),
        "spm_db": str(tmp_path / "packages.db"),
        "spm_repos_config": str(tmp_path / "spm.repos"),
        "formula_path": str(tmp_path / "srv/salt"),
        "pillar_path": str(tmp_path / "srv/pillar"),
        "reactor_path": str(tmp_path / "srv/reactor"),
    }
    (tmp_path / "spm").write_text(yaml.safe_dump(config))

    def run(*arguments: str) -> str:
        program = Path(sys.executable).with_name("spm")
        command = [program, f"--config-dir={tmp_path}", "--assume-yes", *arguments]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    return run


def test_spm_packs_the_formula_only(tmp_path: Path, spm: Callable[..., str]) -> None:
    spm("build", ".")
    (package,) = (tmp_path / "build").iterdir()
    assert package.name == f"postfix_smarthost-{FORMULA['version']}-{FORMULA['release']}.spm"
    with tarfile.open(package) as archive:
        packed = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert packed == files_below(*(ROOT / name for name in INSTALLED)) | {
        "FORMULA",
        "LICENSE",
        "README.md",
        "pillar.example",
    }


def test_spm_installs_a_file_root_that_salt_can_use(tmp_path: Path, spm: Callable[..., str]) -> None:
    """SLS by their names and modules beside them; spm keeps the example pillar as .orig, which Salt ignores."""
    spm("build", ".")
    (package,) = (tmp_path / "build").iterdir()
    spm("local", "install", str(package))
    file_root = tmp_path / "srv/salt"
    installed = {str(path.relative_to(file_root)) for path in file_root.rglob("*") if path.is_file()}
    assert installed == files_below(*(ROOT / name for name in INSTALLED)) | {"postfix_smarthost/README.md"}
    example = tmp_path / "srv/pillar/postfix_smarthost.sls.orig"
    assert example.read_bytes() == (ROOT / "pillar.example").read_bytes()
    assert f"Version: {FORMULA['version']}" in spm("info", "postfix_smarthost")


def test_formula_has_what_qubes_asks_for() -> None:
    """Source: qubes-mgmt-salt, Makefile.install; yaml-dumper gives it each value as one line of a Makefile."""
    for key in ("package-name", "name", "version", "release", "summary", "description"):
        assert str(FORMULA[key]).strip()
    assert FORMULA["saltenv"] == "base"
    for key in ("formula-files", "pillar-files"):
        for name in FORMULA[key].split():
            assert (ROOT / name).exists(), name
    for key, value in FORMULA.items():
        assert "\n" not in str(value), key
        assert "#" not in str(value), f"{key}: make(1) takes # for a comment"


def test_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{FORMULA['version']}]" in changelog
