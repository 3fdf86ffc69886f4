"""The embedded benchmark: what is on disk, exact boxes, severity, failures of the disk."""

import dataclasses
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackerlib.boxes import otb_to_xywh
from trackerlib.data import synthetic
from trackerlib.data.sequence import read_image
from trackerlib.data.synthetic import dataset, renderer
from trackerlib.data.synthetic.actors import Flat
from trackerlib.data.synthetic.scene import Actor, Camera
from trackerlib.data.synthetic.textures import Texture

ATTRIBUTES = {"IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR"}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty cache folder, for a benchmark of two short sequences."""
    monkeypatch.setenv("TRACKERLIB_CACHE", str(tmp_path))

    def short(name):
        return lambda severity: dataclasses.replace(ALL[name](severity), frames=4)

    monkeypatch.setattr(dataset, "SCENES", {name: short(name) for name in ("Saucer", "Visitor")})
    return tmp_path


ALL = dict(dataset.SCENES)


@pytest.fixture(scope="module")
def scenes():
    return {name: make(1.0) for name, make in ALL.items()}


def test_every_attribute_has_a_sequence_of_its_own_that_lists_it_first(scenes):
    assert set(synthetic.DIFFICULTIES) == ATTRIBUTES
    assert len(set(synthetic.DIFFICULTIES.values())) == len(ATTRIBUTES)
    for attribute, name in synthetic.DIFFICULTIES.items():
        assert scenes[name].attributes[0] == attribute


def test_the_sequences_are_many_long_and_large_enough(scenes):
    assert synthetic.names() == sorted(scenes) and len(scenes) >= 12
    for name, scene in scenes.items():
        assert scene.name == name and set(scene.attributes) <= ATTRIBUTES
        assert 60 <= scene.frames <= 120
        assert scene.size[0] >= 320 and scene.size[1] >= 240


def test_on_disk_is_what_otb_looks_like_and_what_render_gives(home):
    root = synthetic.ensure()
    assert root == home / f"embedded-{dataset.version()}"
    assert sorted(p.name for p in root.iterdir()) == ["Saucer", "Visitor"]
    for folder in root.iterdir():
        expected = synthetic.render(folder.name)
        images = sorted((folder / "img").iterdir())
        assert [p.name for p in images] == [f"{i:04d}.jpg" for i in (1, 2, 3, 4)]
        otb = np.loadtxt(folder / "groundtruth_rect.txt", delimiter=",")
        np.testing.assert_array_equal(otb_to_xywh(otb), expected.boxes)
        visible = np.loadtxt(folder / "visibility.txt")
        np.testing.assert_allclose(visible, expected.visibility, atol=5e-5)
        attributes = (folder / "attrs.txt").read_text().strip().split(",")
        assert tuple(attributes) == expected.attributes
        for path, index in zip(images, range(4), strict=True):
            np.testing.assert_array_equal(read_image(path), expected.frames[index])


def test_two_renderings_are_the_same_to_the_byte(home, monkeypatch):
    def contents(root):
        return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    first = synthetic.ensure()
    monkeypatch.setenv("TRACKERLIB_CACHE", str(home / "again"))
    second = synthetic.ensure()
    assert first != second
    assert contents(first) == contents(second) and len(contents(first)) == 14


def test_what_is_there_is_not_rendered_again(home, monkeypatch):
    root = synthetic.ensure()
    monkeypatch.setattr(dataset, "write", None)
    assert synthetic.ensure() == root


def test_another_renderer_writes_to_another_folder(home, monkeypatch, tmp_path):
    before = dataset.version()
    copy = tmp_path / "package"
    copy.mkdir()
    for file in Path(dataset.__file__).parent.glob("*.*"):
        (copy / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(dataset, "__file__", str(copy / "dataset.py"))
    assert dataset.version() == before
    with (copy / "renderer.py").open("a") as renderer_file:
        renderer_file.write("STEP = 3\n")
    assert dataset.version() != before


def test_a_full_disk_leaves_nothing_behind_and_says_what_to_do(home, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left.*TRACKERLIB_CACHE"):
        synthetic.ensure()
    assert list(home.iterdir()) == []


def test_drafts_of_killed_renderings_go_after_an_hour(home):
    for name, age in (("new", 60), ("old", 2 * dataset.HOUR)):
        draft = home / f"embedded-0123456789ab.draft-{name}"
        (draft / "Ball").mkdir(parents=True)
        os.utime(draft, (time.time() - age,) * 2)
    (home / "embedded-0123456789ab").mkdir()
    root = synthetic.ensure()
    left = {"embedded-0123456789ab", "embedded-0123456789ab.draft-new", root.name}
    assert {p.name for p in home.iterdir()} == left


def test_a_cache_that_cannot_be_made_is_an_error_with_a_cure(home, monkeypatch):
    (home / "file").write_text("not a folder")
    monkeypatch.setenv("TRACKERLIB_CACHE", str(home / "file" / "cache"))
    with pytest.raises(OSError, match="set TRACKERLIB_CACHE"):
        synthetic.ensure()


def test_the_slower_of_two_processes_takes_what_the_faster_one_made(home, monkeypatch):
    rename = os.rename

    def overtaken(source, target):
        (target / "Saucer").mkdir(parents=True)
        rename(source, target)

    monkeypatch.setattr(os, "rename", overtaken)
    root = synthetic.ensure()
    assert [p.name for p in home.iterdir()] == [root.name]
    assert [p.name for p in root.iterdir()] == ["Saucer"]


@pytest.mark.parametrize("name", sorted(ALL))
def test_boxes_are_the_tight_bounds_of_the_complete_target(name, scenes):
    scene = scenes[name]
    for index in (0, scene.frames // 2, scene.frames - 1):
        (x, y, w, h), visible = renderer.outline(scene, index)
        target = renderer.layer(scene, scene.target, index)
        whole = np.zeros((1500, 1500), bool)  # a frame that holds it wherever it went
        left, top = target.x + 500, target.y + 500
        rows, columns = target.alpha.shape
        whole[top : top + rows, left : left + columns] = target.alpha > 0.5
        assert (x, y, w, h) == tuple(
            np.array(cv2.boundingRect(whole.astype(np.uint8))) - (500, 500, 0, 0)
        )
        assert 8 <= w <= 260 and 8 <= h <= 160
        assert 0 <= visible <= 1


def test_the_box_is_where_the_picture_changes_when_the_target_is_taken_away(scenes):
    scene = dataclasses.replace(
        scenes["Saucer"], target=dataclasses.replace(scenes["Saucer"].target, shadow=None)
    )
    away = dataclasses.replace(
        scene, target=dataclasses.replace(scene.target, path=lambda f: (-900, 0, 1, 0))
    )
    for index in (0, 40, 89):
        changed = np.abs(renderer.light(scene, index) - renderer.light(away, index)).max(2) > 0.03
        x, y, w, h = renderer.outline(scene, index)[0]
        found = cv2.boundingRect(changed.astype(np.uint8))
        np.testing.assert_allclose(found, (x, y, w, h), atol=3)


def test_visibility_is_the_share_of_the_target_that_can_be_seen(scenes):
    visitor = [renderer.outline(scenes["Visitor"], f) for f in range(100)]
    width = scenes["Visitor"].size[0]
    for (x, _, w, _), visible in visitor:
        inside = x >= 0 and x + w <= width
        outside = x >= width or x + w <= 0
        assert visible == 1 if inside else visible == 0 if outside else 0 <= visible < 1
    assert min(v for _, v in visitor) == 0

    columns = [renderer.outline(scenes["Columns"], f)[1] for f in range(0, 120, 3)]
    assert min(columns) < 0.1 and max(columns) > 0.99


def test_easy_twins_lack_the_difficulty_and_nothing_else():
    def boxes(name, severity):
        return synthetic.render(name, severity).boxes

    def spread(values):
        return values.max() / values.min()

    areas = {s: np.prod(boxes("Ride", s)[:, 2:], axis=1) for s in (0.0, 1.0)}
    assert spread(areas[0.0]) < 1.25 and spread(areas[1.0]) > 10
    speed = {s: np.abs(np.diff(boxes("Ball", s)[:, :2], axis=0)).max() for s in (0.0, 1.0)}
    assert speed[0.0] <= 3 and speed[1.0] > 20
    assert np.prod(boxes("Harbour", 0.0)[0, 2:]) > 1500
    assert np.prod(boxes("Harbour", 1.0)[:, 2:], axis=1).mean() < 400
    for name in ("Spotlight", "Columns", "Handheld", "Coins"):  # the target moves the same way
        np.testing.assert_array_equal(boxes(name, 0.0), boxes(name, 1.0))
    for name in ("Columns", "Visitor"):
        np.testing.assert_array_equal(synthetic.render(name, 0.0).visibility, 1)


def test_severity_changes_the_light_and_the_blur():
    dim, sharp = (
        [synthetic.render(n, s).frames for s in (0, 1)] for n in ("Spotlight", "Handheld")
    )
    means = [np.std([frames[i].mean() for i in range(0, 90, 9)]) for frames in dim]
    assert means[1] > 5 * means[0]
    edges = [cv2.Laplacian(frames[35], cv2.CV_64F).var() for frames in sharp]
    assert edges[0] > 2 * edges[1]


def test_frames_are_rgb_bytes_that_can_be_sent_to_another_process(scenes):
    import pickle

    sequence = pickle.loads(pickle.dumps(synthetic.render("Saucer")))
    frame = sequence.frames[-1]
    assert frame.shape == (240, 320, 3) and frame.dtype == np.uint8
    assert frame[..., 0].mean() > frame[..., 2].mean() + 20  # the table is red, not blue
    with pytest.raises(IndexError):
        sequence.frames[90]


def test_unknown_names_and_severities_are_refused():
    with pytest.raises(ValueError, match=r"Ball, Carton.*got 'ball'"):
        synthetic.render("ball")
    with pytest.raises(ValueError, match=r"from 0 to 2.0, got 2.5"):
        synthetic.render("Ball", 2.5)


def test_a_square_lands_on_the_pixels_that_the_convention_says(scenes):
    square = Texture(np.ones((30, 30, 4), np.float32), (15, 15))  # 20 x 20 in the frame
    actor = Actor(Flat(square), lambda f: (100, 50, 1, 0))
    still = dataclasses.replace(scenes["Saucer"], target=actor, camera=Camera())
    np.testing.assert_array_equal(renderer.outline(still, 0)[0], (90, 40, 20, 20))
