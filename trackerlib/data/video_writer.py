"""A video file to write, frame by frame, each at its time.

The end of the name chooses the format: H.264 in MP4, VP9 in WebM, or GIF, which browsers, phones
and slides play; AVI and Windows Media for older programs. PyAV brings the encoders (FFmpeg's); it
is imported when the first video is opened.

An MP4 is written in fragments, so that a disk that fills up leaves what plays. Whole, it is
rewritten once with its header in front, and plays from a web server before all of it is there.
"""

import importlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from trackerlib.paths import disk_cure, draft_of

__all__ = ["FORMATS", "Format", "VideoWriter", "as_fraction", "load_encoders"]

# bf=0: without frames out of order, the first one's time is 0 in every container.
H264 = {"preset": "veryfast", "crf": "23", "bf": "0", "g": "60"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "34", "b": "0", "lag-in-frames": "0"}
FRAGMENTED = {"mp4", "mov"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
BLOCK = bytes(1 << 16)  # what is written to a disk to see whether it takes it
MIN_FPS, MAX_FPS = 0.001, 90_000.0  # outside, a rate is a broken header's
BT601 = 6  # FFmpeg's number of the matrix between RGB and YCbCr that OpenCV computes with
LIMITED = 1  # FFmpeg's number of the range 16 to 235


class Format(NamedTuple):
    """How files of one ending are written.

    muxer    FFmpeg's name of the container
    encoder  FFmpeg's name of the codec
    options  of the encoder
    ticks    per second, in which the container counts time; 0 where it takes any
    step     ticks that a frame lasts at least; browsers show a GIF's of 1 for 10
    is_even      whether the container has one rate, and no times
    is_paletted  whether a frame has 256 colours, and any size
    """

    muxer: str
    encoder: str
    options: dict[str, str]
    ticks: int = 0
    step: int = 1
    is_even: bool = False
    is_paletted: bool = False


FORMATS = {
    ".mp4": Format("mp4", "libx264", H264),
    ".m4v": Format("mp4", "libx264", H264),
    ".mov": Format("mov", "libx264", H264),
    ".mkv": Format("matroska", "libx264", H264, ticks=1000),
    ".webm": Format("webm", "libvpx-vp9", VP9, ticks=1000),
    ".gif": Format("gif", "gif", {}, ticks=100, step=2, is_paletted=True),
    ".avi": Format("avi", "libx264", H264, is_even=True),
    ".wmv": Format("asf", "wmv2", {"b": "8M"}, ticks=1000),
}


def as_fraction(fps: float) -> Fraction:
    """Return a rate as encoders want it: 239.762 as 119881 / 500, 29.97003 as 30000 / 1001."""
    return Fraction(min(max(fps, MIN_FPS), MAX_FPS)).limit_denominator(1001)


def load_encoders() -> Any:
    """Import PyAV and return it. Raises ImportError that names the cure where it is missing."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise ImportError(
            f"VideoWriter: expected PyAV to write a video with, got: {error}; pip install 'av>=18'"
        ) from error


class VideoWriter:
    """A video file, there when it is closed, or when its disk is full.

    path      its end is one of FORMATS; an existing file is replaced
    size      width, height of the frames; an odd one is padded by a repeated row or column, since
              H.264 and VP9 store colour for 2x2 pixels (GIF takes any)
    clock     ticks per second for the times of frames, where the container has none of its own
    rate      frames per second, for a container without times, and how long the last frame lasts
    frames    number of frames written; after an error, of those in the file that is left
    warnings  how the video differs from what was given

    Raises ValueError for an unknown ending or a missing codec, OSError where the disk refuses.
    """

    def __init__(self, path: Path, size: tuple[int, int], clock: Fraction, rate: float) -> None:
        self.path, self.frames, self.warnings = path, 0, list[str]()
        self.format = _format(path)
        self._av = load_encoders()
        self._rate = as_fraction(rate)
        self._clock = Fraction(self.format.ticks) or clock
        if self.format.is_even:
            self._clock = self._rate
        self._ticks = max(round(self._clock / self._rate), self.format.step)  # of a frame
        self._last = -self.format.step
        self._note(size, rate)
        self._file: Any = None
        self._stack = ExitStack()
        with ExitStack() as stack:  # which removes the draft of a file that cannot be opened
            self._draft = stack.enter_context(draft_of(path, path.suffix))
            with self._guarded():
                self._open(size)
            self._stack = stack.pop_all()

    def write(self, image: np.ndarray, time: float) -> None:
        """Add a frame (H, W, 3) uint8 RGB that is shown from `time` on, seconds from the first.

        Raises OSError if the disk takes no more; the frames so far are then at `path`.
        """
        pts = self.frames if self.format.is_even else round(time * self._clock)
        self._last = max(pts, self._last + self.format.step)  # no two frames at one time
        with self._guarded():
            frame = self._av.VideoFrame.from_ndarray(*_stored(image, self.format))
            frame.pts, frame.time_base, frame.duration = self._last, 1 / self._clock, self._ticks
            self._encode(frame)
        self.frames += 1

    def close(self) -> None:
        """Finish the file and put it in its place. Raises OSError as `write` does."""
        with self._guarded():
            self._encode(None)
            self._file.close()
            self._check()
            if self.format.muxer in FRAGMENTED and self._draft.is_file():
                self._put_header_first()
            self._stack.close()

    def _note(self, size: tuple[int, int], rate: float) -> None:
        width, height = size
        if not self.format.is_paletted and (width % 2 or height % 2):
            self.warnings.append(
                f"{self.path}: frames of {width}x{height} are padded to "
                f"{width + width % 2}x{height + height % 2}, since its codec takes even numbers; "
                "the boxes are as they were"
            )
        most = self.format.ticks / self.format.step or MAX_FPS
        if rate > most * (1 + 1e-6):
            self.warnings.append(
                f"{self.path}: plays at {most:g} frames per second, not {rate:.10g}, which its "
                "container has no times for; a name that ends in .mp4 keeps them"
            )

    def _open(self, size: tuple[int, int]) -> None:
        wanted, (width, height) = self.format, size
        if wanted.encoder not in self._av.codecs_available:
            raise ValueError(
                f"VideoWriter: expected a PyAV that has the encoder {wanted.encoder} for "
                f"{self.path}, {self._av.__version__} here has not; install its own wheel (pip "
                "install --force-reinstall --only-binary :all: av), or give another ending of "
                f"{', '.join(FORMATS)}"
            )
        if not self._draft.exists():  # no device or pipe: does the disk take a file at all?
            self._draft.write_bytes(BLOCK)
        # Errors of the disk are to come with the frame, and not 256 kB later.
        options = {"flush_packets": "1"} | (FRAGMENTS if wanted.muxer in FRAGMENTED else {})
        self._file = self._av.open(str(self._draft), "w", format=wanted.muxer, options=options)
        stream = self._file.add_stream(wanted.encoder, rate=self._rate)
        odd = (0, 0) if wanted.is_paletted else (width % 2, height % 2)
        stream.width, stream.height = width + odd[0], height + odd[1]
        stream.pix_fmt = "pal8" if wanted.is_paletted else "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / self._clock
        context.options = dict(wanted.options)  # PyAV empties it
        context.thread_count = 1  # the tracker has the others
        if not wanted.is_paletted:
            context.colorspace, context.color_range = BT601, LIMITED
        context.open()  # first: PyAV would offer the container's options to the encoder alone
        self._file.start_encoding()
        self._stream = stream
        self._palettes = _Palettes(self._av, size, 1 / self._clock)

    def _encode(self, frame: Any) -> None:
        """Encode a frame, None after the last."""
        frames = self._palettes.of(frame) if self.format.is_paletted else [frame]
        for one in frames:
            for packet in self._stream.encode(one):
                self._file.mux(packet)

    def _check(self) -> None:
        """Raise OSError if frames are missing: a disk may be full with the last ones, unsaid."""
        if not self._draft.is_file() or (count := self._readable()) == self.frames:
            return
        size = self._draft.stat().st_size
        try:  # the disk says why
            with self._draft.open("ab") as file:
                file.write(BLOCK)
        finally:
            os.truncate(self._draft, size)
        raise OSError(f"{count} of {self.frames} frames can be read from it")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Give errors a cause and a cure; what is written by then takes its place."""
        try:
            yield
        except (self._av.FFmpegError, OSError) as error:
            raise self._given_up(error) from error

    def _given_up(self, error: Exception) -> Exception:
        """Keep the frames that can be read -> the error to raise."""
        with suppress(self._av.FFmpegError, OSError, AttributeError):  # None is not open yet
            self._file.close()
        self.frames = self._readable() if self.frames else 0
        kept = f"; it has the first {self.frames} frames" if self.frames else ""
        # Without an error the draft takes its place; with one it is removed.
        leave = (None, None, None) if kept else (type(error), error, error.__traceback__)
        self._stack.__exit__(*leave)
        is_disk = isinstance(error, OSError)
        cure = disk_cure(error) if isinstance(error, OSError) else ""
        cause = getattr(error, "strerror", "") or error
        return (OSError if is_disk else ValueError)(
            f"VideoWriter: cannot write {self.path} whole: {cause}"
            f"{'; ' if cure else ''}{cure}{kept}"
        )

    def _readable(self) -> int:
        """Return how many frames the draft has, without the last fragment where it is cut."""
        if not self._draft.is_file():  # a device
            return 0
        if self.format.muxer in FRAGMENTED:
            os.truncate(self._draft, _whole_boxes(self._draft))
        errors = (self._av.FFmpegError, IndexError)  # the latter where there is no stream
        with suppress(*errors), self._av.open(str(self._draft)) as file:
            return sum(packet.size > 0 for packet in file.demux(video=0))
        return 0

    def _put_header_first(self) -> None:
        """Rewrite a file of fragments as one with its header in front; no frame is encoded."""
        front = self._draft.with_name(f"{self._draft.name}.front")
        options = {"movflags": "faststart"}
        try:
            with (
                self._av.open(str(self._draft)) as source,
                self._av.open(str(front), "w", format=self.format.muxer, options=options) as file,
            ):
                stream = file.add_stream_from_template(source.streams.video[0])
                for packet in filter(lambda one: one.size, source.demux(video=0)):
                    packet.stream = stream
                    file.mux(packet)
            os.replace(front, self._draft)
        except OSError as error:
            self.warnings.append(
                f"{self.path}: is left in fragments, which play too, since it could not be "
                f"rewritten with its header in front: {error.strerror or error}"
            )
        finally:
            front.unlink(missing_ok=True)


class _Palettes:
    """Frames for a GIF, each reduced to 256 colours of its own."""

    def __init__(self, av: Any, size: tuple[int, int], time_base: Fraction) -> None:
        self._av, self._graph = av, av.filter.Graph()
        source = self._graph.add_buffer(
            width=size[0], height=size[1], format="rgb24", time_base=time_base
        )
        split, sink = self._graph.add("split"), self._graph.add("buffersink")
        # Of each frame alone: none has to wait for the last.
        palette = self._graph.add("palettegen", "stats_mode=single")
        reduced = self._graph.add("paletteuse", "new=1:dither=bayer")
        source.link_to(split)
        split.link_to(palette, 0, 0)
        split.link_to(reduced, 1, 0)
        palette.link_to(reduced, 0, 1)
        reduced.link_to(sink)
        self._graph.configure()

    def of(self, frame: Any) -> Iterator[Any]:
        """Yield the frames that are ready once `frame` is in; None stands after the last."""
        self._graph.push(frame)
        with suppress(self._av.BlockingIOError, self._av.EOFError):
            while True:
                yield self._graph.pull()
        if frame is None:
            yield None


def _format(path: Path) -> Format:
    found = FORMATS.get(path.suffix.lower())
    if not found:
        raise ValueError(
            f"VideoWriter: expected a name that ends in {', '.join(FORMATS)}, got {path}; "
            "the ending chooses the format, and .mp4 plays everywhere"
        )
    return found


def _stored(image: np.ndarray, wanted: Format) -> tuple[np.ndarray, str]:
    """Return an image (H, W, 3) as the encoder takes it, and FFmpeg's name of that."""
    if wanted.is_paletted:
        return np.ascontiguousarray(image), "rgb24"
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), "yuv420p"


def _whole_boxes(path: Path) -> int:
    """Return the length of an MP4 up to its last whole fragment (a box `moof`, then `mdat`)."""
    size, whole, start = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while len(header := file.read(8)) == 8:
            start += max(int.from_bytes(header[:4], "big"), 8)
            if start <= size and header[4:] != b"moof":
                whole = start
            file.seek(start)
    return whole
