# SPDX-License-Identifier: Apache-2.0
"""Read the text of main.cf and of lookup tables as Postfix does, to see what it takes a file for.

After readllines() in Postfix's src/util/readlline.c: a line that begins with white space goes on with the one before,
also across comments and blank lines; white space is that of ASCII.
"""

from collections.abc import Iterator

WHITE = " \t\n\v\f\r"


def logical_lines(text: str) -> Iterator[str]:
    line = ""
    for physical in text.split("\n"):
        if not physical.strip(WHITE) or physical.lstrip(WHITE).startswith("#"):
            continue
        if physical[0] in WHITE:
            line += physical
            continue
        if line:
            yield line
        line = physical
    if line:
        yield line


def parameters(text: str) -> list[tuple[str, str]]:
    """The parameters of main.cf, in order and with repetitions."""
    pairs = (line.partition("=") for line in logical_lines(text))
    return [(name.strip(WHITE), value.strip(WHITE)) for name, _, value in pairs]


def rows(text: str) -> list[tuple[str, str]]:
    """The rows of a table, in order and with repetitions, after postmap() in src/postmap/postmap.c."""
    found = []
    for line in logical_lines(text):
        quoted, end = False, 0
        while end < len(line) and (quoted or line[end] not in WHITE):
            if line[end] == "\\":
                end += 1
            elif line[end] == '"':
                quoted = not quoted
            end += 1
        key, value = line[:end], line[end:].strip(WHITE)
        if quoted or not key or not value:
            raise AssertionError("Postfix would drop a row")
        found.append((key.lower(), value))
    return found
