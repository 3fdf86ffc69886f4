"""What is drawn from videos to train on: positives, negatives, the order of the videos."""

from functools import partial

import cv2
import numpy as np
import torch
from made_videos import VIDEOS, first_batches

from trackerlib.boxes import box_iou, centres
from trackerlib.trackers.mdnet.samplers import over, with_iou
from trackerlib.trackers.rtmdnet import reachable_centres
from trackerlib.train import samples
from trackerlib.train.samples import Samples, draw_boxes


def test_what_is_drawn_overlaps_as_it_should():
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for _ in range(4):
        shown = VIDEOS[0](rng)
        target = torch.from_numpy(shown[1])
        frame, _, positives, negatives = draw_boxes(lambda _, shown=shown: shown, rng, generator)
        assert frame is shown[0] and len(positives) == 4 and len(negatives) == 12
        assert box_iou(positives, target).min() >= samples.POSITIVE_IOU
        assert box_iou(negatives, target).max() <= samples.NEGATIVE_IOU


def test_boxes_are_drawn_by_the_constants_of_the_authors_code():
    """Positives, then a half of the negatives around the target and a half anywhere."""
    frame, target = VIDEOS[0](np.random.default_rng(0))
    drawn = draw_boxes(
        lambda _: (frame, target),
        np.random.default_rng(0),
        torch.Generator().manual_seed(0),
        positives=8 * 30,
        negatives=8 * 30,
    )
    target = torch.from_numpy(target)
    sampler = over(frame, samples.MIN_BOX_SIDE, torch.Generator().manual_seed(0))
    draws = (
        (partial(sampler.gaussian, target, 0.1, 1.3), 30, 0.7, 1),
        (partial(sampler.uniform, target, 2.0, 1.6), 15, 0, 0.5),
        (partial(sampler.everywhere, target, 1.6), 15, 0, 0.5),
    )
    by_hand = [with_iou(draw, target, *rest) for draw, *rest in draws]
    torch.testing.assert_close(drawn.positives, by_hand[0], rtol=0, atol=0)
    torch.testing.assert_close(drawn.negatives, torch.cat(by_hand[1:]), rtol=0, atol=0)


def test_negatives_are_mined_from_several_times_as_many():
    one, three = (Samples(VIDEOS, seed=0, mined=mined).draw(0, 0) for mined in (1, 3))
    assert [len(frame.negatives) for frame in one] == [12] * 8
    assert [len(frame.negatives) for frame in three] == [36] * 8


def test_every_video_comes_once_a_round():
    drawn = iter(Samples([*VIDEOS, VIDEOS[0]], seed=3))
    rounds = [sorted(next(drawn)[0] for _ in range(3)) for _ in range(4)]
    assert rounds == [[0, 1, 2]] * 4


def test_what_another_process_draws_is_the_same():
    ahead = Samples(VIDEOS, seed=1).drawn_ahead()
    for number, frames in first_batches(2):
        same, drawn = next(ahead)
        assert same == number
        for one, other in zip(frames, drawn, strict=True):
            np.testing.assert_array_equal(one.frame, other.frame)
            assert torch.equal(one.positives, other.positives)
            assert torch.equal(one.negatives, other.negatives)


def test_rtmdnets_boxes_lie_in_the_scene_around_the_target():
    for _, frames in first_batches(3, padding=1.2):
        for drawing in frames:
            low, high = reachable_centres(drawing.target)
            found = centres(drawing.negatives)
            assert (found >= low - 1e-9).all() and (found <= high + 1e-9).all()


def test_another_process_draws_after_opencv_has_had_threads_here():
    image, before = np.zeros((600, 800, 3), np.uint8), cv2.getNumThreads()
    cv2.setNumThreads(2)
    cv2.GaussianBlur(cv2.resize(image, (1200, 900)), (0, 0), 3)
    try:
        number, frames = next(Samples(VIDEOS, seed=1).drawn_ahead())
    finally:
        cv2.setNumThreads(before)
    assert number in (0, 1) and len(frames) == samples.FRAMES


def test_two_processes_draw_in_the_order_of_one():
    one, two = (Samples(VIDEOS, seed=2).drawn_ahead(workers) for workers in (1, 2))
    for _ in range(4):
        (number, frames), (same, others) = next(one), next(two)
        assert number == same
        np.testing.assert_array_equal(frames[0].frame, others[0].frame)


def test_a_batch_follows_from_its_number_alone():
    whole, later = Samples(VIDEOS, seed=2), Samples(VIDEOS, seed=2)
    later.first = 3
    drawn = iter(whole)
    number, frames = [next(drawn) for _ in range(4)][-1]
    same, others = next(iter(later))
    assert number == same and torch.equal(frames[7].negatives, others[7].negatives)
