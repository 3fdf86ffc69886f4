"""Boxes of video frames to train on: positives, which hold the target, and negatives.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, section 3.2 and the authors' code.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 3.3.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from trackerlib.trackers.mdnet.samplers import over, with_iou
from trackerlib.trackers.rtmdnet import reachable_centres
from trackerlib.train.videos import MIN_BOX_SIDE, Video

FRAMES = 8  # of a video per batch, [1]
POSITIVES, NEGATIVES = 32, 96  # boxes per batch, of all its frames together, [1]
POSITIVE_IOU, NEGATIVE_IOU = 0.7, 0.5  # with the target: at least, at most; [2]
POSITIVE_RANGE, NEGATIVE_RANGE = (0.1, 1.3), (2.0, 1.6)  # translation and scale; authors' code
PREFETCHED = 4  # batches


class BoxSamples(NamedTuple):
    """A frame of a video, and the boxes of it that are trained on."""

    frame: np.ndarray  # (H, W, 3) uint8 RGB
    target: Tensor  # (4,)
    positives: Tensor  # (p, 4)
    negatives: Tensor  # (n, 4)


class Samples(IterableDataset):
    """Endless batches of boxes, the videos in a new order every round.

    scene      whether the boxes are from the scene around the target
    mined      negatives that are drawn for each that is trained on
    negatives  that are trained on, of FRAMES frames together, as positives

    Each is the number of the video and the `BoxSamples` of FRAMES frames.
    """

    def __init__(
        self,
        videos: list[Video],
        seed: int,
        scene: bool = False,
        mined: int = 1,
        positives: int = POSITIVES,
        negatives: int = NEGATIVES,
    ):
        self.videos = videos
        self.seed = seed
        self.scene = scene
        self.positives = positives
        self.negatives = negatives * mined

    def __iter__(self) -> Iterator[tuple[int, list[BoxSamples]]]:
        rng = np.random.default_rng(self.seed)
        generator = torch.Generator().manual_seed(self.seed)
        draw = partial(
            draw_boxes,
            rng=rng,
            generator=generator,
            scene=self.scene,
            positives=self.positives,
            negatives=self.negatives,
        )
        while True:
            # The authors' code too takes every video once before it takes one again.
            for number in rng.permutation(len(self.videos)).tolist():
                yield number, [draw(self.videos[number]) for _ in range(FRAMES)]

    def drawn_ahead(self) -> Iterator[tuple[int, list[BoxSamples]]]:
        """Return the same, drawn by another process while this one trains."""
        return iter(
            DataLoader(
                self,
                batch_size=None,
                num_workers=1,
                prefetch_factor=PREFETCHED,
                collate_fn=_unchanged,
            )
        )


def _unchanged(batch: Any) -> Any:
    return batch  # PyTorch's own would make tensors of the frames


def draw_boxes(
    video: Video,
    rng: np.random.Generator,
    generator: torch.Generator,
    scene: bool = False,
    positives: int = POSITIVES,
    negatives: int = NEGATIVES,
) -> BoxSamples:
    """Return a frame of a video with positives and negatives.

    scene      whether they are all from the scene around the target
    negatives  of FRAMES frames together, as positives
    """
    frame, box = video(rng)
    target = torch.from_numpy(box)
    region = reachable_centres(target) if scene else None
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
