"""Where MSDAT's speed comes from: HCF, then step by step what makes MSDAT of it.

    python -m benchmarks.msdat --data FOLDER --split DragonBaby,Couple [--device cuda]

Per frame: milliseconds of the network, of the reduction of channels and of the rest (the
filter, with the resizing of maps), passes, and the share of frames with one. Frames are
in memory; the first ones, in which everything is compiled, do not count. The weights of
`vgg19-any` are random, as fast as any.

`--accuracy FOLDER` gives AUC and precision of HCF, MSDAT and five random eighths instead, with
the results in that folder; `--memory SPEC` the peak resident memory of 100 and of 500 frames.
`--curve CHECKPOINT` adds the training of the layers, of a run of trackerlib.train.adaptation.
What is measured goes into the file of `--json`, beside what is there: data/msdat.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks import detection
from trackerlib import weights
from trackerlib.analysis.profiler import Profiler, now
from trackerlib.data import Dataset, open_dataset
from trackerlib.data.sequence import Sequence
from trackerlib.eval.store import Store
from trackerlib.nets.adaptation import Adaptation, Config
from trackerlib.nets.vgg19 import CHANNELS, VGG19
from trackerlib.ops import correlation_filter as cf
from trackerlib.paths import draft_of
from trackerlib.trackers import SpecLike, hcf, parse
from trackerlib.weights import registry

ANY = "vgg19-any"
BACKBONES = {  # backbone -> levels
    "vggm": "conv1+conv2+conv3",
    "vgg19-conv3": "conv3_4",
    ANY: "conv3_4+conv4_4+conv5_4",
}
STEPS = {  # what is added to HCF, one after the other
    "HCF": "hcf:",
    "an eighth": "msdat:larger=0,adaptation={adaptation},",
    "and lazy: MSDAT": "msdat:adaptation={adaptation},",
}
DRAWS = range(5)  # seeds of the random eighth
WARM_UP, TIMED = 3, 40  # frames of every sequence
PARTS = "network", "adaptation", "filter"  # of a frame's time
ABOUT = "benchmarks/msdat.py, on targets of OTB"
MAPS = (256, 56), (512, 28), (512, 14)  # channels and cells per side of VGG-19's three levels


def use_random_weights(folder: str) -> None:
    """Go on with the weights at hand, and random ones of VGG-19 and for all of its levels."""
    for file in registry.folder().glob("*"):
        Path(folder, file.name).symlink_to(file)
    os.environ["TRACKERLIB_WEIGHTS"] = folder
    torch.manual_seed(0)
    save_file(VGG19().state_dict(), f"{folder}/any")
    weights.add(f"{folder}/any", ANY, format="safetensors", network="vgg19")
    config = {"backbone": ANY, "levels": BACKBONES[ANY]}
    layers = Adaptation(Config(ANY, BACKBONES[ANY]), CHANNELS)
    save_file(layers.state_dict(), f"{folder}/layers")
    weights.add(
        f"{folder}/layers",
        f"{ANY}-msdat",
        format="safetensors",
        network="adaptation",
        config=config,
    )


class Measured:
    """A tracker that has its target and is warm, and what its frames take."""

    def __init__(self, text: str, device: str, frames: list[np.ndarray], box: np.ndarray):
        tracker = parse(text).build(device)
        assert isinstance(tracker, hcf.Tracker)
        tracker.init(frames[0], box)
        for frame in frames[1:]:
            tracker.update(frame)
        self.tracker = tracker
        self.profiler = Profiler(tracker)
        self.passes: list[int] = []

    def update(self, frame: np.ndarray) -> None:
        """Track in one more frame (H, W, 3)."""
        before = self.tracker.passes
        self.profiler.update(frame)
        self.passes.append(self.tracker.passes - before)

    def row(self) -> dict[str, float]:
        """Return milliseconds per frame, passes per frame, and the share of frames with one."""
        stages = {"network": "map", "adaptation": "features", "filter": "rest"}
        seconds, frames = self.profiler.seconds, len(self.passes)
        return {
            **{name: 1e3 * seconds[stage] / frames for name, stage in stages.items()},
            "passes": float(np.mean(self.passes)),
            "once": float(np.mean(np.array(self.passes) == 1)),
        }


def measured(texts: list[str], sequence: Sequence, device: str) -> list[dict[str, float]]:
    """Return the rows of trackers on one sequence.

    They take turns frame by frame: what slows the machine slows all of them.
    """
    count = min(1 + WARM_UP + TIMED, len(sequence))
    frames = [sequence.frames[index] for index in range(count)]
    warm_up, timed = frames[: 1 + WARM_UP], frames[1 + WARM_UP :]
    trackers = [Measured(text, device, warm_up, sequence.boxes[0]) for text in texts]
    for frame in timed:
        for tracker in trackers:
            tracker.update(frame)
    return [tracker.row() for tracker in trackers]


def steps(
    backbone: str, levels: str, sequences: list[Sequence], device: str
) -> list[dict[str, Any]]:
    """Return and print a row for each of STEPS, means over the sequences."""
    end = f"backbone={backbone},levels={levels}"
    texts = [text.format(adaptation=f"{backbone}-msdat") + end for text in STEPS.values()]
    found = [measured(texts, sequence, device) for sequence in sequences]
    rows: list[dict[str, Any]] = []
    for name, step in zip(STEPS, zip(*found, strict=True), strict=True):
        row = {key: round(float(np.mean([f[key] for f in step])), 3) for key in step[0]}
        rows.append({"row": f"{backbone}: {name}"} | row)
        total, first = (sum(r[part] for part in PARTS) for r in (row, rows[0]))
        print(
            f"{rows[-1]['row']:30}{row['network']:9.1f}{row['adaptation']:11.1f}"
            f"{row['filter']:9.1f}{1e3 / total:8.1f}{first / total:7.2f}x{row['passes']:8.2f}"
            f"{row['once']:7.0%}",
            flush=True,
        )
    return rows


def filters(device: str) -> list[dict[str, Any]]:
    """Return the filter alone, all channels against an eighth: in numpy, and in the library."""
    rows: list[dict[str, Any]] = []
    for name, work in (
        ("numpy, complex128", in_numpy),
        ("library", partial(in_library, device=device)),
    ):
        times = []
        for share in (1, 8):
            maps = [torch.rand(c // share, n, n) for c, n in MAPS]
            times.append(min(work(maps) for _ in range(7)))
        rows.append({"row": name, "all": round(times[0], 2), "eighth": round(times[1], 2)})
        print(f"{name:20}{times[0]:9.1f}{times[1]:9.1f}{times[0] / times[1]:7.1f}x", flush=True)
    return rows


def in_numpy(maps: list[Tensor]) -> float:
    """Respond and update on every level (C, n, n); return the milliseconds."""
    arrays = [m.double().numpy() for m in maps]
    start = now()
    for m in arrays:
        for _ in range(2):
            spectrum = np.fft.fft2(m)
            kernel = (spectrum * spectrum.conj()).sum(0) / m.size
        np.fft.ifft2(kernel / (kernel + 1e-4))
    return 1e3 * (now() - start)


def in_library(maps: list[Tensor], device: str) -> float:
    """Do the same with the library's ops."""
    maps = [m.to(device) for m in maps]
    start = now()
    for m in maps:
        rows, columns = m.shape[-2:]
        size = rows, columns
        for _ in range(2):
            xf = cf.spectrum(m)
            kernel = cf.linear_correlation(xf, xf, size)
        cf.respond(cf.train(kernel, kernel, 1e-4), kernel, size)
    return 1e3 * (now() - start)


def accuracy(
    dataset: Dataset, folder: Path, backbones: list[str], workers: int
) -> list[dict[str, Any]]:
    """Return the rows of all trackers on each backbone, and KCF; track what is not yet in."""
    specs: dict[str, tuple[SpecLike, Iterable[int]]] = {}
    for backbone in backbones:
        specs[f"{backbone}: KCF"] = parse("kcf"), [0]
        common = "" if backbone == "vggm" else f"backbone={backbone},levels={BACKBONES[backbone]},"
        trained = common and f"{common}adaptation={backbone}-msdat"
        specs[f"{backbone}: HCF"] = parse(f"hcf:{common}".rstrip(":,")), [0]
        specs[f"{backbone}: MSDAT"] = parse(f"msdat:{trained}".rstrip(":")), [0]
        specs[f"{backbone}: random"] = parse(f"msdat:{common}adaptation=random"), DRAWS
    store = Store(folder)
    return [
        detection.tracked(name, spec, dataset, store, seeds, workers)
        for name, (spec, seeds) in specs.items()
    ]


def memory(text: str, sequence: Sequence, frames: int) -> None:
    """Track so many frames, the sequence over and over; print the peak in MB."""
    tracker = parse(text).build()
    turns = islice(cycle(range(len(sequence))), frames)
    for turn, index in enumerate(turns):
        frame = sequence.frames[index]
        if turn:
            tracker.update(frame)
        else:
            tracker.init(frame, sequence.boxes[0])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peaks(text: str, arguments: argparse.Namespace) -> None:
    """Print the peaks of runs of 100 and 500 frames, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.msdat", "--data", arguments.data]
    command += ["--split", arguments.split, "--memory", text, "--frames"]
    found = [float(subprocess.check_output([*command, str(n)])) for n in (100, 500)]
    print(f"{text}: {found[0]:.0f} MB, {found[1]:.0f} MB, {found[1] / found[0] - 1:+.1%}")


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="embedded", help="data set in OTB's folder format")
    parser.add_argument("--split", default="all", help="of the data set, or names of sequences")
    parser.add_argument("--backbones", nargs="*", default=list(BACKBONES), choices=BACKBONES)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--memory", metavar="SPEC", help="of a tracker, instead of its speed")
    parser.add_argument("--frames", type=int, help="of a single run for --memory")
    parser.add_argument("--accuracy", type=Path, metavar="FOLDER", help="of results")
    parser.add_argument("--workers", type=int, default=1, help="for --accuracy")
    parser.add_argument("--curve", type=Path, metavar="CHECKPOINT")
    return parser.parse_args()


def main() -> None:
    """Measure what is asked for."""
    given = arguments()
    torch.set_num_threads(given.threads)
    dataset = open_dataset(given.data, given.split)
    if given.frames:
        memory(given.memory, dataset.sequences[0], given.frames)
    elif given.memory:
        peaks(given.memory, given)
    elif given.curve:
        keep(given.json, ABOUT, learned=curve(given.curve))
    elif given.accuracy:
        backbones = [backbone for backbone in given.backbones if backbone != ANY]
        rows = accuracy(dataset, given.accuracy, backbones, given.workers)
        keep(given.json, ABOUT, accuracy=rows)
    else:
        keep(given.json, ABOUT, **speed(list(dataset.sequences), given))


def history(checkpoint: Path) -> list[dict[str, Any]]:
    """Return the points of a training's curves, see `train.trainer.Trainer.history`."""
    return torch.load(checkpoint, weights_only=True)["history"]


def curve(checkpoint: Path) -> list[dict[str, Any]]:
    """Return the history of the layers' training: of each level, objectness and displacement."""
    points = history(checkpoint)
    for point in points:
        for part in ("training", "held_out"):
            # "objectness loss/conv1", "objectness loss/conv2", ...: one quantity after the other.
            values = list(point[part].values())
            half = len(values) // 2
            point[part] = [list(pair) for pair in zip(values[:half], values[half:], strict=True)]
    return points


def keep(path: Path | None, about: str, **measured: list[dict[str, Any]]) -> None:
    """Put what was measured into a file; rows of the same name are replaced."""
    if path:
        found: dict[str, Any] = {"about": about}
        if path.exists():
            found = json.loads(path.read_text())
        for part, rows in measured.items():
            names = {row.get("row") for row in rows}
            others = [row for row in found.get(part, []) if row.get("row") not in names]
            found[part] = others + rows
        with draft_of(path) as draft:
            draft.write_text(json.dumps(found, indent=1) + "\n")


def speed(
    sequences: list[Sequence], arguments: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Print both tables, and return them."""
    with tempfile.TemporaryDirectory() as folder:
        use_random_weights(folder)
        columns = "network", "adaptation", "filter", "fps", "", "passes", "once"
        print(" " * 30, "{:>8}{:>11}{:>9}{:>8}{:>8}{:>8}{:>7}".format(*columns))
        named = [(backbone, BACKBONES[backbone]) for backbone in arguments.backbones]
        rows = [row for pair in named for row in steps(*pair, sequences, arguments.device)]
    print(f"{'filter alone':20}{'all':>9}{'eighth':>9}")
    alone = filters(arguments.device)
    return {"speed": rows, "filters": alone}


if __name__ == "__main__":
    main()
