"""The benchmark in memory and on disk."""

import hashlib
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from trackerlib.boxes import xywh_to_otb
from trackerlib.data.cache import cache_dir
from trackerlib.data.embedded.film import jpeg, outline
from trackerlib.data.embedded.sequences import SHOTS
from trackerlib.data.embedded.shot import Shot
from trackerlib.data.sequence import Sequence

DIFFICULTIES = {
    "IV": "Spotlight",
    "SV": "Ride",
    "OCC": "Columns",
    "DEF": "Gymnast",
    "MB": "Handheld",
    "FM": "Ball",
    "IPR": "Saucer",
    "OPR": "Carton",
    "OV": "Visitor",
    "BC": "Coins",
    "LR": "Harbour",
}
HIGHEST_SEVERITY = 2.0


@dataclass(frozen=True)
class Rendered:
    """Frames that are rendered when they are asked for, equal to the stored ones."""

    shot: Shot

    def __len__(self) -> int:
        return self.shot.frames

    def __getitem__(self, index: int) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.shot.name}: frame {index} of {len(self)}")
        encoded = np.frombuffer(jpeg(self.shot, index % len(self)), np.uint8)
        return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def names() -> list[str]:
    """The sequences, in alphabetical order."""
    return sorted(SHOTS)


def render(name: str, severity: float = 1.0) -> Sequence:
    """A sequence in memory, its difficulty turned to `severity` (0 to 2, 1 on disk).

    Boxes (T, 4) and visibility (T,) are exact: see `film.outline`.
    Raises ValueError for an unknown name or a severity out of range.
    """
    if name not in SHOTS:
        raise ValueError(f"render: expected a name among {', '.join(names())}, got {name!r}")
    if not 0 <= severity <= HIGHEST_SEVERITY:
        raise ValueError(
            f"render: expected a severity from 0 to {HIGHEST_SEVERITY}, got {severity}"
        )
    shot = SHOTS[name](severity)
    boxes, visibility = zip(*(outline(shot, index) for index in range(shot.frames)), strict=True)
    return Sequence(
        name,
        Rendered(shot),
        np.array(boxes),
        np.arange(1, shot.frames + 1),
        visibility=np.array(visibility),
        attributes=shot.attributes,
    )


def version() -> str:
    """Hash of the package's files: another renderer, another folder."""
    files = sorted(p for p in Path(__file__).parent.iterdir() if p.suffix in (".py", ".json"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def ensure() -> Path:
    """The benchmark's folder in the cache, in OTB's format; rendered if it is not there.

    Written to a folder beside and renamed when complete: whoever looks finds the
    whole benchmark or none, and of two processes that render at once one wins.
    Raises OSError, and leaves nothing behind, if the disk is full or read-only.
    """
    final = cache_dir() / f"embedded-{version()}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{final.name}.", dir=final.parent))
    try:
        _render_all(draft)
        os.rename(draft, final)
    except OSError as error:
        if not final.is_dir():
            raise OSError(
                f"ensure: cannot write the embedded benchmark to {final} ({error}); "
                "free about 60 MB there, or set TRACKERLIB_CACHE to another folder"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def _render_all(folder: Path) -> None:
    from tqdm import tqdm

    with ProcessPoolExecutor() as pool:
        written = pool.map(write, names(), [folder] * len(names()))
        bar = tqdm(written, "rendering the embedded benchmark", len(names()), file=sys.stderr)
        for _ in bar:
            pass


def write(name: str, folder: Path) -> None:
    """Render one sequence into folder/name: images, boxes, visibility, attributes."""
    cv2.setNumThreads(1)
    sequence = render(name)
    images = folder / name / "img"
    images.mkdir(parents=True)
    for index in range(len(sequence)):
        (images / f"{index + 1:04d}.jpg").write_bytes(jpeg(sequence.frames.shot, index))
    np.savetxt(folder / name / "groundtruth_rect.txt", xywh_to_otb(sequence.boxes), "%.2f", ",")
    np.savetxt(folder / name / "visibility.txt", sequence.visibility, "%.4f")
    (folder / name / "attrs.txt").write_text(",".join(sequence.attributes) + "\n")
