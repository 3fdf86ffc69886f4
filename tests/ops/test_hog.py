"""HOG against its definition in scalar loops."""

import math

import numpy as np
import pytest
import torch

from trackerlib.ops.hog import CLIP, hog


def oracle(image: np.ndarray, cell: int) -> np.ndarray:
    """The definition, one pixel and one cell at a time, in float64."""
    rows, columns = image.shape
    h, w = rows // cell, columns // cell
    signed = np.zeros((18, h, w))
    for y in range(h * cell):
        for x in range(w * cell):
            up, down = max(y - 1, 0), min(y + 1, rows - 1)
            left, right = max(x - 1, 0), min(x + 1, columns - 1)
            dy = (image[down, x] - image[up, x]) / (down - up)
            dx = (image[y, right] - image[y, left]) / (right - left)
            bin_ = round(math.atan2(dy, dx) / (2 * math.pi / 18) + 1e-3) % 18
            for i in range(h):
                for j in range(w):
                    near_y = 1 - abs((y + 0.5) / cell - (i + 0.5))
                    near_x = 1 - abs((x + 0.5) / cell - (j + 0.5))
                    if near_y > 0 and near_x > 0:
                        signed[bin_, i, j] += near_y * near_x * math.hypot(dx, dy)
    unsigned = signed[:9] + signed[9:]
    channels = np.zeros((31, h, w))
    for i in range(h):
        for j in range(w):
            for k, (di, dj) in enumerate(((0, 0), (-1, 0), (0, -1), (-1, -1))):
                top, left = min(max(i + di, 0), h - 2), min(max(j + dj, 0), w - 2)
                block = unsigned[:, top : top + 2, left : left + 2]
                norm = math.sqrt((block**2).sum() + 1e-4 / 4)
                both = np.concatenate((signed[:, i, j], unsigned[:, i, j])) / norm
                both = both.clip(max=CLIP)
                channels[:27, i, j] += both / 2
                channels[27 + k, i, j] = both[:18].sum() * 0.2357
    return channels


@pytest.mark.parametrize(
    ("shape", "cell"),
    [((8, 8), 4), ((12, 20), 4), ((15, 18), 4), ((7, 9), 3), ((11, 30), 2), ((4, 5), 1)],
)
def test_equals_the_definition(shape, cell):
    image = np.random.default_rng(0).random(shape)
    expected = torch.from_numpy(oracle(image, cell)).float()
    torch.testing.assert_close(hog(torch.from_numpy(image).float(), cell), expected)


def test_steep_edges_are_clipped_like_the_definition():
    image = np.zeros((16, 16))
    image[:, 8:] = 1
    actual = hog(torch.from_numpy(image).float(), 4)
    torch.testing.assert_close(actual, torch.from_numpy(oracle(image, 4)).float())
    assert actual[0].max() == pytest.approx(2 * CLIP)  # four blocks, each clipped, halved


def test_a_view_counts_like_its_copy():
    wide = torch.rand(40, 60, generator=torch.Generator().manual_seed(0))
    view = wide.T[::2, 3:27]
    torch.testing.assert_close(hog(view, 4), hog(view.contiguous(), 4), rtol=0, atol=0)


def test_a_flat_image_has_no_gradients():
    torch.testing.assert_close(hog(torch.full((16, 12), 0.7), 4), torch.zeros(31, 4, 3))


def test_gradients_flow_after_a_call_in_inference_mode():
    with torch.inference_mode():
        hog(torch.rand(12, 12), 4)
    image = torch.rand(12, 12, requires_grad=True)
    hog(image, 4).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "image", [torch.rand(7, 20), torch.rand(3, 20, 20), torch.zeros(20, 20, dtype=torch.uint8)]
)
def test_what_is_no_grey_image_of_two_by_two_cells_is_refused(image):
    with pytest.raises(ValueError, match=r"hog: expected a float image \(H, W\) of at least 8"):
        hog(image, 4)


@pytest.mark.parametrize("cell", [0, -4, 4.0, True])
def test_a_cell_has_whole_pixels(cell):
    with pytest.raises(ValueError, match=rf"hog: expected cell in whole pixels, .*got {cell}"):
        hog(torch.rand(20, 20), cell)


@pytest.mark.parametrize(("direction", "expected"), [(1, 5), (-1, 14)])
def test_vertical_gradients_do_not_hang_on_the_last_bit(direction, expected):
    ramp = direction * torch.linspace(0, 0.5, 32)[:, None].expand(32, 32)
    noise = 1e-7 * torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(hog(ramp + noise), hog(ramp), atol=1e-4, rtol=0)
    assert (hog(ramp)[:18].argmax(0) == expected).all()
