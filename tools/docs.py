# SPDX-License-Identifier: Apache-2.0
"""Write what follows from the schema of the pillar: README.md's table and pillar.schema.json. ``make docs`` does so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "_utils"))


import smarthost_schema  # noqa: E402 - the directory is none of Python's
from tools.json_schema import json_schema  # noqa: E402

BEGIN = "<!-- Written by make docs from _utils/smarthost_schema.py. -->\n"
END = "<!-- To here. -->\n"
README = "README.md"
SCHEMA = "pillar.schema.json"


def table() -> str:
    """Return the table of the keys in Markdown."""
    rows = [("Key", "Type", "Default", "Meaning"), ("---", "---", "---", "---")]
    rows += [
        (f"`{path}`", key.kind.words, key.default, key.meaning) for path, key in smarthost_schema.paths()
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def readme(text: str) -> str:
    """Return README.md with the table of now.

    Args:
        text: that which is there.

    """
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def written() -> dict[str, str]:
    """Return the texts of the files that are written, by their names."""
    schema = {"$comment": "SPDX-License-Identifier: Apache-2.0", **json_schema()}
    return {
        README: readme((ROOT / README).read_text(encoding="utf-8")),
        # The licence in the first line, as in each file.
        SCHEMA: json.dumps(schema, indent=2).replace("\n ", "", 1) + "\n",
    }


if __name__ == "__main__":
    for name, text in written().items():
        (ROOT / name).write_text(text, encoding="utf-8")
