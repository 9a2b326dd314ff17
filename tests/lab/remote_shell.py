#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for ssh, scp and ssh-keygen where salt-ssh runs.

As Qubes' ssh-wrapper (qubes-mgmt-salt), it hands what salt-ssh wants to run to a root shell in the qube
(qubes.VMRootShell), and takes nothing but Salt's own shim: one heredoc for /bin/sh.

Which command enters the qube is in the file ``$LAB_QUBES/NAME``, one argument a line.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

# With the two spaces that salt.client.ssh.shell leaves there.
_HEAD = "/bin/sh  << 'EOF'\n"
_TAIL = "\nEOF"

# salt-ssh wants an scp on the target, and never runs it there.
_SCP = b"""\
mkdir -p /run/salt-shim-sandbox
ln -sf /bin/true /run/salt-shim-sandbox/scp
PATH=$PATH:/run/salt-shim-sandbox
"""


def _root_shell(name: str, script: bytes) -> int:
    known = Path(os.environ["LAB_QUBES"]) / name
    if not known.is_file():
        print(f"ssh: {name} is not a qube that runs", file=sys.stderr)
        return 126
    command = [*known.read_text(encoding="utf-8").splitlines(), "/bin/bash"]
    return subprocess.run(command, input=script, check=False).returncode


def ssh(name: str, rest: list[str]) -> int:
    """Run Salt's shim in a qube."""
    if len(rest) != 1:
        print(f"ssh: cannot handle {rest}", file=sys.stderr)
        return 2
    command = rest[0]
    if command == "/bin/sh":
        return _root_shell(name, _SCP + sys.stdin.buffer.read())
    if not (command.startswith(_HEAD) and command.endswith(_TAIL)) or _TAIL + "\n" in command:
        print("ssh: this is not Salt's shim", file=sys.stderr)
        return 2
    return _root_shell(name, _SCP + command[len(_HEAD) : 1 - len(_TAIL)].encode("ascii"))


def scp(source: str, target: str) -> int:
    """Copy a file into a qube."""
    name, _, path = target.partition(":")
    return _root_shell(name, f'cat > "{path}" || exit 1\n'.encode() + Path(source).read_bytes())


def ssh_keygen(arguments: list[str]) -> int:
    """Write what salt-ssh looks for; nothing reads it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-f", required=True)
    private = Path(parser.parse_known_args(arguments)[0].f)
    for path in (private, private.with_name(private.name + ".pub")):
        path.write_text("unused\n", encoding="ascii")
    return 0


def main() -> int:
    """Do what the program of that name would."""
    program = Path(sys.argv[0]).name
    if program == "ssh-keygen":
        return ssh_keygen(sys.argv[1:])
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", action="append")
    parser.add_argument("-V", action="store_true")
    options, rest = parser.parse_known_args()
    if options.V:
        print("OpenSSH_9.9 stand-in", file=sys.stderr)
        return 0
    if program == "scp":
        return scp(*rest)
    return ssh(rest[0], rest[1:])


if __name__ == "__main__":
    sys.exit(main())
