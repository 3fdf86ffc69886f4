"""Boxes of video frames to train on: positives, which hold the target, and negatives.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.2 and the authors' code.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 3.3.
"""

import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import islice
from threading import Thread
from time import sleep
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from trackerlib.trackers.mdnet.samplers import over, with_iou
from trackerlib.trackers.rtmdnet import reachable_centres
from trackerlib.train.augmentation import Augmentation
from trackerlib.train.clips import MIN_BOX_SIDE
from trackerlib.train.videos import Video

FRAMES = 8  # of a video per batch, [1]
POSITIVES, NEGATIVES = 32, 96  # boxes per batch, of all its frames together, [1]
POSITIVE_IOU, NEGATIVE_IOU = 0.7, 0.5  # with the target: at least, at most; [2]
POSITIVE_RANGE, NEGATIVE_RANGE = (0.1, 1.3), (2.0, 1.6)  # translation and scale; authors' code
PREFETCHED = 4  # batches
CHECKED = 0.5  # seconds between which a process sees whether the one that it draws for lives


class BoxSamples(NamedTuple):
    """A frame of a video, and the boxes of it that are trained on."""

    frame: np.ndarray  # (H, W, 3) uint8 RGB
    target: Tensor  # (4,)
    positives: Tensor  # (p, 4)
    negatives: Tensor  # (n, 4)


class Samples(IterableDataset):
    """Endless batches of boxes, the videos in a new order every round.

    padding    of the scene around the target from which all boxes are; None: of the whole frame
    mined      negatives that are drawn for each that is trained on
    negatives  that are trained on, of FRAMES frames together, as positives

    shares, augmentation, first  attributes: weight and video numbers of each group, all videos in
    one unless others are given; what frames go through; number of the first batch that is yielded

    Each is the number of the video and the `BoxSamples` of FRAMES frames. A batch follows from
    the seed and its own number, whatever was drawn before it, and by how many processes.
    """

    def __init__(
        self,
        videos: list[Video],
        seed: int,
        padding: float | None = None,
        mined: int = 1,
        positives: int = POSITIVES,
        negatives: int = NEGATIVES,
    ):
        self.videos = videos
        self.seed = seed
        self.padding = padding
        self.positives = positives
        self.negatives = negatives * mined
        self.shares: list[tuple[float, list[int]]] = [(1.0, list(range(len(videos))))]
        self.augmentation = Augmentation()
        self.first = 0

    def order(self) -> Iterator[int]:
        """Yield the number of every batch's video, from batch 0 on.

        The group is drawn by its weight; within it, as in the authors' code, every video comes
        once before one comes again.
        """
        rng = np.random.default_rng(self.seed)
        weights = np.array([weight for weight, _ in self.shares])
        rounds = [_in_rounds(numbers, rng) for _, numbers in self.shares]
        while True:
            yield next(rounds[rng.choice(len(rounds), p=weights / weights.sum())])

    def draw(self, number: int, video: int) -> list[BoxSamples]:
        """Return the frames and boxes of the batch of this number, which is of this video."""
        rng = np.random.default_rng((self.seed, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        shown = self.augmentation.over(self.videos[video], rng)
        draw = partial(
            draw_boxes,
            padding=self.padding,
            positives=self.positives,
            negatives=self.negatives,
        )
        return [draw(shown, rng, generator) for _ in range(FRAMES)]

    def __iter__(self) -> Iterator[tuple[int, list[BoxSamples]]]:
        worker = get_worker_info()
        # Of two processes, one makes batches 0, 2, 4 and the other 1, 3, 5: they come in order.
        start, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number, video in islice(enumerate(self.order()), self.first + start, None, step):
            yield video, self.draw(number, video)

    def drawn_ahead(self, workers: int = 1) -> Iterator[tuple[int, list[BoxSamples]]]:
        """Return the same, drawn by other processes while this one trains."""
        return iter(
            DataLoader(
                self,
                batch_size=None,
                num_workers=workers,
                prefetch_factor=PREFETCHED,
                collate_fn=_unchanged,
                worker_init_fn=_begin,
            )
        )


def _in_rounds(numbers: list[int], rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(numbers).tolist()


def _begin(_: int) -> None:
    """Prepare a process that draws boxes."""
    # The learner has the other cores. Any number but 0 would wait for the end of OpenCV's threads,
    # which a process does not have that was forked from one that had some.
    cv2.setNumThreads(0)
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent has been killed: waiting to hand on a batch, it cannot."""
    while os.getppid() == parent:
        sleep(CHECKED)
    os.kill(os.getpid(), signal.SIGKILL)


def _unchanged(batch: Any) -> Any:
    return batch  # PyTorch's own would make tensors of the frames


def draw_boxes(
    video: Video,
    rng: np.random.Generator,
    generator: torch.Generator,
    padding: float | None = None,
    positives: int = POSITIVES,
    negatives: int = NEGATIVES,
) -> BoxSamples:
    """Return a frame of a video with positives and negatives.

    padding    of the scene around the target from which they all are; None: of the whole frame
    negatives  of FRAMES frames together, as positives
    """
    frame, box = video(rng)
    target = torch.from_numpy(box)
    region = None if padding is None else reachable_centres(target, padding=padding)
    sampler = over(frame, MIN_BOX_SIDE, generator, region)
    close = partial(sampler.gaussian, target, *POSITIVE_RANGE)
    inside = with_iou(close, target, positives // FRAMES, min_iou=POSITIVE_IOU)
    # Half of the negatives are around the target, half anywhere: 96 of 8 frames are 6 and 6.
    half = negatives // FRAMES // 2
    around = partial(sampler.uniform, target, *NEGATIVE_RANGE)
    everywhere = partial(sampler.everywhere, target, NEGATIVE_RANGE[1])
    background = [
        with_iou(around, target, half, max_iou=NEGATIVE_IOU),
        with_iou(everywhere, target, half, max_iou=NEGATIVE_IOU),
    ]
    return BoxSamples(frame, target, inside, torch.cat(background))
