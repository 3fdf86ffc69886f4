"""The benchmark of backbones runs, keeps what it measured, and resumes."""

import pytest

from benchmarks import backbones


@pytest.fixture
def run(tmp_path, capsys):
    """The lines that the benchmark prints."""

    def printed(*words):
        fixed = ["--split", "Harbour", "--every", "40", "--reference", "pixels.rgb"]
        backbones.main([*fixed, "--store", str(tmp_path), "--rows", "pixels", "hog", *words])
        return capsys.readouterr().out.splitlines()

    return printed


def numbers(line):
    """AP, its difference to the reference, IoU, its difference."""
    return [float(word) for word in line.split()[1:] if word[-1] not in ",]"][2:6]


def test_rows_are_measured_once(run, tmp_path):
    first = run()
    assert [line.split()[0] for line in first] == ["row", "pixels.rgb", "gradients.hog"]
    pixels, hog = (numbers(line) for line in first[1:])
    assert pixels[1] == pixels[3] == 0
    assert hog[1] == pytest.approx(hog[0] - pixels[0], abs=0.0011)

    (kept,) = tmp_path.glob("embedded/every40/pixels.rgb/*")
    kept.write_text('{"frames": [40], "ap": [0.25], "iou": [0.5]}')
    assert numbers(run()[1]) == [0.25, 0, 0.5, 0]
    kept.unlink()
    assert "0." not in run("--table")[1]
    assert run() == first
