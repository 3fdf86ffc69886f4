"""The benchmark in memory and on disk."""

import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from trackerlib.boxes import xywh_to_otb
from trackerlib.data.sequence import Sequence
from trackerlib.data.synthetic.renderer import jpeg, outline
from trackerlib.data.synthetic.scene import Scene
from trackerlib.data.synthetic.sequences_by_attribute import BY_ATTRIBUTE
from trackerlib.data.synthetic.sequences_mixed import MIXTURES
from trackerlib.paths import cache_dir, hash_bytes

SCENES = {make.__name__.capitalize(): make for make in (*BY_ATTRIBUTE.values(), *MIXTURES)}
DIFFICULTIES = {code: make.__name__.capitalize() for code, make in BY_ATTRIBUTE.items()}
MAX_SEVERITY = 2.0
HOUR = 3600  # seconds; far more than a rendering takes


@dataclass(frozen=True)
class Rendered:
    """Frames that are rendered when they are asked for; at severity 1 equal to the stored ones."""

    name: str
    severity: float

    @cached_property
    def scene(self) -> Scene:
        """Return what the frames show."""
        return SCENES[self.name](self.severity)

    def __reduce__(self) -> tuple[type["Rendered"], tuple[str, float]]:
        return Rendered, (self.name, self.severity)

    def __len__(self) -> int:
        return self.scene.frames

    def __getitem__(self, index: int) -> np.ndarray:
        index = range(len(self))[index]
        encoded = np.frombuffer(jpeg(self.scene, index), np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert image is not None  # the JPEG is whole: it was just made
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def names() -> list[str]:
    """Return the names of the sequences, in alphabetical order."""
    return sorted(SCENES)


def render(name: str, severity: float = 1.0) -> Sequence:
    """Return a sequence in memory, its difficulty turned to `severity` (0 to 2, 1 on disk).

    Boxes (T, 4) and visibility (T,) are exact: see `renderer.outline`.
    Raises ValueError for an unknown name or a severity out of range.
    """
    if name not in SCENES:
        raise ValueError(f"render: expected a name among {', '.join(names())}, got {name!r}")
    if not 0 <= severity <= MAX_SEVERITY:
        raise ValueError(f"render: expected a severity from 0 to {MAX_SEVERITY}, got {severity}")
    frames = Rendered(name, severity)
    boxes, visibility = _outlines(frames.scene)
    return Sequence(
        name,
        frames,
        boxes,
        np.arange(1, len(frames) + 1),
        visibility=visibility,
        attributes=frames.scene.attributes,
    )


def _outlines(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return the boxes (T, 4) and the visibility (T,) of a scene's target."""
    outlines = [outline(scene, index) for index in range(scene.frames)]
    return np.array([box for box, _ in outlines]), np.array([visible for _, visible in outlines])


def version() -> str:
    """Return a hash of the package's files: another renderer, another folder."""
    files = sorted(p for p in Path(__file__).parent.iterdir() if p.suffix in (".py", ".json"))
    return hash_bytes(b"".join(file.read_bytes() for file in files))[:12]


def ensure() -> Path:
    """Return the benchmark's folder in the cache, in OTB's format; render it if it is not there.

    It is rendered in a folder beside and renamed when complete, so that other processes find
    the whole benchmark or none, and of two processes that render at once one wins.
    Raises OSError, and leaves nothing behind, if the disk is full or read-only.
    """
    final = cache_dir() / f"embedded-{version()}"
    if final.is_dir():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final.parent)
        with tempfile.TemporaryDirectory(prefix=f"{final.name}.draft-", dir=final.parent) as draft:
            _render_all(Path(draft) / final.name)
            os.rename(Path(draft) / final.name, final)
    except OSError as error:
        if not final.is_dir():
            raise OSError(
                f"ensure: cannot write the embedded benchmark to {final} ({error}); "
                "free 100 MB there, or set TRACKERLIB_CACHE to another folder"
            ) from error
    return final


def _sweep(folder: Path) -> None:
    """Remove the drafts that killed renderings left behind: those older than an hour."""
    for draft in folder.glob("embedded-*.draft-*"):
        # Another process removes drafts too, or has just finished its own.
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > HOUR:
                shutil.rmtree(draft)


def _render_all(folder: Path) -> None:
    from tqdm import tqdm

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        written = pool.map(write, names(), [folder] * len(SCENES))
        list(tqdm(written, "rendering the embedded benchmark", len(SCENES), file=sys.stderr))


def write(name: str, folder: Path) -> None:
    """Render one sequence into folder/name: images, boxes, visibility, attributes.

    Boxes are 1-based x,y,w,h, as OTB writes them. OTB lacks the other two files.
    """
    scene = SCENES[name](1.0)
    boxes, visibility = _outlines(scene)
    images = folder / name / "img"
    images.mkdir(parents=True)
    for index in range(scene.frames):
        (images / f"{index + 1:04d}.jpg").write_bytes(jpeg(scene, index))
    np.savetxt(folder / name / "groundtruth_rect.txt", xywh_to_otb(boxes), "%.2f", ",")
    np.savetxt(folder / name / "visibility.txt", visibility, "%.4f")
    (folder / name / "attrs.txt").write_text(",".join(scene.attributes) + "\n")
