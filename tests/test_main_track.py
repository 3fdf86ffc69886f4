"""The command `track` with what people bring: several targets, parts of videos, cameras."""

import csv
import functools
import http.server
import json
import sys
import threading
from fractions import Fraction

import cv2
import numpy as np
import pytest
from small_otb import write_otb

from trackerlib.__main__ import main

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
    return main(["track", str(source), "--box", box, "--device", "cpu", *map(str, options)])


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
    assert {(row["score"], row["lost"]) for row in rows(boxes)} == {("", "0")}


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
