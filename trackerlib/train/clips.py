"""Real clips to train on, of folders in any layout that `trackerlib.data` reads.

A clip that cannot be trained on is refused by name, not left out: whoever trains decides. Some
whole clips are held out, to validate on; what shares their images is held out with them.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from trackerlib.data import open_dataset
from trackerlib.data.rows import runs
from trackerlib.data.sequence import FrameError, ImageFiles, Sequence
from trackerlib.train.images import LabelledFrame

__all__ = ["HELD_OUT", "MIN_BOX_SIDE", "as_video", "hold_out", "known", "open_clips"]

MIN_BOX_SIDE = 8.0  # pixels
MIN_FRAMES = 2  # whose target is known: of one alone nothing about its changes can be learned
HELD_OUT = {  # name of a split -> its clips, about one in eight of each data set in a folder of 85
    "eighth": (
        *("davis_blackswan", "davis_camel", "davis_car-shadow", "davis_libby", "davis_parkour"),
        *("davis_soapbox", "dtb_BMX3", "uav_boat5", "uav_car10", "uav_person9", "uavdt_S1301"),
    )
}


def open_clips(
    folder: str | Path, split: str = "all", left_out: Iterable[str] = ()
) -> list[Sequence]:
    """Return the sequences of a folder, one for each target.

    split     as of `open_dataset`
    left_out  names of sequences that are not trained on

    Raises what `open_dataset` does, and ValueError, with the name of each, if there are clips
    that cannot be read, or whose boxes or frames cannot be trained on.
    """
    names = set(left_out)
    opened = open_dataset(folder, split)
    found = [sequence for sequence in opened.sequences if sequence.name not in names]
    wrong = {name: reason for name, reason in opened.missing.items() if name not in names}
    wrong |= {sequence.name: line for sequence in found if (line := problem(sequence))}
    if wrong:
        lines = "; ".join(f"{name}: {reason}" for name, reason in wrong.items())
        raise ValueError(
            f"open_clips: expected clips to train on in {folder}, got {lines}. Mend them, or "
            f"leave them out: --leave-out {','.join(wrong)}"
        )
    return found


def known(sequence: Sequence) -> np.ndarray:
    """Return the frames (n,) of which boxes are drawn.

    In them the target is visible, its box no speck, and the box's centre inside of the frame.
    """
    boxes = sequence.boxes
    usable = (boxes[:, 2:] >= MIN_BOX_SIDE).all(1)  # NaN is not
    if sequence.visibility is not None:
        usable &= sequence.visibility > 0
    if usable.any():
        height, width = sequence.frames[int(np.flatnonzero(usable)[0])].shape[:2]
        centres = boxes[:, :2] + boxes[:, 2:] / 2
        usable &= ((centres >= 0) & (centres <= (width, height))).all(1)
    return np.flatnonzero(usable)


def problem(sequence: Sequence) -> str | None:
    """Return why a clip cannot be trained on; None if it can."""
    boxes, numbers = sequence.boxes, sequence.frame_numbers
    there = (boxes[:, 2:] > 0).all(1)
    if len(sequence) < MIN_FRAMES:
        return f"it has one frame, expected {MIN_FRAMES} or more"
    if not there.any():
        return "it has no boxes"
    try:
        if lines := _sizes(sequence):
            return lines
        height, width = sequence.frames[0].shape[:2]
        outside = ((boxes[:, :2] >= (width, height)) | (boxes[:, :2] + boxes[:, 2:] <= 0)).any(1)
        if (outside & there).any():
            return (
                f"its boxes lie outside of its {width}x{height} frames in frames "
                f"{runs(numbers[outside & there].tolist())}"
            )
        usable = known(sequence)
    except FrameError as error:
        return str(error)
    if len(usable) < MIN_FRAMES:
        return (
            f"{len(usable)} of its frames show a target of {MIN_BOX_SIDE:g} pixels a side or more "
            f"whose centre is inside, expected {MIN_FRAMES}"
        )
    return None


def _sizes(sequence: Sequence) -> str | None:
    """Return which frame has another size than the first, from the headers of files."""
    if not isinstance(sequence.frames, ImageFiles):
        return None
    # Every file of a data set is asked: OpenCV would decode it, a hundred times as slow.
    from PIL import Image, UnidentifiedImageError

    first = None
    for number, path in zip(sequence.frame_numbers, sequence.frames.paths, strict=True):
        try:
            with Image.open(path) as image:
                size = image.size
        except (UnidentifiedImageError, OSError) as error:
            return f"frame {number} cannot be read: {error}"
        first = first or size
        if size != first:
            return (
                f"frame {number} is of {size[0]}x{size[1]} pixels, the first of "
                f"{first[0]}x{first[1]}"
            )
    return None


def hold_out(
    sequences: list[Sequence], names: Iterable[str]
) -> tuple[list[Sequence], list[Sequence]]:
    """Return the sequences to train on, and those of these names with all that share their images.

    Raises ValueError for a name that none has.
    """
    names = set(names)
    if unknown := sorted(names - {sequence.name for sequence in sequences}):
        raise ValueError(
            f"hold_out: expected names of clips to hold out, got {', '.join(unknown)}, which are "
            "not among those opened"
        )
    folders = {_place(sequence) for sequence in sequences if sequence.name in names}
    return (
        [sequence for sequence in sequences if _place(sequence) not in folders],
        [sequence for sequence in sequences if _place(sequence) in folders],
    )


def _place(sequence: Sequence) -> str:
    """Return the folder of a clip's images: several targets, or parts, of one video share it."""
    if isinstance(sequence.frames, ImageFiles):
        return str(sequence.frames.paths[0].parent)
    return sequence.name


def as_video(sequence: Sequence) -> Callable[[np.random.Generator], LabelledFrame]:
    """Return a video that shows one of the frames of `known`, with its box.

    It raises ValueError, with the names of clip and file, where a frame cannot be decoded.
    """
    return partial(_frame, sequence, known(sequence))


def _frame(sequence: Sequence, usable: np.ndarray, rng: np.random.Generator) -> LabelledFrame:
    index = int(rng.choice(usable))
    try:
        return sequence.frames[index], sequence.boxes[index]
    except FrameError as error:
        number = sequence.frame_numbers[index]
        raise ValueError(
            f"{sequence.name}, frame {number}: {error}; mend it, or --leave-out {sequence.name}"
        ) from error
