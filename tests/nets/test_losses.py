"""The losses against loops over the papers' formulas, and by hand."""

import math
from itertools import product

import pytest
import torch

from trackerlib.nets.losses import (
    binary_loss,
    default_boxes,
    embedding_loss,
    msdat_loss,
)
from trackerlib.trackers.deeptrack.losses import structural_weights, truncated_l2
from trackerlib.trackers.dlst.losses import balanced_loss, disc_labels


def looped(predicted, centres, size):
    """Equations 1, 3 and 5 box by box: objectness and displacement."""
    losses, matches = [], 0
    for sample, (cx, cy) in zip(predicted, centres, strict=True):
        boxes = {}
        for row in range(size):
            for column in range(size):
                dx, dy = cx - (column + 0.5) / size, cy - (row + 0.5) / size
                shared = max(0, 1 - abs(dx)) * max(0, 1 - abs(dy))
                boxes[row, column] = shared / (2 - shared), 10 * dx, 10 * dy
        best = max(iou for iou, *_ in boxes.values())
        for (row, column), (iou, *displacement) in boxes.items():
            x, y, background, target = sample[:, row, column].tolist()
            matched = iou >= 0.5 or iou == best
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


def smooth(error):
    """Smooth L1 of one number."""
    return 0.5 * error**2 if abs(error) < 1 else abs(error) - 0.5


def as_printed(predicted, centres, size):
    """Section 3.2 box by box: smooth L1 of x, y in windows, and of both labels."""
    matched, missed, negatives = [], [], []
    for sample, (cx, cy) in zip(predicted.tolist(), centres, strict=True):
        boxes = {}
        for row, column in product(range(size), repeat=2):
            dx, dy = cx - (column + 0.5) / size, cy - (row + 0.5) / size
            shared = max(0, 1 - abs(dx)) * max(0, 1 - abs(dy))
            boxes[row, column] = shared / (2 - shared), dx, dy
        best = max(iou for iou, *_ in boxes.values())
        for (row, column), (iou, dx, dy) in boxes.items():
            x, y, background, target = (channel[row][column] for channel in sample)
            if iou >= 0.5 or iou == best:
                matched.append(smooth(background) + smooth(target - 1))
                missed.append(smooth(x - dx) + smooth(y - dy))
            else:
                negatives.append(smooth(background - 1) + smooth(target))
    hard = sorted(negatives, reverse=True)[: 3 * len(matched)]
    return (sum(matched) + sum(hard)) / len(matched), sum(missed) / len(matched)


@pytest.mark.parametrize("centres", [[[0.5, 0.5]], [[0.3, 0.6], [0.71, 0.2]]])
def test_msdats_losses_as_printed_box_by_box(centres):
    torch.manual_seed(0)
    size, centres = 9, torch.tensor(centres, dtype=torch.float64)
    predicted = 2 * torch.randn(len(centres), 4, size, size, dtype=torch.float64)
    boxes = default_boxes(centres, size, unit=1.0)
    found = torch.stack(msdat_loss(predicted, *boxes, objectness="smooth_l1"))
    expected = torch.tensor(as_printed(predicted, centres.tolist(), size), dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_another_objectness_is_refused():
    boxes = default_boxes(torch.tensor([[0.5, 0.5]]), 4)
    with pytest.raises(ValueError, match="objectness among softmax, smooth_l1, got 'hinge'"):
        msdat_loss(torch.zeros(1, 4, 4, 4), *boxes, objectness="hinge")


def test_displacements_and_matches_by_hand():
    """On 4 positions per side the first is at 1/8; an IoU of 1/2 needs 2/3 in common."""
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


def test_binary_loss_by_hand():
    targets = torch.tensor([[0.0, 2.0]])
    background = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.e) + math.log1p(math.exp(-1))) / 3
    torch.testing.assert_close(binary_loss(targets, background), torch.tensor(expected))


def formulas(scores, labels, domain):
    """RT-MDNet's equations 2, 4 and 5 term by term; a box's scores are (2, D)."""
    binary = embedding = 0.0
    for box, target in zip(scores.tolist(), labels, strict=True):
        domains = range(len(box[0]))
        y = [[0.0] * len(box[0]) for _ in range(2)]
        y[int(target)][domain] = 1.0
        for c in range(2):
            softmax = math.exp(box[c][domain]) / sum(math.exp(box[k][domain]) for k in range(2))
            binary -= y[c][domain] * math.log(softmax)
        for d in domains:
            softmax = math.exp(box[1][d]) / sum(math.exp(box[1][k]) for k in domains)
            embedding -= y[1][d] * math.log(softmax)
    return binary / len(scores), embedding / len(scores)


@pytest.mark.parametrize("domain", [0, 3])
def test_rtmdnets_losses_equal_the_formulas_term_by_term(domain):
    torch.manual_seed(0)
    scores = 3 * torch.randn(9, 5, 2, dtype=torch.float64)  # boxes, domains, classes
    positives, negatives = scores[:4], scores[4:]
    found = (
        binary_loss(positives[:, domain], negatives[:, domain]),
        embedding_loss(positives, domain, len(scores)),
    )
    expected = formulas(scores.mT, [True] * 4 + [False] * 5, domain)
    torch.testing.assert_close(torch.stack(found), torch.tensor(expected, dtype=torch.float64))


def test_the_embedding_loss_bears_any_score_and_has_its_softmaxs_gradient():
    positives = torch.tensor([[[0.0, 1e4], [0.0, -1e4]]], requires_grad=True)
    assert embedding_loss(positives, 0, 1).item() == 0
    assert embedding_loss(positives, 1, 1).item() == pytest.approx(2e4)
    positives = torch.zeros(1, 4, 2, requires_grad=True)
    embedding_loss(positives, 2, 2).backward()
    softmax = torch.tensor([0.25, 0.25, 0.25 - 1, 0.25]) / 2
    torch.testing.assert_close(positives.grad[0, :, 1], softmax)
    assert (positives.grad[..., 0] == 0).all()


def test_the_disc_holds_the_cells_within_its_radius():
    centres = torch.tensor([[2.0, 3.5], [-1.0, 0.0]])
    found = disc_labels(centres, 7, 2.5)
    for label, (x, y) in zip(found.tolist(), centres.tolist(), strict=True):
        for row, column in product(range(7), repeat=2):
            assert label[row][column] == (math.hypot(column - x, row - y) <= 2.5)


def test_dlsts_disc_is_as_large_as_the_paper_says():
    (label,) = disc_labels(torch.tensor([[25.0, 25.0]]), 51, 8.0)
    assert label[25].sum() == label[:, 25].sum() == 17 and label.sum() == 197


def test_both_classes_weigh_the_same_whatever_their_numbers():
    torch.manual_seed(0)
    scores = torch.randn(2, 4, 5, 2, dtype=torch.float64)
    labels = torch.zeros(2, 4, 5, dtype=torch.bool)
    labels[0, 1, 2] = labels[1, 0, :2] = True
    sums = {True: [], False: []}
    for pair, label in zip(scores.flatten(0, 2).tolist(), labels.flatten().tolist(), strict=True):
        right = math.exp(pair[label]) / sum(map(math.exp, pair))
        sums[label].append(-math.log(right))
    expected = sum(sum(each) / len(each) / 2 for each in sums.values())
    assert balanced_loss(scores, labels).item() == pytest.approx(expected)


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected scores \(1, 3, 2\) for labels \(1, 3\), got"):
        balanced_loss(torch.zeros(1, 2, 3), torch.zeros(1, 3, dtype=torch.bool))


def test_importance_and_labels_follow_the_formulas():
    """Equations 5 and 6 box by box; at an IoU of a half a patch is background of no importance."""
    ious = [0.0, 0.3, 0.5, 0.51, 0.8, 1.0]
    importance, labels = structural_weights(torch.tensor(ious, dtype=torch.float64))
    expected = [abs(2 / (1 + math.exp(-(o - 0.5))) - 1) for o in ious]
    torch.testing.assert_close(importance, torch.tensor(expected, dtype=torch.float64))
    assert labels.tolist() == [[float(o > 0.5), float(o <= 0.5)] for o in ious]
    assert round(float(importance.max()), 3) == 0.245


@pytest.mark.parametrize(("threshold", "factor"), [(0.0025, 3.0), (0.0025, 0.0), (0.0, 3.0)])
def test_small_errors_are_cut_and_those_of_the_target_later(threshold, factor):
    torch.manual_seed(0)
    errors = 0.05 * torch.randn(200, 2, dtype=torch.float64)
    labels = torch.eye(2, dtype=torch.float64)[torch.randint(2, (200,))]
    expected = []
    for error, label in zip(errors.tolist(), labels.tolist(), strict=True):
        square = error[0] ** 2 + error[1] ** 2
        expected.append(0.0 if square <= threshold / (1 + factor * label[0]) else square)
    found = truncated_l2(errors, labels, threshold, factor)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    cut = found == 0
    assert cut.any() == (threshold > 0) and not cut.all()


def test_norms_that_are_not_squared_are_cut_as_they_are():
    """Norms of 10 and 5, of background and of the target, for which the threshold is half."""
    errors = torch.tensor([[[6.0, -8.0], [3.0, 4.0]], [[6.0, 8.0], [3.0, 4.0]]])
    labels = torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    for threshold, expected in ((10, [[0, 0], [10, 0]]), (8, [[10, 0], [10, 5]])):
        found = truncated_l2(errors, labels, threshold, 1.0, squared=False)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))


def test_what_is_cut_has_no_gradient():
    errors = torch.tensor([[0.01, 0.02], [0.3, -0.1]], requires_grad=True)
    truncated_l2(errors, torch.tensor([[0.0, 1.0], [0.0, 1.0]]), 0.0025, 3.0).sum().backward()
    torch.testing.assert_close(errors.grad, torch.tensor([[0.0, 0.0], [0.6, -0.2]]))
