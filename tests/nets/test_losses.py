"""MSDAT's loss against loops over the paper's formulas, and by hand."""

import math

import pytest
import torch

from trackerlib.nets.losses import default_boxes, msdat_loss


def looped(predicted, centres, size):
    """Equations 1, 3 and 5 box by box: objectness and displacement."""
    losses, matches = [], 0
    for sample, (cx, cy) in zip(predicted, centres, strict=True):
        overlaps = {}
        for row in range(size):
            for column in range(size):
                dx, dy = cx - (column + 0.5) / size, cy - (row + 0.5) / size
                shared = max(0, 1 - abs(dx)) * max(0, 1 - abs(dy))
                overlaps[row, column] = shared / (2 - shared), 10 * dx, 10 * dy
        best = max(overlap for overlap, *_ in overlaps.values())
        for (row, column), (overlap, *displacement) in overlaps.items():
            x, y, background, target = sample[:, row, column].tolist()
            matched = overlap >= 0.5 or overlap == best
            total = math.log(math.exp(background) + math.exp(target))
            objectness = total - (target if matched else background)
            missed = sum(
                0.5 * d**2 if d < 1 else d - 0.5
                for d in (abs(a - b) for a, b in zip((x, y), displacement, strict=True))
            )
            losses.append((matched, objectness, missed if matched else 0))
            matches += matched
    negatives = sorted((each for matched, each, _ in losses if not matched), reverse=True)
    objectness = sum(each for matched, each, _ in losses if matched)
    objectness += sum(negatives[: 3 * matches])
    return objectness / matches, sum(missed for *_, missed in losses) / matches


@pytest.mark.parametrize("centres", [[[0.5, 0.5]], [[0.3, 0.6], [0.71, 0.2]], [[2.0, -1.0]]])
def test_it_equals_the_formulas_box_by_box(centres):
    torch.manual_seed(0)
    size, centres = 9, torch.tensor(centres, dtype=torch.float64)
    predicted = torch.randn(len(centres), 4, size, size, dtype=torch.float64)
    found = msdat_loss(predicted, *default_boxes(centres, size))
    expected = looped(predicted, centres.tolist(), size)
    torch.testing.assert_close(torch.stack(found), torch.tensor(expected, dtype=torch.float64))


def test_displacements_and_matches_by_hand():
    """On 4 units per side the first stands at 1/8; overlap 1/2 needs 2/3 in common."""
    displacement, matched = default_boxes(torch.tensor([[0.625, 0.375]]), 4)
    torch.testing.assert_close(displacement[0, :, 1, 2], torch.zeros(2))
    torch.testing.assert_close(displacement[0, :, 0, 0], torch.tensor([5.0, 2.5]))
    expected = torch.zeros(4, 4, dtype=torch.bool)
    for row, column in ((1, 2), (0, 2), (2, 2), (1, 1), (1, 3)):  # 3/4 in common; diagonal 9/16
        expected[row, column] = True
    assert torch.equal(matched[0], expected)


def test_a_target_off_the_window_still_has_its_best_box():
    _, matched = default_boxes(torch.tensor([[1.45, 0.125]]), 4)
    assert matched.nonzero().tolist() == [[0, 0, 3]]


def test_its_gradient_is_right():
    torch.manual_seed(1)
    predicted = torch.randn(1, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    boxes = default_boxes(torch.tensor([[0.4, 0.5]], dtype=torch.float64), 5)
    torch.autograd.gradcheck(lambda p: msdat_loss(p, *boxes), predicted)


def test_other_shapes_are_refused():
    boxes = default_boxes(torch.tensor([[0.5, 0.5]]), 4)
    with pytest.raises(ValueError, match=r"expected predictions \(1, 4, 4, 4\)"):
        msdat_loss(torch.zeros(1, 2, 4, 4), *boxes)
