# SPDX-License-Identifier: Apache-2.0
"""Salt's loader over the modules and states of this repository, directories for Postfix, and a qube to configure.

Nothing of the machine's own Salt or Postfix configuration is used.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import salt._logging
import salt.config
import salt.loader
from salt.loader.lazy import LazyLoader
from saltfactories.utils.functional import Loaders

import smarthost_apply
from tests.checkout import ROOT
from tests.functional.qube import ALICES, BOBS, LOCK_TIMEOUT, Qube, copy_tree
from tests.functional.tables import COMPILED, Table


@pytest.fixture(scope="session", autouse=True)
def _postfix_programs() -> None:
    """Fail, and not skip, on a machine without Postfix's programs."""
    programs = ("postmap", "postalias", "postconf")
    missing = [program for program in programs if not shutil.which(program, path="/usr/sbin")]
    if missing:
        pytest.exit(f"/usr/sbin has no {', '.join(missing)}: `make functional` installs what is needed", 1)


@pytest.fixture(scope="session")
def minion_opts(tmp_path_factory: pytest.TempPathFactory) -> dict:
    root = tmp_path_factory.mktemp("minion")
    # Only the SLS and the programs for dom0: the file server would walk the caches of the checkout, and modules beside
    # them would be copied to extension_modules and loaded from there.
    file_root = root / "file_root"
    file_root.mkdir()
    for name in ("dom0", "postfix_smarthost"):
        (file_root / name).symlink_to(ROOT / name)
    # Salt keeps early messages for a console that pytest has closed by then; pytest captures them anyway.
    salt._logging.shutdown_temp_handler()
    opts = salt.config.minion_config(None)
    opts.update(
        id="functional",
        root_dir=str(root),
        cachedir=str(root / "cache"),
        extension_modules=str(root / "extmods"),
        pki_dir=str(root / "pki"),
        sock_dir=str(root / "sock"),
        conf_file=str(root / "minion"),
        file_client="local",
        file_roots={"base": [str(file_root)]},
        pillar_roots={"base": [str(root / "pillar_root")]},
        # Straight from the checkout, so that a traceback and a break point show the file that is edited.
        module_dirs=[str(ROOT / "_modules")],
        states_dirs=[str(ROOT / "_states")],
        state_events=False,
    )
    return opts


@pytest.fixture(scope="session")
def _session_loaders(minion_opts: dict) -> Loaders:
    return Loaders(minion_opts)


@pytest.fixture
def loaders(_session_loaders: Loaders) -> Iterator[Loaders]:
    """``loaders.modules.MODULE.FUNCTION(...)``, ``loaders.states.MODULE.FUNCTION(name=..., test=...)``.

    Loaded once for all tests, which takes 2 s; ``__context__`` and the cache are emptied after each.
    """
    yield _session_loaders
    _session_loaders.reset_state()


@pytest.fixture(scope="session")
def _session_states(minion_opts: dict, _session_loaders: Loaders) -> dict[bool, LazyLoader]:
    modules, utils = _session_loaders.modules, _session_loaders.utils
    serializers = salt.loader.serializers(minion_opts)
    return {
        test: salt.loader.states({**_session_loaders.opts, "test": test}, modules, utils, serializers)
        for test in (False, True)
    }


@pytest.fixture
def run_state(loaders: Loaders, _session_states: dict[bool, LazyLoader]) -> Callable[..., SimpleNamespace]:
    """``run_state("MODULE.FUNCTION", name, test=..., ...)``: a state function on ``loaders.modules``.

    Through ``loaders.states``, each call makes all loaders anew (0.3 s), and leaves no module to patch.
    """

    def run(function: str, name: str, test: bool = False, **kwargs: object) -> SimpleNamespace:
        ret = _session_states[test][function](name=name, **kwargs)
        assert set(ret) == {"name", "result", "changes", "comment"}
        return SimpleNamespace(**ret)

    return run


@pytest.fixture(params=[False, True], ids=["wet", "test"])
def testmode(request: pytest.FixtureRequest) -> bool:
    """For tests of states: each case with ``test=True`` too."""
    return request.param


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A configuration directory with a minimal main.cf, for ``postmap -c`` and its like."""
    directory = tmp_path / "postfix"
    directory.mkdir()
    (directory / "main.cf").write_text("compatibility_level = 3.6\n")
    (directory / "master.cf").touch()
    for file in directory.iterdir():
        # Postfix waits 2 s for a file of the last seconds to "cool down".
        os.utime(file, (0, 0))
    return directory


@pytest.fixture
def make_table(loaders: object, tmp_path: Path, config_dir: Path) -> Callable[[str], Table]:
    """``make_table("hash")``: a table of that type, in a directory for tables only."""
    directory = tmp_path / "tables"
    directory.mkdir()
    return lambda kind: Table(loaders.modules.postmap, kind, directory, config_dir)


@pytest.fixture(params=COMPILED)
def table(request: pytest.FixtureRequest, make_table: Callable) -> Table:
    """A table of each type that is compiled."""
    return make_table(request.param)


@pytest.fixture(scope="session")
def _places() -> Iterator[Path]:
    """Where the tests work, always in one place below it, and keep what they start from.

    In memory: each apply waits for the disk some forty times.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture
def qube(
    request: pytest.FixtureRequest,
    loaders: object,
    run_state: Callable,
    _places: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Qube]:
    """A qube without a configuration."""
    modules = loaders.modules
    pillar: dict[str, Any] = {}
    monkeypatch.setitem(modules.pack, "__pillar__", pillar)
    qube = Qube(run_state, modules, _places / "place", pillar)
    empty = _places / "empty"
    if not empty.exists():
        (empty / "home/user").mkdir(parents=True)
        for name in ("etc/postfix", "rw", "usr/lib/sasl2", "usr/local/etc"):
            (empty / name).mkdir(parents=True)
        for path in Path("/etc/postfix").glob("dynamicmaps.cf*"):
            subprocess.run(["cp", "-a", path, empty / "etc/postfix"], check=True)
        # It lasts until the qube is shut down, whatever becomes of an apply.
        (empty / "run/postfix-smarthost").mkdir(parents=True, mode=0o700)
        (empty / "run/postfix-smarthost/lock").touch(mode=0o600)
        os.chown(empty / "home/user", 12345, 54321)
        for name in ("ca-certificates.crt", "usr/lib/sasl2/libplain.so", "procmail"):
            (empty / name).touch(mode=0o755)
        (empty / "etc/aliases").write_text("root: user\n")
        modules.postmap.build(f"auto:{empty}/etc/aliases", alias=True)
        # `postfix check` takes longer than all the rest of an apply: see really_checked.
        Qube(run_state, modules, empty, pillar).program("postfix", "exit 0")
    if "configured" not in request.fixturenames or not (_places / "configured").exists():
        copy_tree(empty, qube.root)
    user = pwd.struct_passwd(("user", "x", 12345, 54321, "", str(qube.home), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", {"user": user}.__getitem__)
    monkeypatch.setattr(smarthost_apply, "LOCK_TIMEOUT", LOCK_TIMEOUT)
    monkeypatch.setenv("PATH", f"{qube.bin}:{os.environ['PATH']}")
    yield qube
    for secret in (ALICES, BOBS):
        assert not [name for name in qube.holding(secret) if "saslpass" not in name and "bin/" not in name]


@pytest.fixture
def configured(qube: Qube, _places: Path) -> Qube:
    """A qube with the configuration that RECORD asks for."""
    kept = _places / "configured"
    if kept.exists():
        copy_tree(kept, qube.root)
    else:
        qube.applied()
        copy_tree(qube.root, kept)
    return qube


@pytest.fixture
def really_checked(qube: Qube) -> Qube:
    """A qube without a configuration, and with all of Postfix's programs."""
    (qube.bin / "postfix").unlink()
    return qube
