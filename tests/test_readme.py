"""The commands of README and CONTRIBUTING are commands, and their files exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from trackerlib import __main__ as command_line
from trackerlib import trackers

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"python -m trackerlib ((?:\\\n|[^\n`])+)", README)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
TARGETS = re.findall(
    r"(?:^|`)make ([a-z-]+)((?: [A-Z]+=(?:\"[^\"]*\"|[^\s`]+))*)", README + CONTRIBUTING, re.M
)
TRACKERS = re.findall(r"^\| `(\w+)` \|", README.partition("| op |")[0], re.M)
SPECIFICATIONS = re.findall(r"`(\w+:[\w=+,.-]+)`", README)
NAMED = re.findall(
    r"`((?:trackerlib|tests|book|benchmarks|data)/[\w/.-]+)`", README + CONTRIBUTING
)
FILES = sorted({path for path in NAMED if "NAME" not in path and "NN" not in path})
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)


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
        "bench-backbones",
        "book",
        "check",
        "reproduce",
        "test",
    }


def test_the_table_of_trackers_is_complete():
    assert sorted(TRACKERS) == trackers.names()


@pytest.mark.parametrize("text", SPECIFICATIONS)
def test_a_specification_is_understood(text):
    assert trackers.parse(text).label == text


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_is_named_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", LINKS)
def test_a_link_leads_to_a_file(path):
    assert (ROOT / path).is_file()
