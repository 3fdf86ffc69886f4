"""Videos in the folder format of TrackingNet, whole or one of its chunks.

    <root>/TRAIN_0/frames/<video>/0.jpg ...     or <root>/frames/<video>/ ...
    <root>/TRAIN_0/anno/<video>.txt             one row x, y, w, h per frame, in the test set
                                                of the first frame alone

Boxes are taken as they stand, 0-based: so does pytracking (evaluation/trackingnetdataset.py).

Mueller et al.: TrackingNet: a large-scale dataset and benchmark for object tracking in the wild.
ECCV 2018.
"""

from functools import partial
from pathlib import Path

from trackerlib.data.got10k import read_rows_of
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import Videos

__all__ = ["read", "videos"]


def videos(root: Path) -> Videos:
    """Return the videos of a folder, by name; none if it is of another format."""
    chunks = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    found: Videos = {}
    for chunk in chunks:
        for path in sorted(chunk.glob("anno/*.txt")) if (chunk / "frames").is_dir() else []:
            found[path.stem] = partial(read, chunk / "frames" / path.stem, path)
    return found


def read(images: Path, path: Path) -> list[Sequence]:
    """Read one video; of the test set only the first box is known, the others are NaN.

    Raises FileNotFoundError, or ValueError for rows that do not parse or are of another number.
    """
    if not images.is_dir():
        raise FileNotFoundError(f"{images}: expected a folder of images for {path.name}")
    return [read_rows_of(images, path, path.stem)]
