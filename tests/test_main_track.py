"""The command `track` with what people bring: several targets, parts of videos, cameras."""

import csv
import functools
import http.server
import json
import re
import sys
import threading
from fractions import Fraction

import cv2
import numpy as np
import pytest
from small_otb import write_otb

from trackerlib.__main__ import main
from trackerlib.data import open_dataset
from trackerlib.data.video import open_video
from trackerlib.trackers import Measured

av = pytest.importorskip("av", reason="needs PyAV")
BOX = "20,14,16,16"
TIMES = [0, 40, 100, 130, 300, 340, 370, 380]  # milliseconds, of a video of a variable rate


@pytest.fixture
def images(tmp_path):
    return write_otb(tmp_path / "otb") / "Left" / "img"


@pytest.fixture
def clip(images, tmp_path):
    """The images as a video of a variable rate."""
    paths = sorted(images.iterdir())
    with av.open(str(tmp_path / "clip.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for path, time in zip(paths, TIMES, strict=True):
            frame = av.VideoFrame.from_ndarray(cv2.imread(str(path)), format="bgr24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return tmp_path / "clip.mp4"


def track(source, *options, box=BOX):
    given = ["--box", box, "--tracker", "kcf", "--device", "cpu", *map(str, options)]
    return main(["track", str(source), *given])


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def frames(path):
    with av.open(str(path)) as file:
        return [(round(1000 * f.time), f.to_ndarray(format="rgb24")) for f in file.decode(video=0)]


def test_several_targets_have_a_colour_each(clip, tmp_path, capsys):
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.csv"
    assert track(clip, "--box", "2,2,10,10", "--out", out, "--boxes", boxes) == 0
    assert "kcf: 8 frames of clip, 2 targets at " in capsys.readouterr().out
    table = rows(boxes)
    assert [(row["frame"], row["target"]) for row in table[:4]] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "1"),
        ("2", "2"),
    ]
    image = frames(out)[0][1].astype(int)
    green, orange = image[14, 24:32].mean(0), image[12, 4:10].mean(0)
    assert green[1] > green[0] + 40 and orange[0] > orange[2] + 40


def test_times_of_a_variable_rate_go_into_both_files(clip, tmp_path):
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.csv"
    assert track(clip, "--out", out, "--boxes", boxes) == 0
    assert [time for time, _ in frames(out)] == TIMES
    assert [round(1000 * float(row["time"])) for row in rows(boxes)] == TIMES


def test_a_part_of_a_video(clip, tmp_path):
    out, boxes = tmp_path / "out.webm", tmp_path / "boxes.json"
    options = ["--start", 2, "--end", 7, "--stride", 2, "--out", out, "--boxes", boxes]
    assert track(clip, *options, "--tracker", "identity") == 0
    table = json.loads(boxes.read_text())
    assert [row["frame"] for row in table] == [2, 4, 6]
    assert [row["time"] for row in table] == [0.04, 0.13, 0.34]
    assert table[0] == {
        "frame": 2,
        "time": 0.04,
        **dict(zip("xywh", [20, 14, 16, 16], strict=True)),
        "score": None,
        "lost": None,
    }
    assert [time for time, _ in frames(out)] == [0, 90, 300]


def test_a_tracker_that_says_when_it_is_lost(images, tmp_path):
    boxes = tmp_path / "boxes.csv"
    assert track(images, "--tracker", "opencv:algorithm=mil", "--boxes", boxes) == 0
    first, *others = rows(boxes)
    assert (first["score"], first["lost"]) == ("", "0")
    assert all(0 <= float(row["score"]) <= 1 and row["lost"] == "0" for row in others)


def test_a_filter_has_a_score_and_says_when_it_is_lost(images, tmp_path):
    for path in sorted(images.iterdir())[5:]:
        cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    boxes = tmp_path / "boxes.csv"
    assert track(images, "--boxes", boxes) == 0
    table = rows(boxes)[1:]
    assert [row["lost"] for row in table[4:]] == ["1"] * 3  # grey
    scores = [float(row["score"]) for row in table]
    assert all(0 <= score <= 1 for score in scores) and max(scores[4:]) < min(scores[:4])


def test_motchallenges_numbers_count_from_one(images, tmp_path):
    boxes = tmp_path / "boxes.mot.txt"
    assert track(images, "--tracker", "identity", "--boxes", boxes) == 0
    assert boxes.read_text().splitlines()[1] == "2,1,21,15,16,16,1,-1,-1,-1"
    other = tmp_path / "boxes.dat"
    options = ["--boxes", other, "--boxes-format", "mot"]
    assert track(images, "--tracker", "identity", *options) == 0
    assert other.read_text() == boxes.read_text()


def test_a_phones_video_is_upright(clip, tmp_path):
    """Its header says to turn it by 90 degrees."""
    data = bytearray(clip.read_bytes())
    at = data.index(b"tkhd") + 44
    turned = [0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in turned)
    (tmp_path / "turned.mp4").write_bytes(data)
    out = tmp_path / "out.mp4"
    assert track(tmp_path / "turned.mp4", "--tracker", "identity", "--out", out) == 0
    assert frames(out)[0][1].shape == (64, 48, 3)
    image = frames(out)[0][1][14, 22:34].astype(int).mean(0)  # the box's upper edge
    assert image[1] > image[2] + 40


def test_alpha_and_16_bits_and_odd_sizes(tmp_path, capsys):
    for kind, channels, kind_of_values in (("alpha", 4, np.uint8), ("deep", 3, np.uint16)):
        folder = tmp_path / kind
        folder.mkdir()
        for number in range(5):
            image = np.random.default_rng(number).integers(0, 255, (49, 65, channels))
            cv2.imwrite(str(folder / f"{number}.png"), image.astype(kind_of_values))
        out = tmp_path / f"{kind}.mp4"
        assert track(folder, "--tracker", "identity", "--out", out) == 0
        found = frames(out)
        assert len(found) == 5 and found[0][1].shape == (50, 66, 3)
        assert "frames of 65x49 are padded to 66x50" in capsys.readouterr().err


class Camera:
    """Six frames of a camera that tells no times, in place of OpenCV's."""

    def __init__(self, source):
        self.source, self.left = source, 6

    def isOpened(self):  # noqa: N802
        return self.source == 0

    def get(self, _key):
        return 0.0

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, np.full((48, 64, 3), 40 * self.left, np.uint8)


def test_a_camera(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trackerlib.data.live.cv2.VideoCapture", Camera)
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.csv"
    options = ["--tracker", "identity", "--out", out, "--boxes", boxes]
    assert track("0", *options) == 0
    assert "identity: 6 frames of camera 0 at" in capsys.readouterr().out
    assert len(rows(boxes)) == len(frames(out)) == 6
    times = [float(row["time"]) for row in rows(boxes)]
    assert times == sorted(times)
    assert track("1", *options) == 2
    assert "that OpenCV can open, got 1; is it plugged in" in capsys.readouterr().err


def test_a_camera_that_vanishes(tmp_path, monkeypatch, capsys):
    """What was tracked so far is on disk, and is said."""
    monkeypatch.setattr("trackerlib.data.live.cv2.VideoCapture", Camera)
    out, boxes = tmp_path / "out.mp4", tmp_path / "boxes.csv"
    assert track("0", "--tracker", "identity", "--out", out, "--boxes", boxes) == 0
    printed = capsys.readouterr()
    assert "camera 0: gave no frame after frame 6: is it still plugged in?" in printed.err
    assert f"wrote {out} and {boxes}" in printed.out
    assert track("0", "--tracker", "identity", "--end", 6, "--boxes", boxes) == 0
    assert "gave no frame" not in capsys.readouterr().err
    assert track("0", "--tracker", "identity", "--start", 9, "--boxes", boxes) == 2
    assert "camera 0: expected a frame, the stream has ended" in capsys.readouterr().err


def test_without_a_box_it_is_drawn(clip, tmp_path, monkeypatch, capsys):
    shown = []

    def drawn(frame, another, say):
        shown.append(frame)
        return np.array([[20.0, 14, 16, 16], [2, 2, 10, 10]])

    monkeypatch.setattr("trackerlib.tracking.command.draw_boxes", drawn)
    boxes = tmp_path / "boxes.csv"
    options = ["--tracker", "identity", "--start", "3", "--boxes", str(boxes)]
    assert main(["track", str(clip), *options]) == 0
    assert [row["frame"] for row in rows(boxes)[:3]] == ["3", "3", "4"]
    assert [row["target"] for row in rows(boxes)[:3]] == ["1", "2", "1"]
    third = next(open_video(clip, start=3).timed())[2]
    np.testing.assert_array_equal(shown[0], third)


def test_a_camera_goes_on_from_the_frame_on_which_the_box_was_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr("trackerlib.data.live.cv2.VideoCapture", Camera)
    monkeypatch.setattr("trackerlib.data.live.BUFFERED", 1)
    seen = []

    def drawn(frame, another, say):
        seen.extend([frame[0, 0, 0], another()[0, 0, 0]])
        return np.array([[20.0, 14, 16, 16]])

    monkeypatch.setattr("trackerlib.tracking.command.draw_boxes", drawn)
    boxes = tmp_path / "boxes.csv"
    assert main(["track", "0", "--tracker", "identity", "--boxes", str(boxes)]) == 0
    assert seen == [200, 120]
    assert [row["frame"] for row in rows(boxes)] == ["3", "4", "5", "6"]


def test_without_a_box_a_terminal_or_a_browser(clip, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    monkeypatch.setattr("trackerlib.tracking.drawing.has_browser", lambda: False)
    assert main(["track", str(clip), "--tracker", "identity"]) == 2
    assert "give --box X,Y,W,H" in capsys.readouterr().err


def test_the_default_tracker_is_printed_with_the_others(images, monkeypatch, capsys):
    rows = [Measured("kcf", 0.4, 0.5, 400.0), Measured("mdnet", 0.7, 0.9, 0.1)]
    monkeypatch.setattr("trackerlib.tracking.choice.table", lambda: rows)
    assert main(["track", str(images), "--box", BOX, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"mdnet +0\.700 +~0\.\d\n", printed)
    assert re.search(r"kcf +0\.400 +[\d.]+  <- chosen\n", printed)
    assert "kcf: 8 frames of img" in printed


def test_a_preview_shows_every_frame(images, monkeypatch, capsys):
    shown, opened = [], []

    def show(page, image, targets):
        shown.append((image.shape, [one.target for one in targets]))

    monkeypatch.setattr("trackerlib.tracking.preview.Preview.show", show)
    monkeypatch.setattr("trackerlib.tracking.command.open_browser", opened.append)
    options = ["--tracker", "identity", "--preview", "--box", "2,2,10,10"]
    assert track(images, *options) == 0
    assert shown == [((48, 64, 3), [1, 2])] * 8
    assert f"preview: {opened[0]}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("60,40,-20,-10", "it is drawn backwards, give 40,30,20,10"),
        ("10,10,0,10", "with a width and height above 0, got 10,10,0,10"),
        ("64,0,10,10", "expected a box that overlaps the 64x48 frame"),
    ],
)
def test_a_box_that_cannot_be_meant(images, tmp_path, box, message, capsys):
    boxes = tmp_path / "boxes.csv"
    for tracker in ("kcf", "identity"):
        assert track(images, "--tracker", tracker, "--boxes", boxes, box=box) == 2
        assert message in capsys.readouterr().err
    assert not boxes.exists()


def test_an_address(images, tmp_path):
    source = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"MJPG"), 12, (64, 48))
    for path in sorted(images.iterdir()):
        writer.write(cv2.imread(str(path)))
    writer.release()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/clip.avi"
        boxes = tmp_path / "boxes.csv"
        assert track(address, "--end", 6, "--stride", 2, "--boxes", boxes) == 0
        server.shutdown()
    assert [row["frame"] for row in rows(boxes)] == ["1", "3", "5"]
    np.testing.assert_allclose(
        [float(row["time"]) for row in rows(boxes)], [0, 1 / 6, 1 / 3], atol=1e-6
    )


def test_a_sequence_of_a_data_set_begins_with_its_box(images, tmp_path, capsys):
    root, boxes, out = images.parents[1], tmp_path / "boxes.txt", tmp_path / "out.mp4"
    command = ["track", str(root), "--format", "otb", "--tracker", "identity"]
    assert main(command) == 2
    assert "expected one sequence, got 2 of" in (told := capsys.readouterr().err)
    assert "Left, Right; choose one with --split NAME" in told
    command += ["--split", "Left", "--boxes", str(boxes), "--out", str(out)]
    assert main([*command, "--start", "3", "--stride", "2"]) == 0
    truth = open_dataset(root, "Left", "otb").sequences[0].boxes
    np.testing.assert_array_equal(np.loadtxt(boxes, delimiter=","), [truth[2]] * 3)
    assert [time for time, _ in frames(out)] == [0, 80, 160]
    assert main([*command, "--box", BOX]) == 0
    assert boxes.read_text().startswith("20,14,16,16\n")


def test_a_bar_on_a_terminal_alone(images, monkeypatch, capsys):
    pytest.importorskip("tqdm")
    assert track(images, "--tracker", "identity") == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert track(images, "--tracker", "identity") == 0
    shown = capsys.readouterr().err
    assert "identity:" in shown and "/8" in shown and "frames/s" in shown


def test_without_pyav_the_cure_is_named(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    boxes = tmp_path / "boxes.txt"
    assert track(images, "--out", tmp_path / "out.mp4", "--boxes", boxes) == 2
    assert "pip install 'av>=18'" in capsys.readouterr().err
    assert len(boxes.read_text().splitlines()) == 8
