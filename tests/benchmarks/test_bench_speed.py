import json

import pytest

from benchmarks import speed


def test_checkouts_take_turns_and_nothing_is_measured_twice(tmp_path, monkeypatch, capsys):
    asked = []

    def measured(checkout, threads, text, data, name, frames):
        asked.append((checkout == speed.ROOT, text, name))
        took = {"cold": 1.0, "warm": 0.5, "median": 20.0, "mean": 25.0, "memory": 300.0}
        return took if checkout == speed.ROOT else took | {"mean": 50.0 + 10 * len(asked)}

    monkeypatch.setattr(speed, "measure", measured)
    monkeypatch.setenv("TRACKERLIB_MODE", "float32")
    path = tmp_path / "speed.json"
    words = ["speed", "--old", str(tmp_path), "--split", "Ball", "--trackers", "kcf", "hcf"]
    monkeypatch.setattr("sys.argv", [*words, "--rounds", "2", "--json", str(path)])
    speed.main()
    # The old one first, then the new one first; of a peer only the new one.
    assert asked == [
        (False, "kcf", "Ball"),
        (True, "kcf", "Ball"),
        (True, "hcf", "Ball"),
        (True, "kcf", "Ball"),
        (False, "kcf", "Ball"),
        (True, "hcf", "Ball"),
    ]
    # The old means are 60 and 100: their median, 80, is 3.2 times 25.
    kcf, hcf = capsys.readouterr().out.splitlines()[1:]
    assert kcf.split()[:4] == ["kcf", "Ball", "40.0", "3.20"]
    assert hcf.split()[:4] == ["hcf", "Ball", "40.0", "-"]
    speed.main()
    assert len(asked) == 6
    assert len(json.loads(path.read_text())["runs"]) == 6
    monkeypatch.setenv("TRACKERLIB_MODE", "int8")  # another machine's
    speed.main()
    assert len(asked) == 12
    modes = [run["mode"] for run in json.loads(path.read_text())["runs"]]
    assert modes == ["float32"] * 6 + ["int8"] * 6


def test_a_run_in_its_own_process():
    took = speed.measure(speed.ROOT, 1, "kcf", "embedded", "Ball", "4")
    assert 0 < took["warm"] < took["cold"]
    assert took["stages"]["rest"] == pytest.approx(took["mean"], rel=0.2)
    assert took["memory"] > 50
    assert set(took["machine"]) == {"copy", "float32", "bfloat16"}


def test_a_run_that_fails_says_why():
    with pytest.raises(SystemExit, match="expected a tracker among"):
        speed.measure(speed.ROOT, 1, "nothing", "embedded", "Ball", "4")
