"""The README's commands are commands."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from trackerlib import __main__ as command_line

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"python -m trackerlib ((?:\\\n|[^\n`])+)", README)
TARGETS = re.findall(r"(?:^|`)make ([a-z]+)((?: [A-Z]+=(?:\"[^\"]*\"|\S+))*)", README, re.M)


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_is_understood(text):
    arguments = shlex.split(text.replace("\\\n", " "))
    assert callable(command_line._parser().parse_args(arguments).command)


@pytest.mark.parametrize(("target", "settings"), TARGETS)
def test_a_target_is_known_to_make(target, settings):
    done = subprocess.run(
        ["make", "-n", target, *shlex.split(settings)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_commands_were_found():
    assert len(COMMANDS) >= 5 and {target for target, _ in TARGETS} >= {
        "book",
        "test",
        "reproduce",
    }
