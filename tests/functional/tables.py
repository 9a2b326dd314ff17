# SPDX-License-Identifier: Apache-2.0
"""A table of a test: its source, built and read by the module postmap with the machine's own Postfix."""

import subprocess
from pathlib import Path

COMPILED = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}
SECRET = "0ld-s3cret"
ROWS = f"alice@example.com  alice:{SECRET}\nbob@example.com  bob:pass word: #1\n"


class Table:
    """A table in a directory of its own, built and read by the module."""

    def __init__(self, postmap: object, kind: str, directory: Path, config_dir: Path) -> None:
        self.postmap = postmap
        self.source = directory / "table"
        self.name = f"{kind}:{self.source}"
        self.file = directory / f"table{COMPILED.get(kind, '')}"
        self.kind = kind
        self.config_dir = str(config_dir)

    def write(self, rows: str | bytes = ROWS, mode: int = 0o600) -> None:
        self.source.write_bytes(rows if isinstance(rows, bytes) else rows.encode())
        self.source.chmod(mode)

    def build(self, **kwargs: bool) -> bool:
        return self.postmap.build(self.name, config_dir=self.config_dir, **kwargs)

    def query(self, key: str) -> str | None:
        return self.postmap.query(key, self.name, config_dir=self.config_dir)

    def keys(self) -> list[str]:
        return self.postmap.keys(self.name, config_dir=self.config_dir)

    def stale(self) -> bool:
        return self.postmap.stale(self.name)

    def in_place(self, **kwargs: object) -> int:
        """Compile by hand, as the module does not."""
        command = ["/usr/sbin/postmap", "-c", self.config_dir, self.name]
        return subprocess.run(command, check=False, capture_output=True, **kwargs).returncode

    def world(self) -> dict:
        """What is in the directory: names, modes, times and contents."""
        state = {}
        for path in sorted(self.source.parent.iterdir()):
            info = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            state[path.name] = (info.st_mode, info.st_uid, info.st_mtime_ns, content)
        return state
