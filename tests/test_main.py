"""The command line, with good and bad input."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_otb import write_otb

from trackerlib.__main__ import main

BOX = "20,14,16,16"


@pytest.fixture
def otb(tmp_path):
    return write_otb(tmp_path / "otb")


@pytest.fixture
def images(otb):
    return otb / "Left" / "img"


def video(path):
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return count, capture.get(cv2.CAP_PROP_FPS), capture.read()[1]


def track(source, *options):
    given = ["--box", BOX, "--tracker", "kcf", "--device", "cpu", *map(str, options)]
    return main(["track", str(source), *given])


def test_track_a_folder(images, tmp_path, capsys):
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.txt"
    assert track(images, "--out", out, "--boxes", boxes) == 0
    rows = np.loadtxt(boxes, delimiter=",")
    np.testing.assert_array_equal(rows[0], [20, 14, 16, 16])
    assert rows.shape == (8, 4) and abs(rows[-1, 0] - 41) <= 4
    count, fps, frame = video(out)
    assert (count, fps, frame.shape) == (8, 25.0, (48, 64, 3))
    printed = capsys.readouterr()
    assert "kcf: 8 frames of img at" in printed.out and "boxes.txt" in printed.out


def test_track_a_video_at_its_own_rate(images, tmp_path):
    source = tmp_path / "source.avi"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"MJPG"), 12, (64, 48))
    for path in sorted(images.iterdir()):
        writer.write(cv2.imread(str(path)))
    writer.release()
    assert track(source, "--tracker", "identity", "--out", tmp_path / "out.mp4") == 0
    count, fps, frame = video(tmp_path / "out.mp4")
    assert (count, fps) == (8, 12.0)
    edge = frame[14, 20:36].astype(int).mean(0)  # the box is drawn, in green
    assert edge[1] > edge[2] + 60


def test_track_goes_on_after_a_bad_frame(images, tmp_path, capsys):
    (images / "0004.png").write_bytes(b"no image")
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.txt"
    assert track(images, "--tracker", "identity", "--out", out, "--boxes", boxes) == 0
    assert len(boxes.read_text().splitlines()) == video(out)[0] == 8
    assert "warning: img, frame 4:" in capsys.readouterr().err


@pytest.mark.parametrize("fps", [239.762, 119.8801, 30000 / 1001])
def test_track_a_video_at_any_rate(images, tmp_path, fps, capsys):
    source = tmp_path / "source.avi"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for path in sorted(images.iterdir()):
        writer.write(cv2.imread(str(path)))
    writer.release()
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.txt"
    assert track(source, "--tracker", "identity", "--out", out, "--boxes", boxes) == 0
    count, rate, _ = video(out)
    assert count == 8 and rate == pytest.approx(fps, rel=2e-6)
    assert len(boxes.read_text().splitlines()) == 8 and not capsys.readouterr().err


def test_track_writes_boxes_though_it_cannot_write_the_video(images, tmp_path, capsys):
    boxes = tmp_path / "boxes.txt"
    options = ["--tracker", "identity", "--out", tmp_path / "out.xyz", "--boxes", boxes]
    assert track(images, *options) == 2
    assert len(boxes.read_text().splitlines()) == 8
    printed = capsys.readouterr()
    assert "error: VideoWriter: " in printed.err and f"wrote {boxes}" in printed.out


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_track_that_is_interrupted_keeps_what_it_has(
    images, tmp_path, capsys, monkeypatch, name, code
):
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    updates = []

    def update(self, frame):
        updates.append(1)
        if len(updates) == 4:
            os.kill(os.getpid(), getattr(signal, name))
        return self.box

    monkeypatch.setattr("trackerlib.trackers.identity.Tracker.update", update)
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.txt"
    assert track(images, "--tracker", "identity", "--out", out, "--boxes", boxes) == code
    assert len(boxes.read_text().splitlines()) == video(out)[0] == 4
    printed = capsys.readouterr()
    assert printed.out.startswith("interrupted: identity: 4 of 8 frames of img at ")
    assert f"wrote {out} and {boxes}" in printed.out and "Traceback" not in printed.err


def test_track_with_a_tracker_that_crashes_keeps_what_it_has(
    images, tmp_path, capsys, monkeypatch
):
    def update(self, frame):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("trackerlib.trackers.identity.Tracker.update", update)
    boxes = tmp_path / "boxes.txt"
    with pytest.raises(RuntimeError, match="out of memory"):  # a traceback: it is no user's fault
        track(images, "--tracker", "identity", "--boxes", boxes)
    assert "RuntimeError: identity: 1 of 8 frames of img" in capsys.readouterr().out
    assert len(boxes.read_text().splitlines()) == 1


@pytest.mark.parametrize("box", ["-5,14,16,16", "-5 14 16 16", "-5;14;16;16"])
def test_track_a_target_that_begins_outside(images, box, tmp_path):
    boxes = tmp_path / "boxes.txt"
    options = ["--box", box, "--tracker", "identity", "--device", "cpu", "--boxes", str(boxes)]
    assert main(["track", str(images), *options]) == 0
    assert boxes.read_text().startswith("-5,14,16,16\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--tracker", "nobody"], "expected a tracker among"),
        (["--tracker", "kcf:kernel=round"], "kernel among gaussian, linear"),
        (["--device", "abacus"], "expected auto, cpu or a device"),
        (["--box", "100,14,16,16"], "frame 1, first box: expected a box that overlaps"),
        (["--out", "out.jpeg-sequence"], "got out.jpeg-sequence; the ending chooses"),
        (["--boxes", "boxes.xlsx"], "ends in .csv, .json, .mot.txt, .txt, got boxes.xlsx"),
        (["--box", "36,30,-16,-16"], "got 36,30,-16,-16; it is drawn backwards, give 20,14,16,16"),
        (["--box", "20,14,0,16"], "got 20,14,0,16; x,y is its top left corner"),
        (["--start", "20"], "expected frames between 1 and 8"),
        (["--stride", "0"], "expected a stride of 1 or more"),
    ],
)
def test_track_says_what_is_wrong(images, change, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    usual = {"--box": BOX, "--tracker": "kcf"}  # with none named, the trackers are timed first
    given = [f"{option}={value}" for option, value in usual.items() if option not in change]
    assert main(["track", str(images), *given, "--device", "cpu", *change]) == 2
    error = capsys.readouterr().err
    assert message in error and "error: " in error and "Traceback" not in error


@pytest.mark.parametrize(
    "options",
    [["--out", "video.mp4"], ["--boxes", "link"], ["--out", "a.mp4", "--boxes", "a.mp4"]],
)
def test_track_overwrites_neither_its_source_nor_itself(options, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("video.mp4").write_bytes(b"the only copy")
    Path("link").symlink_to("video.mp4")
    assert track("video.mp4", *options) == 2
    assert "expected different files" in capsys.readouterr().err
    assert Path("video.mp4").read_bytes() == b"the only copy" and not Path("a.mp4").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(("option", "name"), [("--boxes", "boxes.txt"), ("--out", "out.mp4")])
def test_track_on_a_full_disk(images, tmp_path, option, name, capsys):
    (tmp_path / name).symlink_to("/dev/full")
    assert track(images, option, tmp_path / name) == 2
    assert f"{tmp_path / name}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["track", "x.mp4", "--box", "1,2,3"], "expected four numbers x,y,w,h, got '1,2,3'"),
        (["track", "x.mp4", "--box", "a,b,c,d"], "expected four numbers x,y,w,h"),
        (["track", "x.mp4", "--box", BOX, "--boxes", "no/b.txt"], "a folder that exists"),
        (["dance"], "invalid choice: 'dance'"),
    ],
)
def test_ill_formed_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


HEAVY = {"torch", "numpy", "cv2", "pandas", "scipy", "dask", "matplotlib", "IPython"}


@pytest.mark.parametrize(
    "program",
    [
        "import trackerlib",
        "from trackerlib.__main__ import main; main(['--help'])",
        "from trackerlib.__main__ import main; main(['run', '--help'])",
        "from trackerlib.__main__ import main; main(['dance'])",
    ],
    ids=["import", "help", "help of a command", "unknown command"],
)
def test_starting_loads_nothing_heavy(program):
    report = (
        f"import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules)); {program}"
    )
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=False
    )
    assert "trackerlib" in (loaded := set(done.stdout.rpartition("loaded ")[2].split()))
    assert not loaded & HEAVY


SLOW = """
import sys, time
from trackerlib.__main__ import main
from trackerlib.trackers import identity
def update(self, frame):
    print("frame", flush=True)
    time.sleep(0.05)
    return self.box
identity.Tracker.update = update
sys.exit(main())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs signals of Unix")
def test_track_that_is_interrupted_three_times_ends_as_after_the_first(images, tmp_path):
    boxes = tmp_path / "boxes.txt"
    options = ["track", images, "--box", BOX, "--tracker", "identity", "--boxes", boxes]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "frame\n"
    while process.poll() is None:  # more than three: to the very end
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    out, error = process.communicate()
    assert (process.returncode, error) == (130, "")
    assert "interrupted: identity: " in out and f"wrote {boxes}" in out


def test_no_video_in_a_process_of_its_own(tmp_path):
    (tmp_path / "video.mp4").write_bytes(b"no video")
    command = [sys.executable, "-m", "trackerlib", "track", str(tmp_path / "video.mp4")]
    done = subprocess.run([*command, "--box", BOX], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "video.mp4" in done.stderr
    assert "error: read_video: expected a video" in done.stderr
    assert "Traceback" not in done.stderr


def test_data_list(otb, capsys):
    assert main(["data", "list", "--data", str(otb)]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["Left", "8"],
        ["Right", "8"],
    ]


def test_data_check(otb, capsys):
    assert main(["data", "check", "--data", str(otb)]) == 0
    assert "2 sequences, 0 problems" in capsys.readouterr().out
    assert main(["data", "check", "--data", str(otb), "--split", "Left,Couple"]) == 1
    assert "Couple" in capsys.readouterr().out
    assert main(["data", "check", "--data", "nowhere"]) == 2


def test_data_render(monkeypatch, tmp_path, capsys):
    from trackerlib.data import synthetic

    monkeypatch.setattr(synthetic, "ensure", lambda: tmp_path)
    assert main(["data", "render"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"


def test_data_fetch(tmp_path, capsys):
    assert main(["data", "fetch", "Nobody", "--data", str(tmp_path)]) == 2
    assert "expected targets of OTB-100" in capsys.readouterr().err


def test_data_fetch_prints_where(monkeypatch, tmp_path, capsys):
    from trackerlib.data import fetch

    monkeypatch.setattr(fetch, "fetch", lambda root, names: [root / name for name in names])
    assert main(["data", "fetch", "Couple", "Jogging-1", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/Couple\n{tmp_path}/Jogging-1\n"


def test_track_a_real_sequence(shared, tmp_path, capsys):
    boxes = tmp_path / "boxes.txt"
    source = shared / "otb" / "DragonBaby" / "img"
    given = ["--box", "159,82,56,65", "--tracker", "kcf", "--boxes", str(boxes)]
    assert main(["track", str(source), *given]) == 0
    assert len(boxes.read_text().splitlines()) == 113
