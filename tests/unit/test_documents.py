# SPDX-License-Identifier: Apache-2.0
"""What the documents quote of the formula's own sentences is what the formula says, and their links lead somewhere."""

import ast
import re
from pathlib import Path

import pytest

from tests.checkout import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
# What Postfix says.
NOT_OURS = {
    "Host found but no data record of requested type",
    "Host or domain name not found",
    "SASL authentication failed",
    "[Errno 2] No such file or directory",
    "Server certificate not verified",
    "No matching sls found for 'postfix_smarthost'",
    "Unit postfix.service is masked",
    "delivery temporarily suspended",
    "host ... said: 55...",
    "exceeds size limit",
    "is not allowed to submit mail",
    "message file too big",
    "need fully-qualified address",
    "no mechanism available",
    "not trusted",
    "offered no compatible authentication mechanisms",
    "refused to talk to me",
}


def texts(path: Path) -> str:
    """The texts of a program, each on one line; what an f-string puts in is left out."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py" and not source.startswith("#!/usr/bin/python3"):
        return " ".join(source.split())
    nodes = ast.walk(ast.parse(source))
    joined = (
        "".join(getattr(part, "value", "") for part in node.values if isinstance(part, ast.Constant))
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    )
    plain = (
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return "\n".join([*joined, *plain])


def test_sentences_that_are_quoted_are_said() -> None:
    said = "\n".join(
        texts(path)
        for directory in ("_modules", "_states", "_utils", "dom0", "pillar", "postfix_smarthost")
        for path in (ROOT / directory).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    first_cells = re.findall(r"^\| ([^|]*) \|", TROUBLESHOOTING, re.MULTILINE)
    quoted = {text for cell in first_cells for text in re.findall(r"`([^`]+)`", cell) if " " in text}
    assert len(quoted) >= len(NOT_OURS) + 6
    assert {text for text in quoted - NOT_OURS if text not in said} == set()


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings of a document."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    astray = []
    for link in re.findall(r"\]\(([^)]*)\)", document.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        to = (document.parent / path).resolve() if path else document
        if ":" not in path and not (to.exists() and (not anchor or anchor in anchors(to))):
            astray.append(link)
    assert astray == []
