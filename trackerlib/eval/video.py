"""One target through one's own video: what is done is kept, whatever ends it.

A signal (Ctrl-C, kill, a terminal that is closed) or a tracker that crashes ends the tracking;
the boxes so far are written, and the annotated video is finished. Neither file depends on the
other: where one cannot be written, the other is. Boxes that cannot be written to their file at
the end are kept in another folder, which is named.
"""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.annotated_video import AnnotatedVideo
from trackerlib.data.sequence import Sequence
from trackerlib.eval.interrupts import Interrupts
from trackerlib.eval.protocols import Segment
from trackerlib.eval.store import Track, rows_text
from trackerlib.eval.tracking import Step, Tracker, follow
from trackerlib.paths import cache_dir, disk_cure, draft_of

__all__ = ["Followed", "follow_video", "save_boxes"]

ROW_BYTES = 4 * 24  # of a box in text: the longest that a float64 of a few thousand pixels takes


@dataclass(frozen=True)
class Followed:
    """What `follow_video` did and kept.

    track    boxes and seconds of the frames so far, and every warning: the reader's, the
             tracker's and the video's
    frames   number of frames of the whole sequence
    written  the files that are there now
    errors   a line for each file that could not be written; that of the boxes says where they
             are kept instead, or holds them where no other folder takes them either
    stopped  what ended the tracking before the last frame: an exception of the tracker, or
             KeyboardInterrupt
    """

    track: Track
    frames: int
    written: tuple[Path, ...]
    errors: tuple[str, ...]
    stopped: BaseException | None

    def summary(self, label: str, name: str) -> str:
        """Return a line on what was done, by which tracker and on which sequence."""
        of, began = "", ""
        if self.stopped:
            is_signal = isinstance(self.stopped, KeyboardInterrupt)
            began = "interrupted: " if is_signal else f"{type(self.stopped).__name__}: "
            of = f" of {self.frames}"
        files = " and ".join(map(str, self.written))
        return (
            f"{began}{label}: {len(self.track.boxes)}{of} frames of {name} at "
            f"{self.track.fps:.0f} frames per second{'; wrote ' if files else ''}{files}"
        )


def follow_video(
    tracker: Tracker,
    sequence: Sequence,
    boxes: Path | None = None,
    video: AnnotatedVideo | None = None,
) -> Followed:
    """Follow the target of a sequence's first box, and write what was found.

    boxes  text file to write: x,y,w,h, 0-based, a row per frame
    video  to write with the boxes drawn in

    Raises what ends the tracking before there is anything to keep: what `follow` raises on
    the first frame, OSError for a file of boxes that cannot be written, and what `video` does
    where it cannot be written and no boxes are asked for.
    """
    if boxes:
        _try_to_write(boxes, ROW_BYTES * len(sequence))
    kept, stopped = _Kept(boxes, video), None
    with Interrupts() as interrupts:
        try:
            _follow(tracker, sequence, kept, interrupts)
        except (Exception, KeyboardInterrupt) as error:
            if not kept.boxes:
                raise
            stopped = error
        with interrupts.held():
            written = kept.write()
    warnings = (*sequence.warnings, *kept.warnings, *(video.warnings if video else ()))
    track = Track(np.array(kept.boxes), np.array(kept.seconds), warnings)
    return Followed(track, len(sequence), tuple(written), tuple(kept.errors), stopped)


def _follow(tracker: Tracker, sequence: Sequence, kept: "_Kept", interrupts: Interrupts) -> None:
    for step in follow(tracker, sequence, Segment("ope", 0, sequence.boxes[0])):
        with interrupts.held():  # a frame's box and its picture, or neither
            kept.add(step)
        interrupts.check()


def save_boxes(path: Path, boxes: np.ndarray) -> None:
    """Write boxes (n, 4) as lines of x,y,w,h, 0-based, whole or not at all.

    Raises OSError with the cause and the cure.
    """
    try:
        with draft_of(path) as draft:
            draft.write_text(rows_text(boxes))
    except OSError as error:
        raise _refused(path, error) from error


class _Kept:
    """What there is to write so far."""

    def __init__(self, path: Path | None, video: AnnotatedVideo | None) -> None:
        self.boxes: list[np.ndarray] = []
        self.seconds: list[float] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self._path, self._video = path, video

    def add(self, step: Step) -> None:
        if self._video and not self.errors:
            try:
                self._video.write(step.frame, step.box)
            except (OSError, ValueError, cv2.error) as error:
                if not self._path:
                    raise
                self.errors.append(str(error))  # the boxes are still worth tracking for
        self.boxes.append(step.box)
        self.seconds.append(step.seconds)
        self.warnings += filter(None, [step.warning])

    def write(self) -> list[Path]:
        """Write both files -> those that are there; `errors` says why others are not."""
        written = []
        if self._path:
            try:
                save_boxes(self._path, np.array(self.boxes))
                written.append(self._path)
            except OSError as error:
                self.errors.append(f"{error}; {self._keep_elsewhere(written)}")
        if self._video and self._video.frames:
            try:
                self._video.close()
                written.insert(0, self._video.path)
            except (OSError, cv2.error) as error:
                self.errors.append(str(error))
        return written

    def _keep_elsewhere(self, written: list[Path]) -> str:
        """Save the boxes in the first folder that takes them -> a line that says where."""
        text = rows_text(np.array(self.boxes))
        for folder in (Path(tempfile.gettempdir()), cache_dir()):
            with contextlib.suppress(OSError):
                written.append(_new_file(folder, text))
                return f"the boxes are kept in {written[-1]}"
        return f"no other folder takes the boxes either, which are\n{text}"


def _new_file(folder: Path, text: str) -> Path:
    """Write a text whole into a new file of a folder. Raises OSError where it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(".txt", "boxes-", folder)
    try:
        with open(number, "w") as file:
            file.write(text)
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def _try_to_write(path: Path, size: int) -> None:
    """Raise OSError now rather than after hours, if a file of so many bytes cannot be written."""
    if path.exists() and not path.is_file():  # a device or a pipe
        return
    draft = path.with_name(f".{path.name}.draft-test")
    try:
        with draft.open("wb") as file:
            file.write(os.urandom(size))  # which no disk makes shorter
            file.flush()
            os.fsync(file.fileno())  # some disks say only now that they are full
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _refused(path: Path, error: OSError) -> OSError:
    cure = disk_cure(error)
    return OSError(f"cannot write {path}: {error.strerror or error}{'; ' if cure else ''}{cure}")
