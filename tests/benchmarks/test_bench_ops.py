"""The benchmark runs, and says what it measured."""

import subprocess
import sys
from pathlib import Path


def test_a_row_is_measured():
    command = [sys.executable, "-m", "benchmarks.ops", "--only", "linear, 64 channels"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    *_, head, row = done.stdout.splitlines()
    assert "copies" in head and "torchvision" in head
    name, ours, _, copy, copies = row.rsplit(maxsplit=4)
    assert name == "correlation filter, linear, 64 channels 56x56"
    assert abs(float(ours) / float(copy) - float(copies)) <= 0.5 * float(copies)
