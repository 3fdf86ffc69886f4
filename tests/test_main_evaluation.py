"""The command line's `run` and `report`, with good and bad input."""

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_otb import write_otb

from trackerlib.__main__ import main
from trackerlib.eval import runner
from trackerlib.eval.store import Store


@pytest.fixture
def otb(tmp_path):
    return write_otb(tmp_path / "otb")


@pytest.fixture
def options(otb, tmp_path):
    """What `run` and `report` need for the two sequences."""
    store = str(tmp_path / "store")
    return ["--data", str(otb), "--trackers", "identity", "--device", "cpu", "--store", store]


@pytest.fixture
def running(scheduler):
    """Options for `run` to use a cluster that is there: starting one takes seconds."""
    return ["--scheduler", scheduler]


def test_run_and_report(options, capsys):
    assert main(["report", *options]) == 2
    assert "found none; compute them with the command run" in capsys.readouterr().err
    assert main(["run", *options]) == 0
    assert "2 units computed, 0 were complete, 0 failed" in capsys.readouterr().out
    assert main(["run", *options]) == 0
    assert "0 units computed, 2 were complete" in capsys.readouterr().out
    assert main(["report", *options]) == 0
    assert "identity" in capsys.readouterr().out


def make_former(store, name):
    """Let an earlier version have computed a sequence."""
    (result,) = (result for result in store.results() if result.unit.sequence == name)
    former = dataclasses.replace(result.unit, code="former")
    store.write(former, result.track, result.environment)


def test_results_of_an_earlier_version_are_reported_missing(options, running, capsys):
    assert main(["run", *options, *running]) == 0
    store = Store(options[-1])
    make_former(store, "Left")
    assert main(["report", *options]) == 0
    printed = capsys.readouterr().out
    assert "1/2" in printed and "missing; compute them with the command run" in printed
    assert "computed by an earlier version" in printed
    make_former(store, "Right")
    assert main(["report", *options]) == 2
    error = capsys.readouterr().err
    assert "found none (2 of earlier versions" in error and "with the command run" in error
    assert main(["run", *options, *running]) == 0
    assert "2 units computed, 0 were complete" in capsys.readouterr().out


def test_a_failed_unit_is_printed_and_reported_missing(otb, options, running, capsys):
    (otb / "Left" / "img" / "0001.png").write_bytes(b"no image")
    assert main(["run", *options, *running]) == 1
    assert "Left.ope.seed0: " in capsys.readouterr().err
    assert main(["report", *options]) == 0
    printed = capsys.readouterr().out
    assert "1/2" in printed and "missing" in printed and "Left" in printed


def test_a_failed_unit_of_a_local_cluster_is_one_line(otb, options):
    """Its traceback is in the store; dask would log it before."""
    (otb / "Left" / "img" / "0001.png").write_bytes(b"no image")
    command = [sys.executable, "-m", "trackerlib", "run", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("failed: ") == 1 and "Left.ope.seed0: " in done.stderr
    assert "distributed" not in done.stderr and "Traceback" not in done.stderr


def test_a_report_without_a_finished_sequence_says_so(options, running, capsys):
    assert main(["run", *options, *running]) == 0
    capsys.readouterr()
    assert main(["report", *options, "--seeds", "0", "1"]) == 0
    printed = capsys.readouterr().out
    assert "no tracker has finished a sequence" in printed and "DataFrame" not in printed
    assert "not run yet" in printed.partition("same options:")[2]


def test_what_was_noticed_is_printed_by_every_command(otb, options, running, capsys):
    for number in range(2, 7):
        (otb / "Left" / "img" / f"{number:04d}.png").write_bytes(b"no image")
    lines = (otb / "Right" / "groundtruth_rect.txt").read_text().splitlines()
    (otb / "Right" / "groundtruth_rect.txt").write_text("\n".join([*lines[:-1], "0,0,0,0"]))
    for command in (["run", *options, *running], ["run", *options], ["report", *options]):
        assert main(command) == 0
        printed = capsys.readouterr().err
        for number in range(2, 7):
            assert printed.count(f"warning: identity: Left, frame {number}: ") == 1
        assert "warning: Right: " in printed
    assert main(["data", "list", "--data", str(otb)]) == 0
    assert "warning: Right: " in capsys.readouterr().err


def test_the_same_tracker_and_seed_are_computed_and_told_once(options, running, capsys):
    twice = ["--trackers", "identity kcf", "kcf:kernel=gaussian", "identity", "--seeds", "0", "0"]
    assert main(["run", *options, *running, *twice]) == 0
    printed = capsys.readouterr()
    assert "4 units computed" in printed.out
    assert printed.err.count("warning: identity is given twice: computed and shown once") == 1
    assert "warning: kcf:kernel=gaussian is the same as kcf: computed" in printed.err
    assert "warning: a seed that is given twice counts once" in printed.err
    assert main(["report", *options, *twice]) == 0
    assert capsys.readouterr().out.count("2/2") == 2


def test_a_run_that_is_interrupted_says_how_to_go_on(options, running, monkeypatch, capsys):
    assert main(["run", *options, *running, "--split", "Left"]) == 0
    assert "1 units computed" in capsys.readouterr().out
    monkeypatch.setattr(runner, "run", lambda *_: signal.raise_signal(signal.SIGINT))
    assert main(["run", *options]) == 130
    printed = capsys.readouterr()
    assert "1 of 2 units are complete and kept in " in printed.out and "goes on" in printed.out
    assert printed.err.endswith("interrupted\n")


def test_a_damaged_unit_is_named_by_report_and_computed_again_by_run(options, running, capsys):
    assert main(["run", *options, *running]) == 0
    (record,) = Path(options[-1]).rglob("Left*.json")
    record.write_text(record.read_text().replace('"seconds"', '"sceonds"'))
    for _ in range(2):  # it reads, and leaves all as it is
        assert main(["report", *options]) == 0
        printed = capsys.readouterr()
        assert f"warning: {record}: damaged: " in printed.err and f"{record}: dam" in printed.out
    assert main(["run", *options, *running]) == 0
    assert f"warning: {record}: damaged: " in capsys.readouterr().err
    assert main(["report", *options]) == 0
    assert "damaged" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["otb", "got10k", "pysot", "pytracking", "vot"])
def test_report_under_conventions(options, running, capsys, name):
    assert main(["run", *options, *running]) == 0
    assert main(["report", *options, "--conventions", name]) == 0
    assert f"conventions: {name}\n" in capsys.readouterr().out
    assert main(["report", *options, "--conventions", "voc"]) == 2
    assert "expected conventions otb, got10k, pysot" in capsys.readouterr().err


def test_report_has_scale_and_differences_to_a_tracker(options, running, capsys):
    both = [*options, "--trackers", "identity kcf"]
    assert main(["run", *both, *running]) == 0
    assert main(["report", *both]) == 0
    printed = capsys.readouterr().out
    scale = printed.partition("scale, the root of the area ratio")[2]
    assert "last quarter" in scale and "1.000" in scale and "AUC above" not in printed
    assert main(["report", *both, "--against", "kcf:kernel=gaussian"]) == 0
    compared = capsys.readouterr().out.partition("AUC above that of kcf, over the sequences")[2]
    assert compared.splitlines()[2].startswith("identity ") and "2/2" in compared
    assert main(["report", *both, "--against", "hcf"]) == 2
    assert "expected a baseline with scores, of " in capsys.readouterr().err
    assert main(["report", *both, "--against", "nobody"]) == 2
    assert "expected a tracker among" in capsys.readouterr().err


def test_home_is_expanded_in_what_a_shell_leaves(otb, options, running, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(otb)
    changed = [*options, "--data", "~/otb", "--store", "~/elsewhere"]
    assert main(["run", *changed, *running]) == main(["report", *changed]) == 0
    assert len(list((tmp_path / "elsewhere").rglob("*.txt"))) == 2 and not Path("~").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--split", "Left,Nobody"], "Nobody"),
        (["--trackers", "identity nobody"], "expected a tracker among"),
        (["--trackers", "detection:trunk=vggm"], "trunk is now called backbone"),
        (["--protocol", "once"], "expected a protocol among ope, tre, sre, vot, got 'once'"),
        (["--workers", "0"], "at least one worker, got 0"),
        (["--store", "/dev/null"], "/dev/null"),
    ],
)
def test_run_says_what_is_wrong(options, change, message, capsys):
    assert main(["run", *options, *change]) == 2
    assert message in capsys.readouterr().err


def test_what_cannot_be_scored_is_not_to_be_run_again(options, running, tmp_path, capsys):
    for name in ("Left", "Right"):
        truth = tmp_path / "otb" / name / "groundtruth_rect.txt"
        first, *rest = truth.read_text().splitlines()
        truth.write_text("\n".join([first, *["NaN,NaN,NaN,NaN"] * len(rest)]))
    assert main(["run", *options, *running]) == 0
    assert main(["report", *options]) == 0
    printed = capsys.readouterr().out
    assert "\nmissing:\n" in printed and "compute them" not in printed


def test_run_and_report_with_resets(options, running, capsys):
    resets = ["--protocol", "vot", "--seeds", "0", "1"]
    assert main(["run", *options, *resets, *running]) == 0
    assert main(["report", *options, *resets, "--eao-interval", "2-4"]) == 0
    printed = capsys.readouterr().out
    assert "EAO is the mean over lengths 2 to 4" in printed and "repetitions" in printed
    assert main(["report", *options, *resets, "--conventions", "exact"]) == 0
    assert "conventions: exact" in capsys.readouterr().out
