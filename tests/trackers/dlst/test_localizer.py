"""The localizer: places and back, what it learns, what it keeps."""

import cv2
import numpy as np
import pytest
import torch

from trackerlib.boxes import centres
from trackerlib.data.otb import read_otb
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.trackers import dlst
from trackerlib.trackers.dlst.localizer import Localizer
from trackerlib.weights import inference

BOX = torch.tensor([140.0, 100.0, 40.0, 30.0], dtype=torch.float64)


def localizer(seed=0, **changes):
    backbone = inference.load("random", "cpu", "float32", 0, dense=False)
    return Localizer(backbone, dlst.Config(**changes), torch.Generator().manual_seed(seed))


def scene(dx=0, dy=0):
    """A red rectangle on blue and green noise, at BOX and moved from there."""
    pixels = np.random.default_rng(0).integers(0, 90, (240, 320, 3)).astype(np.uint8)
    pixels[..., 0] //= 4
    x, y, w, h = (int(v) for v in BOX)
    pixels[y + dy : y + dy + h, x + dx : x + dx + w] = 230, 60, 40
    return torch.from_numpy(pixels)


def trained(**changes):
    learner = localizer(**changes)
    learner.remember(scene(), BOX.repeat(8, 1), BOX)
    learner.fine_tune(1, 3e-3, 30)
    return learner


@pytest.fixture(scope="module")
def learner():
    """One that knows its target; to locate does not change it."""
    return trained(seed=0)


def test_the_map_is_as_large_as_the_papers():
    found = localizer()
    assert (found.tap.channels, found.size) == (96, 51)
    assert found.response(scene(), BOX).shape == (102, 102)


@pytest.mark.parametrize(("column", "row"), [(50.5, 50.5), (0, 101), (70, 20)])
def test_a_place_of_the_response_is_a_place_of_the_frame(column, row):
    """A pixel's place in the crop, step by step: map, crop, region, frame."""
    found = localizer().box_at(BOX, column, row)
    crop = np.array([3.5 + 2 * (v / 2 - 0.25) for v in (column, row)])
    expected = np.array([160, 115]) + (crop / 107 - 0.5) * 4 * np.array([40, 30])
    np.testing.assert_allclose(centres(found).numpy(), expected)
    np.testing.assert_array_equal(found[2:].numpy(), BOX[2:].numpy())


def test_the_middle_of_the_response_is_the_box():
    torch.testing.assert_close(localizer().box_at(BOX, 50.5, 50.5), BOX)


@pytest.mark.parametrize("shift", [(0, 0), (38, 0), (-30, 24)], ids=str)
def test_it_finds_what_it_learned_where_it_went(learner, shift):
    assert learner.losses[-1] < 0.3 < learner.losses[0]
    found, score = learner.locate(scene(*shift), BOX)
    moved = (centres(found) - centres(BOX)).numpy()
    assert np.abs(moved - shift).max() < 15 and score > 0


def test_regions_are_kept_with_the_target_where_it_is_in_them():
    learner = localizer()
    around = BOX + torch.tensor([[0.0, 0, 0, 0], [8, -6, 0, 0]])
    learner.remember(scene(), around, BOX)
    cells = learner.centres.table[:2]  # 160 pixels are 107 of the crop, two of which are a cell
    torch.testing.assert_close(cells[0], torch.tensor([25.0, 25.0]))
    expected = 25 - torch.tensor([8 * 107 / 160, -6 * 107 / 120]) / 2
    torch.testing.assert_close(cells[1], expected)


def test_only_the_latest_frames_are_learned_and_kept(monkeypatch):
    learner = localizer(long_term=3, first_regions=4, regions=2)
    for count in (4, 2, 2, 2, 2):
        learner.remember(scene(), BOX.repeat(count, 1), BOX)
    assert list(learner.maps.counts) == list(learner.centres.counts) == [2, 2, 2]
    assert len(learner.maps.table) == 8
    assert len(learner.maps.latest(2).rows) == len(learner.centres.latest(2).rows) == 4


def test_the_generator_decides_what_is_learned(learner):
    again, other = (trained(seed=seed).losses for seed in (0, 1))
    assert learner.losses == again != other


def test_a_frame_of_otb_is_located_as_by_hand(shared):
    """Every cell's scores in float64, another library's bicubic interpolation."""
    sequence = next(s for s in read_otb(shared / "otb") if s.name == "Couple")
    backbone = inference.load("vggm", "cpu", "float32", dense=False)
    learner = Localizer(backbone, dlst.Config(), torch.Generator().manual_seed(0))
    box = torch.from_numpy(sequence.boxes[0]).double()
    learner.remember(torch.from_numpy(sequence.frames[0]), box.repeat(8, 1), box)
    learner.fine_tune(1, 3e-3, 10)
    frame = torch.from_numpy(sequence.frames[5])
    x, y, w, h = box.tolist()
    region = torch.tensor([[x - 1.5 * w, y - 1.5 * h, 4 * w, 4 * h]]).double()
    crop = crop_and_resize(frame, region, (107, 107), fill=128.0, antialias=True)
    features = backbone(crop, "conv1")[0][0].numpy().astype(np.float64)
    first, bias, second, last = (p.detach().double().numpy() for p in learner.network.parameters())
    scores = np.zeros((51, 51))
    for row, column in np.ndindex(51, 51):
        hann = np.sin(np.pi * row / 50) ** 2 * np.sin(np.pi * column / 50) ** 2
        hidden = np.maximum(first @ (hann * features[:, row, column]) + bias, 0)
        background, target = second @ hidden + last
        scores[row, column] = target - background
    fine = cv2.resize(scores, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    found = learner.response(frame, box).numpy()
    np.testing.assert_allclose(found, fine, atol=1e-3 * np.abs(fine).max())
    place, score = learner.locate(frame, box)
    row, column = np.unravel_index(found.argmax(), found.shape)
    cell = (np.array([column, row]) - 0.5) / 2
    expected = np.array([x - 1.5 * w, y - 1.5 * h]) + np.array([w, h]) * 4 / 107 * (3.5 + 2 * cell)
    np.testing.assert_allclose(centres(place).numpy(), expected)
    assert score == pytest.approx(fine.max(), rel=1e-3)
