"""A training that is killed goes on to the weights that it would have had: to the bit."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_videos import write_clip

from trackerlib.train import multidomain

# Three clips to train on, one to choose by; gradients of five steps are summed across the kill.
ARGUMENTS = [
    *("--network", "mdnet", "--held-out", "four", "--positives", "8", "--negatives", "16"),
    *("--embedding", "0.1", "--embedding-mean", "positives", "--accumulate", "5"),
    *("--flip", "0.5", "--colour", "0.2"),
]
LENGTHS = {  # the second point comes before the kill, and new and former batches after it
    "fixed": ["--fixed-backbone", "--steps", "64", "--validate-every", "1"],
    "not fixed": ["--steps", "6", "--validate-every", "2"],
}


def history(text):
    """The points of a training's output, without what differs from run to run: its times."""
    points = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [{k: v for k, v in p.items() if k not in ("minutes", "speed")} for p in points]


def wait_until_gone(processes):
    """What drew boxes for the one that was killed ends by itself."""
    end = time.monotonic() + 60
    while any(Path(f"/proc/{number}").exists() for number in processes):
        assert time.monotonic() < end, "a process that drew boxes is still there"
        time.sleep(0.2)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_killed_training_gives_the_weights_of_an_undisturbed_one(
    length, tmp_path, monkeypatch, capfd
):
    for name in ("one", "two", "uav_three", "four"):
        write_clip(tmp_path / "clips" / name)
    arguments = [*ARGUMENTS, *LENGTHS[length], "--videos", f"{tmp_path / 'clips'}:1", "--out"]
    command = [sys.executable, "-m", "trackerlib.train.multidomain", *arguments]
    process = subprocess.Popen([*command, tmp_path / "killed"], stdout=subprocess.PIPE, text=True)
    seen = [next(line for line in process.stdout if line.startswith("{")) for _ in range(2)]
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    left = workers.read_text().split() if workers.is_file() else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    wait_until_gone(left)
    found = {}
    for out in ("killed", "whole"):
        monkeypatch.setattr("sys.argv", ["train", *arguments, str(tmp_path / out)])
        capfd.readouterr()
        multidomain.main()
        found[out] = history(capfd.readouterr().out)
    assert history("".join(seen)) == found["whole"][:2]
    assert found["killed"] == found["whole"][-len(found["killed"]) :]
    assert 0 < len(found["killed"]) < len(found["whole"])
    files = {path.name for path in (tmp_path / "whole").glob("*.safetensors")}
    expected = {"multidomain"} | ({"backbone", "head"} if length == "not fixed" else set())
    assert files == {f"{name}.safetensors" for name in expected}
    for name in files:
        assert (tmp_path / "killed" / name).read_bytes() == (
            tmp_path / "whole" / name
        ).read_bytes()
