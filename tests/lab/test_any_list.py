# SPDX-License-Identifier: Apache-2.0
"""Whatever identifier or text a list has, procmail sorts its mail, and none whose text differs by one letter."""

from __future__ import annotations

import json
import string
from random import Random
from typing import TYPE_CHECKING

import pytest

import smarthost_pillar
import smarthost_sorting

from .accounts import ALICE, pillar

if TYPE_CHECKING:
    from .lab import Lab
    from .qube import Template

PLACE = "/run/any-list"
IDENTIFIER = "".join(set(string.printable) & set(map(chr, range(33, 127))) - set("<>*"))
TEXT = IDENTIFIER + "<>   "

# Hands each message to what local(8) runs, and tells the folder that it is in then.
_DELIVER = r"""
import json, os, subprocess, sys
place, messages = sys.argv[1], json.load(sys.stdin)
found = []
for message in messages:
    done = subprocess.run(["sh", f"{place}/deliver", "/usr/bin/procmail", ""], input=message, text=True)
    paths = [os.path.join(where, name) for where, _, names in os.walk("/home/user/.maildir") for name in names]
    found.append([os.path.relpath(os.path.dirname(os.path.dirname(path)), "/home/user/.maildir") for path in paths])
    for path in paths:
        os.unlink(path)
json.dump(found, sys.stdout)
"""


def other(text: str, random: Random) -> str:
    """Return a text that is another by one letter: changed, added at an end, or left out in the middle."""
    place = random.randrange(len(text))
    letter = "q" if text[place] not in "qQ" else "z"
    return random.choice([text[:place] + letter + text[place + 1 :], f"q{text}", f"{text}q"])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_any_list(lab: Lab, prepared: Template, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - for cases, not for secrets
    rules, headers = [], []
    for number in range(150):
        folder = f"list/{number}"
        if number % 2:
            text = "".join(random.choices(IDENTIFIER, k=random.randint(4, 30)))
            rules.append({"list_id": text, "folder": folder})
            headers += [
                (folder, f"List-Id: Its name <{text}>"),
                ("", f"List-Id: {text} <{other(text, random)}>"),
            ]
        else:
            text = "a" + "".join(random.choices(TEXT, k=random.randint(4, 30))) + "b"
            header = f"X-{number}"
            rules.append({"header": header, "match": text, "folder": folder})
            headers += [
                (folder, f"{header}: so {text}, it says"),
                ("", f"{header}: so {other(text, random)}, no"),
            ]
    record, problems = smarthost_pillar.check(pillar(ALICE, lists=rules)["postfix_smarthost"])
    assert problems == []
    qube = lab.qube(f"any-list-{seed}", template=prepared)
    qube.write(f"{PLACE}/procmailrc", smarthost_sorting.procmailrc(record["lists"]))
    qube.write(f"{PLACE}/deliver", smarthost_sorting.DELIVER)
    qube.run("install", "-d", "-o", "user", "-g", "user", "/home/user/.maildir", "/home/user/.maildir/list")
    messages = [f"From: x@y.test\n{header}\n\n{header}\n" for _, header in headers]
    said = qube.run("python3", "-c", _DELIVER, PLACE, stdin=json.dumps(messages), user="user", timeout=600)
    found = json.loads(said.stdout)
    wrong = [
        (header, wanted, folders)
        for (wanted, header), folders in zip(headers, found, strict=True)
        if folders != [wanted or "."]
    ]
    assert wrong == []
