"""Which backbone separates a target from the rest of a frame: the linear probe, row by row.

    python -m benchmarks.backbones [--data FOLDER] [--rows TEXT ...] [--every N]

`trackerlib.analysis.linear_probe` says what is measured. A row is a layer of a backbone, or
features without one. Boxes are 3 x 3 bins, by RoIAlign, on one map of the whole frame. The
result of a row on a sequence is a file of the store, kept as soon as it is known and not
computed again; remove the store after a change of the probe. A row whose backbone has other
weights has other files.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from trackerlib import weights
from trackerlib.analysis.linear_probe import Result, probe_levels
from trackerlib.boxes import xywh_to_xyxy
from trackerlib.data import open_dataset
from trackerlib.data.crops import grey
from trackerlib.data.sequence import Sequence
from trackerlib.eval.statistics import summarise
from trackerlib.nets import vggm
from trackerlib.nets.backbone import Backbone, Tap
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.ops.hog import hog
from trackerlib.ops.roi_align import roi_align
from trackerlib.paths import draft_of

BINS = 3  # per side of a box
CELL = 4  # of HOG, pixels
PIXELS = 16  # side that a box is resized to in the row of raw pixels


class Pixels:
    """Boxes resized to a few pixels."""

    taps: ClassVar = {"rgb": Tap(1, 1, 0.5, 3)}

    def __call__(self, frame: np.ndarray, boxes: np.ndarray, layers: list[str]) -> list[Tensor]:
        """Return the features (K, D) of boxes (K, 4), as the other sources do."""
        image, size = torch.from_numpy(frame), (PIXELS, PIXELS)
        crops = crop_and_resize(image, torch.from_numpy(boxes).float(), size, antialias=True)
        return [crops.flatten(1)]


class Hog:
    """Gradient histograms of the whole frame."""

    taps: ClassVar = {"hog": Tap(CELL, 2 * CELL, CELL / 2, 31)}

    def __call__(self, frame: np.ndarray, boxes: np.ndarray, layers: list[str]) -> list[Tensor]:
        """Return the features (K, D) of boxes (K, 4), as the other sources do."""
        maps = hog(grey(torch.from_numpy(frame)), CELL)[None]
        return [pooled(maps, boxes, self.taps["hog"])]


class Levels:
    """The maps of a backbone, several from one pass."""

    def __init__(self, backbone: Backbone):
        self.backbone = backbone.eval()
        self.taps = backbone.taps
        # Backbones without padding have map positions at the border only if the frame goes on
        # beyond it.
        self.margin = int(np.ceil(max(tap.centre for tap in self.taps.values())))

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray, boxes: np.ndarray, layers: list[str]) -> list[Tensor]:
        """Return the features (K, D) of boxes (K, 4) of a frame (H, W, 3), layer by layer."""
        image = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
        image = pad(image, [self.margin] * 4, mode="replicate")
        moved = boxes + np.array([self.margin, self.margin, 0, 0])
        maps = self.backbone(image, *layers)
        return [pooled(m, moved, self.taps[name]) for m, name in zip(maps, layers, strict=True)]


def pooled(maps: Tensor, boxes: np.ndarray, tap: Tap) -> Tensor:
    """Return the features (K, C * BINS ** 2) of boxes (K, 4) on a map (1, C, h, w)."""
    corners = torch.from_numpy(xywh_to_xyxy(boxes) - tap.centre).float()
    rois = torch.cat((torch.zeros(len(corners), 1), corners), 1)
    maps = maps.contiguous(memory_format=torch.channels_last)
    return roi_align(maps, rois, BINS, 1 / tap.stride, sampling_ratio=2).flatten(1)


def untrained() -> Levels:
    """Return VGG-M as it is before any training."""
    torch.manual_seed(0)
    return Levels(vggm.VGGM(vggm.Config(dense=True)))


def trained(name: str, **config: Any) -> Levels:
    """Return a backbone of the registry of weights."""
    backbone = weights.load(name, **config)
    assert isinstance(backbone, Backbone)
    return Levels(backbone)


Source = Pixels | Hog | Levels
# Features that come together -> how to get them, and which of them are rows.
SOURCES: dict[str, tuple[Callable[[], Source], list[str]]] = {
    "pixels": (Pixels, ["rgb"]),
    "gradients": (Hog, ["hog"]),
    "untrained": (untrained, ["conv1", "conv2", "conv3"]),
    "vggm": (partial(trained, "vggm", dense=True), ["conv1", "conv2", "conv3"]),
    "squeezenet": (partial(trained, "squeezenet", depth="fire7"), ["fire3", "fire5", "fire7"]),
    "googlenet": (
        partial(trained, "googlenet", depth="inception_4a"),
        ["conv2", "inception_3a", "inception_3b", "inception_4a"],
    ),
    "vgg19": (partial(trained, "vgg19-conv3"), ["conv1_2", "conv2_2", "conv3_4"]),
}


class Row:
    """One level of one source: its files in the folder of a data set."""

    def __init__(self, name: str, level: str, source: Source, folder: Path):
        self.name = name
        self.level = level
        self.tap = source.taps[level]
        self.folder = folder / f"{name}{fingerprint(source)}"

    def path(self, sequence: str) -> Path:
        """Return the file of a sequence's result."""
        return self.folder / f"{sequence}.json"

    def keep(self, sequence: str, result: Result) -> None:
        """Write the result so that a file is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = {name: column.tolist() for name, column in vars(result).items()}
        with draft_of(self.path(sequence)) as draft:
            draft.write_text(json.dumps(columns))

    def scores(self, measure: str) -> dict[str, float]:
        """Return sequence -> mean over frames of `ap` or `iou`, of what is in the store."""
        files = sorted(self.folder.glob("[!.]*.json"))
        return {file.stem: float(np.mean(json.loads(file.read_text())[measure])) for file in files}


def fingerprint(source: Source) -> str:
    """Return what backbones with other weights or another configuration differ in."""
    if not isinstance(source, Levels):
        return ""
    digest = hashlib.sha256(repr(source.backbone.config).encode())
    for tensor in source.backbone.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return f"-{digest.hexdigest()[:8]}"


def compute(source: Source, rows: list[Row], sequence: Sequence, every: int) -> None:
    """Fill in what the store lacks of these rows on this sequence, in one pass."""
    missing = {row.level: row for row in rows if not row.path(sequence.name).exists()}
    if not missing:
        return
    levels = list(missing)

    def features(frame: np.ndarray, boxes: np.ndarray) -> dict[str, Tensor]:
        return dict(zip(levels, source(frame, boxes, levels), strict=True))

    for level, result in probe_levels(features, sequence, every).items():
        missing[level].keep(sequence.name, result)


def table(rows: list[Row], reference: str) -> None:
    """Print means with 95 % intervals, and the differences to the reference row."""
    columns = "AP", "AP - reference", "IoU", "IoU - reference"
    print(f"{'row':24}{'stride':>7}{'channels':>9}", "".join(f"{c:>24}" for c in columns), "  n")
    base = {row.name: row for row in rows}.get(reference)
    for row in rows:
        cells = []
        for measure in ("ap", "iou"):
            scores = row.scores(measure)
            others = base.scores(measure) if base else {}
            paired = {name: scores[name] - others[name] for name in scores.keys() & others.keys()}
            cells += [cell(scores), cell(paired)]
        head = f"{row.name:24}{row.tap.stride:7}{row.tap.channels:9}"
        print(head, "".join(f"{text:>24}" for text in cells), f"{len(scores):3}", flush=True)


def cell(scores: dict[str, float]) -> str:
    """Return the mean of scores, with its interval."""
    if not scores:
        return "-"
    summary = summarise(scores)
    return f"{summary.mean:.3f} [{summary.low:.3f}, {summary.high:.3f}]"


def written(rows: list[Row], path: Path, every: int) -> None:
    """Write what the book's figure is drawn from: means of every row on every sequence."""
    table = []
    for row in rows:
        ap, iou = row.scores("ap"), row.scores("iou")
        sequences = {name: {"ap": round(ap[name], 4), "iou": round(iou[name], 4)} for name in ap}
        shape = {"stride": row.tap.stride, "channels": row.tap.channels}
        table.append({"row": row.name, **shape, "sequences": sequences})
    about = (
        f"make bench-backbones, every {every} frames; trackerlib/analysis/linear_probe.py says "
        "what is measured"
    )
    path.write_text(json.dumps({"about": about, "rows": table}, indent=1) + "\n")


def main(words: list[str] | None = None) -> None:
    """Compute what the store lacks, print the table and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="embedded", help="data set in OTB's folder format")
    parser.add_argument("--split", default="all", help="of the data set, or names of sequences")
    parser.add_argument("--rows", nargs="*", default=[""], help="rows whose name holds a text")
    parser.add_argument("--every", type=int, default=1, help="frames from one scored to the next")
    parser.add_argument("--store", type=Path, default="build/backbones", help="folder of results")
    parser.add_argument("--reference", default="untrained.conv3", help="row to compare with")
    parser.add_argument("--table", action="store_true", help="compute nothing, show what is there")
    parser.add_argument("--json", type=Path, help="write the means of all sequences there")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    data = open_dataset(arguments.data, arguments.split)
    folder = arguments.store / data.name / f"every{arguments.every}"
    done = []
    for name, (load, layers) in SOURCES.items():
        levels = [t for t in layers if any(text in f"{name}.{t}" for text in arguments.rows)]
        if not levels:
            continue
        try:
            source = load()
        except (FileNotFoundError, ValueError) as error:
            print(f"{name} is left out: {error}")
            continue
        rows = [Row(f"{name}.{level}", level, source, folder) for level in levels]
        for sequence in () if arguments.table else data.sequences:
            compute(source, rows, sequence, arguments.every)
        done += rows
    table(done, arguments.reference)
    if arguments.json:
        written(done, arguments.json, arguments.every)


if __name__ == "__main__":
    main()
