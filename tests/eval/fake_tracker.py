"""A tracker whose behaviour is chosen, and small sequences for it to track."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.sequence import ImageFiles, Sequence
from trackerlib.eval.protocols import Segment

BOX = np.array([10.0, 8.0, 20.0, 16.0])


@dataclass(frozen=True)
class Fake:
    """A tracker's specification whose tracker does what `behaviour` names."""

    behaviour: str = "moves"
    version: str = "1"

    @property
    def label(self):
        return f"fake:behaviour={self.behaviour}"

    def settings(self):
        return {"tracker": "fake", "behaviour": self.behaviour}

    def code(self):
        return self.version

    def build(self, device="cpu", seed=0):
        return FakeTracker(self.behaviour, seed)


class FakeTracker:
    def __init__(self, behaviour="moves", seed=0):
        self.behaviour, self.seed = behaviour, seed

    def init(self, frame, box):
        if self.behaviour == "too small":
            raise ValueError("expected at least 5 pixels")
        self.box = box

    def update(self, frame):
        self.box += 0.1  # in place: neither the first box nor a prediction may follow
        if self.behaviour == "crashes" and frame.mean() > 150:
            raise RuntimeError("the frame is too bright")
        if self.behaviour == "slow":
            time.sleep(0.2)
        if self.behaviour == "dies" and frame.mean() > 150:
            os._exit(1)
        predictions = {
            "nan": np.full(4, np.nan),
            "three": self.box[:3],
            "nothing": None,
            "seed": np.array([self.seed % 1e6, 0, 1, 1]),
            "memory": np.array([resident(), 0, 1, 1]),
        }
        return predictions.get(self.behaviour, self.box)


def resident():
    """MiB of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sequence(folder, length=5, shade=100, size=(48, 64)):
    folder.mkdir()
    paths = [folder / f"{number:04d}.png" for number in range(1, length + 1)]
    cv2.imwrite(str(paths[0]), np.full((*size, 3), shade, np.uint8))
    for path in paths[1:]:
        path.hardlink_to(paths[0])
    boxes = np.tile(BOX, (length, 1))
    return Sequence(folder.name, ImageFiles(tuple(paths)), boxes, np.arange(1, length + 1))


WHOLE = Segment("ope", 0, BOX)


def replace_frame(sequence, index, content):
    """Frames are links to one file, so a frame is changed by a new file."""
    path = sequence.frames.paths[index]
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        cv2.imwrite(str(path), content)


def shade(sequence, value):
    for index in range(len(sequence)):
        replace_frame(sequence, index, np.full((48, 64, 3), value, np.uint8))
