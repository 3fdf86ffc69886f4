"""Trackers in other programs, which speak the TraX protocol over their input and output.

    trax:./my-tracker
    trax:python -m trackerlib trax kcf

Each tracker is a process of its own, started by `init` in the folder in which the specification
was read, and ended with the tracker. Frames go as paths of PNG files, or as pixels where the
program takes no paths, so that its time includes a few milliseconds of encoding. It is known by
its command and by the files that this names; a change elsewhere, say in a library that it loads,
does not make another tracker of it.

Written for vot-trax 4.0.2, which is imported where it is used.

Cehovin: TraX: the visual Tracking eXchange protocol and library. Neurocomputing 2017.
"""

import contextlib
import hashlib
import importlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackerlib.boxes import first_box, polygon_to_xywh
from trackerlib.checks import first_frame, next_frame

__all__ = ["EXAMPLE", "NAME", "TraxSpec", "TraxTracker", "parse_trax"]

NAME = "trax"
EXAMPLE = "trax:./my-tracker"
PATIENCE = 120.0  # seconds for one answer, the first included, which may load networks
SAID = 600  # characters of what a program wrote to its standard error, for a message


@dataclass(frozen=True)
class TraxSpec:
    """A command that starts a TraX tracker, in a folder."""

    label: str
    command: tuple[str, ...]
    folder: str

    def settings(self) -> dict[str, Any]:
        """Return what tells this tracker from others."""
        return {"tracker": NAME, "command": shlex.join(self.command)}

    def code(self) -> str:
        """Return a hash of the files that the command names, the program among them."""
        program = shutil.which(self.command[0], path=None)
        named = [Path(self.folder, word) for word in self.command]
        named += [Path(program)] if program else []
        files = sorted({path.resolve() for path in named if path.is_file()})
        found = hashlib.sha256()
        for path in files:
            found.update(path.read_bytes())
        return found.hexdigest()[:16]

    def build(self, device: str = "cpu", seed: int = 0) -> "TraxTracker":
        """Return a fresh tracker; the program settles its device and its random numbers itself."""
        return TraxTracker(self.command, self.folder)


def parse_trax(text: str) -> TraxSpec:
    """Return the specification of `trax:command`, with words as a shell separates them.

    Raises ValueError for no command, or a program that is not there.
    """
    command = tuple(shlex.split(text.partition(":")[2]))
    if not command:
        raise ValueError(f"parse: expected a command after trax:, got {text!r}; write {EXAMPLE}")
    if shutil.which(command[0]) is None:
        raise ValueError(
            f"parse: expected a program that can be run, got {command[0]!r} in {text!r}; give its "
            "path, and make it executable (chmod +x)"
        )
    return TraxSpec(text, command, os.getcwd())


class TraxTracker:
    """A tracker whose program runs from `init` on; a later `init` starts it anew.

    Raises ImportError without vot-trax, and RuntimeError where the program ends, is silent for
    PATIENCE seconds, or takes neither paths nor pixels.
    """

    def __init__(self, command: tuple[str, ...], folder: str) -> None:
        self._trax: Any = _library()
        self._command, self._folder = command, folder
        self._client: Any = None
        self._process: subprocess.Popen | None = None
        self._end = weakref.finalize(self, lambda: None)

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Start the program with a frame (H, W, 3) uint8 RGB and a box (4,) x, y, w, h."""
        target = first_box(box, first_frame(self, frame))
        self._start()
        regions = self._client.region_formats
        region = self._trax.Rectangle.create(*target.tolist())
        if "rectangle" not in regions:
            region = self._trax.Polygon.create(_corners(target))
        with self._answer():
            self._client.initialize(self._image(frame), [(region, {})], {})
        self.box = target

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Return the box (4,) in the next frame: of a polygon or mask, the one around it."""
        next_frame(self, frame)
        with self._answer():
            objects, _ = self._client.frame(self._image(frame), {}, [])
        if len(objects) != 1:
            raise RuntimeError(f"{self._where}: expected one region, got {len(objects)}")
        self.box = _bounds(objects[0][0])
        return self.box.copy()

    @property
    def _where(self) -> str:
        return f"trax: {shlex.join(self._command)}"

    def _start(self) -> None:
        self._end()
        self._images = tempfile.TemporaryDirectory(prefix="trackerlib-")
        self._said, self._sent = Path(self._images.name, "stderr.txt"), 0
        with self._said.open("wb") as said:
            process = subprocess.Popen(  # noqa: S603, the user's own command, without a shell
                self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
            )
        self._process = process
        self._end = weakref.finalize(self, partial(_end, process, self._images))
        assert process.stdin and process.stdout
        with self._answer():
            self._client = self._trax.client.Client(
                stream=(process.stdin.fileno(), process.stdout.fileno()),
                log=_ignored,  # without a function for it, 4.0.2 fails
            )

    def _image(self, frame: np.ndarray) -> dict[str, Any]:
        formats = self._client.image_formats
        if "path" in formats:
            for last in Path(self._images.name).glob("*.png"):
                last.unlink()
            self._sent += 1
            path = Path(self._images.name, f"{self._sent:08d}.png")
            bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(path), bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            return {"color": self._trax.FileImage.create(str(path))}
        if "memory" in formats:
            return {"color": self._trax.MemoryImage.create(np.ascontiguousarray(frame))}
        raise RuntimeError(f"{self._where}: expected a tracker of paths or pixels, got {formats}")

    @contextlib.contextmanager
    def _answer(self) -> Iterator[None]:
        """End the program where it does not answer; say what it wrote where it failed."""
        assert self._process
        late = threading.Event()

        def give_up(process: subprocess.Popen = self._process) -> None:
            late.set()
            process.kill()

        timer = threading.Timer(PATIENCE, give_up)
        timer.start()
        try:
            yield
        except self._trax.TraxException as error:
            why = f"no answer for {PATIENCE:g} s" if late.is_set() else str(error)
            _stop(self._process)  # then all is written
            said = self._last_words()
            self._end()
            raise RuntimeError(f"{self._where}: {why}{said}") from error
        finally:
            timer.cancel()

    def _last_words(self) -> str:
        text = self._said.read_text(errors="replace").strip()[-SAID:]
        return f"; the program wrote: {text}" if text else ""


def _library() -> Any:
    """Import vot-trax. Raises ImportError that names the cure."""
    try:
        importlib.import_module("trax.client")
        return importlib.import_module("trax")
    except ImportError as error:
        raise ImportError(
            f"trax: expected the package vot-trax, got: {error}; pip install vot-trax"
        ) from error


def _ignored(message: str) -> None:
    """Take what vot-trax would log."""


def _end(process: subprocess.Popen, folder: tempfile.TemporaryDirectory) -> None:
    """End a program and remove its images."""
    _stop(process)
    folder.cleanup()


def _stop(process: subprocess.Popen) -> None:
    """End a program: closing its input tells it; what does not hear is killed."""
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            stream.close()  # type: ignore[union-attr]
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _corners(box: np.ndarray) -> list[tuple[float, float]]:
    x, y, width, height = box.tolist()
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _bounds(region: Any) -> np.ndarray:
    """Return the box (4,) around a region; NaN where a mask is empty."""
    if region.type == "rectangle":
        return np.array(region.bounds(), dtype=np.float64)
    if region.type == "polygon":
        return polygon_to_xywh(np.array(list(region), dtype=np.float64).ravel())
    rows, columns = np.nonzero(region.array(normalize=True))
    if not len(rows):
        return np.full(4, np.nan)
    left, top = columns.min(), rows.min()
    return np.array([left, top, columns.max() + 1 - left, rows.max() + 1 - top], np.float64)
