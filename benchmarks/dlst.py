"""DLST against its direct form: every crop through PyTorch's own layers by itself, in float32.

    python -m benchmarks.dlst --data FOLDER --split DragonBaby [--frames 12]

Both follow the target with the same seed. How much time does a frame take, and how far apart
are the boxes, in pixels of their edges?
"""

import argparse
import os
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import local_response_norm, max_pool2d

from benchmarks.msdat import keep
from trackerlib import weights
from trackerlib.boxes import xywh_to_xyxy
from trackerlib.data import open_dataset
from trackerlib.data.sequence import Sequence
from trackerlib.nets import vggm
from trackerlib.nets.backbone import Backbone
from trackerlib.trackers import dlst, parse
from trackerlib.trackers.mdnet.features import CropFeatures
from trackerlib.trackers.protocols import BoxFeatures, TrackerLike

ABOUT = "benchmarks/dlst.py, on targets of OTB"


class Alone:
    """What `Inference` does, without any of its means: a network of PyTorch's own layers."""

    dtype = torch.float32

    def __init__(self) -> None:
        backbone = weights.load("vggm", dense=False)
        assert isinstance(backbone, Backbone)
        self.backbone = backbone
        self.taps = backbone.taps

    @torch.no_grad()
    def __call__(self, images: Tensor, *layers: str) -> tuple[Tensor, ...]:
        """Return the maps of images (N, 3, H, W), one image after the other."""
        own = {"response_norm": own_norm, "pooled_response_norm": own_pooled_norm}
        with mock.patch.dict(vars(vggm), own):
            each = [self.backbone(image[None].contiguous(), *layers) for image in images]
        return tuple(torch.cat(maps) for maps in zip(*each, strict=True))


def own_norm(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """Return what `response_norm` does, as PyTorch computes it."""
    return local_response_norm(x, size, alpha * size, 0.75, k)


def own_pooled_norm(
    x: Tensor, size: int, alpha: float, k: float, kernel: int, stride: int
) -> Tensor:
    """Return what `pooled_response_norm` does, likewise."""
    return max_pool2d(own_norm(x, size, alpha, k), kernel, stride)


class Direct(dlst.Tracker):
    """DLST that cuts out and convolves one box after the other."""

    def _features(self) -> BoxFeatures:
        self.backbone = Alone()
        return OneByOne(self.backbone, feature_scale=self.config.feature_scale)


class OneByOne(CropFeatures):
    """`CropFeatures`, a box at a time."""

    def __call__(self, boxes: Tensor) -> Tensor:
        """Return the features (K, D) of boxes (K, 4)."""
        return torch.cat([super(OneByOne, self).__call__(box) for box in boxes.split(1)])


def followed(tracker: TrackerLike, sequence: Sequence, frames: int) -> tuple[np.ndarray, float]:
    """Return the boxes of so many frames, and the mean milliseconds of a frame.

    The first two do not count: in them, what is compiled is compiled.
    """
    tracker.init(sequence.frames[0], sequence.boxes[0])
    boxes = [tracker.update(sequence.frames[1])]
    images = [sequence.frames[index] for index in range(2, frames)]
    began = time.perf_counter()
    boxes += [tracker.update(image) for image in images]
    return np.array(boxes), 1e3 * (time.perf_counter() - began) / len(images)


def main() -> None:
    """Track in both ways, and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="data set in OTB's folder format")
    parser.add_argument("--split", default="DragonBaby", help="of the data set, or a sequence")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="write the row there")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    (sequence,) = open_dataset(given.data, given.split).sequences
    trackers: dict[str, TrackerLike] = {
        "direct": Direct(),
        "float32": parse("dlst:mode=float32").build(),
        "compiled": parse("dlst:mode=compiled").build(),
        "default": parse("dlst").build(),
    }
    tracked = {name: followed(t, sequence, given.frames) for name, t in trackers.items()}
    rows, (direct, slow) = [], tracked["direct"]
    for name, (boxes, spent) in tracked.items():
        apart = np.abs(xywh_to_xyxy(boxes) - xywh_to_xyxy(direct)).max(1)
        rows.append(
            {
                "row": f"{name}, {sequence.name}",
                "mean": round(spent, 1),
                "faster": round(slow / spent, 2),
                "apart": {
                    "median": round(float(np.median(apart)), 2),
                    "max": round(float(apart.max()), 2),
                },
            }
        )
        print(rows[-1], flush=True)
    keep(given.json, ABOUT, direct=rows)


if __name__ == "__main__":
    main()
