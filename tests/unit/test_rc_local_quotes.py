# SPDX-License-Identifier: Apache-2.0
"""rc.local: a line inside a text of the script is a line of that text, and stays."""

import subprocess

import pytest

import smarthost_by_hand

START = "systemctl start postfix\n"
MOUNT = "mount --bind /usr/local/etc/postfix /etc/postfix\n"

QUOTED = {
    "single quotes": f"#!/bin/sh\necho 'to do by hand:\n{START}and look'\n",
    "double quotes": f'#!/bin/sh\nnotify-send "Mail\n{START}"\n',
    "quotes of bash": f"#!/bin/bash\nprintf %s $'it\\'s\n{START}'\n",
    "an assignment": f"#!/bin/sh\nhelp='\n{MOUNT}{START}'\n",
    "an escaped quote before": f'#!/bin/sh\necho "a \\" b\n{START}"\n',
    "an escaped quote outside": f"#!/bin/sh\necho it\\'s 'x\n{START}'\n",
    "another quote inside": f"#!/bin/sh\necho 'say \"\n{START}\" and go'\n",
    "an apostrophe in a comment": f"#!/bin/sh\n# don't\necho 'x\n{START}'\n",
    "a mark that is no comment": f"#!/bin/sh\necho a#'x\n{START}'\n",
    "backquotes": f"#!/bin/sh\nx=`\n{START}`\n",
    "a list": f"#!/bin/bash\ncommands=(\n{START})\n",
    "a command within a text": f'#!/bin/bash\necho "$(echo "a\n{START}b")"\n',
    "a document": f"#!/bin/sh\ncat <<END\n{START}END\n",
    "a text that does not end": f"#!/bin/sh\n{START}echo 'x\n",
}


@pytest.mark.parametrize("text", QUOTED.values(), ids=QUOTED)
def test_text_of_the_script_stays(text: str) -> None:
    found = smarthost_by_hand.rc_local(text)
    assert (found["text"], found["removed"]) == (text, 0)
    # The user is told where it may be that Postfix is started all the same.
    assert found["related"] != []


@pytest.mark.parametrize("text", [text for name, text in QUOTED.items() if "not end" not in name])
def test_lines_beside_the_text_go(text: str) -> None:
    """Not where it cannot be told what is text."""
    told = "<<" not in text and "$(" not in text
    found = smarthost_by_hand.rc_local(text + START)
    assert found["text"] == (text if told else text + START)
    assert found["removed"] == told


@pytest.mark.parametrize(
    "before",
    [
        "#!/bin/sh\n",
        "# it's a comment\n",
        "echo 'one line' \"another\" `id`\n",
        "x=$(id)\n",
        "echo \\'\n",
        "echo ${x#*'}'}\n",
        "echo $'\\'' x\n",
        "(cd /; id)\n",
        "a=(one two)\n",
    ],
)
def test_a_line_that_is_none_of_a_text_goes(before: str) -> None:
    assert subprocess.run(["bash", "-n"], input=before, text=True, check=False).returncode == 0
    found = smarthost_by_hand.rc_local(before + MOUNT + START + "fetchmail\n")
    assert (found["text"], found["removed"]) == (before + "fetchmail\n", 2)
