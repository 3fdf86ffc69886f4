"""Where MSDAT's speed comes from: HCF, then step by step what makes MSDAT of it.

    python -m benchmarks.msdat --data FOLDER --split DragonBaby,Couple [--device cuda]

Per frame: milliseconds of the network, of the reduction of channels and of the rest (the
filter, with the resizing of maps), passes, and the share of frames with one. Frames are
in memory; the first ones, in which everything is compiled, do not count. The weights of
`vgg19-any` are random, as fast as any.

`--accuracy FOLDER` gives AUC and precision of HCF, MSDAT and five random eighths instead, with
the results in that folder; `--memory SPEC` the peak resident memory of 100 and of 500 frames.
`--curve CHECKPOINT` adds the learning of the layers, of a run of trackerlib.train.adaptation.
What is measured goes into the file of `--json`, beside what is there: data/msdat.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks import detection
from trackerlib import weights
from trackerlib.data import open_dataset
from trackerlib.eval.store import Store
from trackerlib.nets.adaptation import Adaptation, Config
from trackerlib.nets.vgg19 import VGG19
from trackerlib.ops import correlation_filter as cf
from trackerlib.trackers import parse
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
ABOUT = "benchmarks/msdat.py, on targets of OTB"
MAPS = (256, 56), (512, 28), (512, 14)  # channels and cells per side of VGG-19's three levels


class Stopwatch:
    """A function, and the seconds that were spent in it."""

    def __init__(self, function):
        self.function, self.seconds = function, 0.0

    def __call__(self, *arguments):
        began = now()
        answer = self.function(*arguments)
        self.seconds += now() - began
        return answer

    def __getattr__(self, name):
        return getattr(self.function, name)


def now() -> float:
    """Seconds, when the GPU has done what it was asked to."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def any_weights(folder: str) -> None:
    """Go on with the weights at hand, and random ones of VGG-19 and for all of its levels."""
    for file in registry.folder().glob("*"):
        Path(folder, file.name).symlink_to(file)
    os.environ["TRACKERLIB_WEIGHTS"] = folder
    torch.manual_seed(0)
    add = {"format": "safetensors", "network": "vgg19"}
    save_file(VGG19().state_dict(), f"{folder}/any")
    weights.add(f"{folder}/any", ANY, **add)
    config = {"backbone": ANY, "levels": BACKBONES[ANY]}
    save_file(Adaptation(Config(**config)).state_dict(), f"{folder}/layers")
    add = {"format": "safetensors", "network": "adaptation", "config": config}
    weights.add(f"{folder}/layers", f"{ANY}-msdat", **add)


class Timed:
    """A tracker under the stopwatch."""

    def __init__(self, text: str, device: str):
        self.tracker = parse(text).build(device)
        self.durations, self.passes = [], []

    def start(self, frames, box) -> None:
        self.tracker.init(frames[0], box)
        for frame in frames[1:]:
            self.tracker.update(frame)
        self.tracker.backbone = self.network = Stopwatch(self.tracker.backbone)
        self.tracker.reduce = self.reduction = Stopwatch(self.tracker.reduce)

    def update(self, frame) -> None:
        before, began = self.tracker.passes, now()
        self.tracker.update(frame)
        self.durations.append(now() - began)
        self.passes.append(self.tracker.passes - before)

    def row(self) -> dict:
        """Milliseconds per frame and passes."""
        parts = np.array([self.network.seconds, self.reduction.seconds]) / len(self.passes)
        return {
            "network": 1e3 * parts[0],
            "adaptation": 1e3 * parts[1],
            "filter": 1e3 * (np.mean(self.durations) - parts.sum()),
            "passes": float(np.mean(self.passes)),
            "once": float(np.mean(np.array(self.passes) == 1)),
        }


def measured(texts: list[str], sequence, device: str) -> list[dict]:
    """Trackers on one sequence, frame by frame in turn: what slows the machine slows all."""
    frames = list(islice(sequence.read(), 1 + WARM_UP + TIMED))
    timed = [Timed(text, device) for text in texts]
    for one in timed:
        one.start(frames[: 1 + WARM_UP], sequence.boxes[0])
    for frame in frames[1 + WARM_UP :]:
        for one in timed:
            one.update(frame)
    return [one.row() for one in timed]


def steps(backbone: str, levels: str, sequences, device: str) -> list[dict]:
    """A row for each of STEPS, means over the sequences."""
    end = f"backbone={backbone},levels={levels}"
    texts = [text.format(adaptation=f"{backbone}-msdat") + end for text in STEPS.values()]
    found = [measured(texts, sequence, device) for sequence in sequences]
    rows = []
    for name, step in zip(STEPS, zip(*found, strict=True), strict=True):
        row = {key: round(float(np.mean([f[key] for f in step])), 3) for key in step[0]}
        rows.append({"row": f"{backbone}: {name}"} | row)
        total = row["network"] + row["adaptation"] + row["filter"]
        first = sum(rows[0][part] for part in ("network", "adaptation", "filter"))
        print(
            f"{rows[-1]['row']:30}{row['network']:9.1f}{row['adaptation']:11.1f}"
            f"{row['filter']:9.1f}{1e3 / total:8.1f}{first / total:7.2f}x{row['passes']:8.2f}"
            f"{row['once']:7.0%}",
            flush=True,
        )
    return rows


def filters(device: str) -> list[dict]:
    """The filter alone, all channels against an eighth: as numpy has it, and the library."""
    rows = []
    for name, work in (("numpy, complex128", in_numpy), ("library", in_library)):
        times = []
        for share in (1, 8):
            maps = [torch.rand(c // share, n, n) for c, n in MAPS]
            maps = [m.double().numpy() if work is in_numpy else m.to(device) for m in maps]
            durations = []
            for _ in range(7):
                began = now()
                work(maps)
                durations.append(now() - began)
            times.append(1e3 * min(durations))
        rows.append({"row": name, "all": round(times[0], 2), "eighth": round(times[1], 2)})
        print(f"{name:20}{times[0]:9.1f}{times[1]:9.1f}{times[0] / times[1]:7.1f}x", flush=True)
    return rows


def in_numpy(maps):
    """A look and a lesson on every level."""
    for m in maps:
        for _ in range(2):
            spectrum = np.fft.fft2(m)
            kernel = (spectrum * spectrum.conj()).sum(0) / m.size
        np.fft.ifft2(kernel / (kernel + 1e-4))


def in_library(maps):
    for m in maps:
        size = tuple(m.shape[-2:])
        for _ in range(2):
            xf = cf.spectrum(m)
            kernel = cf.linear_correlation(xf, xf, size)
        cf.respond(cf.train(kernel, kernel, 1e-4), kernel, size)


def accuracy(dataset, folder: Path, backbones: list[str], workers: int) -> list[dict]:
    """Means over the sequences: all trackers on each backbone, and KCF; computes what is due."""
    specs = {}
    for backbone in backbones:
        specs[f"{backbone}: KCF"] = parse("kcf"), [0]
        common = "" if backbone == "vggm" else f"backbone={backbone},levels={BACKBONES[backbone]},"
        learned = common and f"{common}adaptation={backbone}-msdat"
        specs[f"{backbone}: HCF"] = parse(f"hcf:{common}".rstrip(":,")), [0]
        specs[f"{backbone}: MSDAT"] = parse(f"msdat:{learned}".rstrip(":")), [0]
        specs[f"{backbone}: random"] = parse(f"msdat:{common}adaptation=random"), DRAWS
    store = Store(folder)
    return [
        detection.tracked(name, spec, dataset, store, seeds, workers)
        for name, (spec, seeds) in specs.items()
    ]


def memory(text: str, sequence, frames: int) -> None:
    """Track so many frames, the sequence over and over; print the peak in MB."""
    tracker = parse(text).build()
    turns = islice(cycle(range(len(sequence))), frames)
    for turn, index in enumerate(turns):
        frame = sequence.frames[index]
        tracker.update(frame) if turn else tracker.init(frame, sequence.boxes[0])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peaks(text: str, arguments) -> None:
    """Of runs of 100 and 500 frames, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.msdat", "--data", arguments.data]
    command += ["--split", arguments.split, "--memory", text, "--frames"]
    found = [float(subprocess.check_output([*command, str(n)])) for n in (100, 500)]
    print(f"{text}: {found[0]:.0f} MB, {found[1]:.0f} MB, {found[1] / found[0] - 1:+.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = open_dataset(arguments.data, arguments.split)
    if arguments.frames:
        memory(arguments.memory, dataset.sequences[0], arguments.frames)
    elif arguments.memory:
        peaks(arguments.memory, arguments)
    elif arguments.curve:
        state = torch.load(arguments.curve, weights_only=True)
        keep(arguments.json, ABOUT, learned=state["curve"])
    elif arguments.accuracy:
        backbones = [backbone for backbone in arguments.backbones if backbone != ANY]
        rows = accuracy(dataset, arguments.accuracy, backbones, arguments.workers)
        keep(arguments.json, ABOUT, accuracy=rows)
    else:
        keep(arguments.json, ABOUT, **speed(dataset.sequences, arguments))


def keep(path: Path | None, about: str, **measured) -> None:
    """Put what was measured into a file; rows of the same name are replaced."""
    if path:
        found = json.loads(path.read_text()) if path.exists() else {"about": about}
        for part, rows in measured.items():
            names = {row.get("row") for row in rows}
            others = [row for row in found.get(part, []) if row.get("row") not in names]
            found[part] = others + rows
        path.write_text(json.dumps(found, indent=1) + "\n")


def speed(sequences, arguments) -> dict:
    """Print both tables, and return them."""
    with tempfile.TemporaryDirectory() as folder:
        any_weights(folder)
        columns = "network", "adaptation", "filter", "fps", "", "passes", "once"
        print(" " * 30, "{:>8}{:>11}{:>9}{:>8}{:>8}{:>8}{:>7}".format(*columns))
        named = [(backbone, BACKBONES[backbone]) for backbone in arguments.backbones]
        rows = [row for pair in named for row in steps(*pair, sequences, arguments.device)]
    print(f"{'filter alone':20}{'all':>9}{'eighth':>9}")
    alone = filters(arguments.device)
    return {"speed": rows, "filters": alone}


if __name__ == "__main__":
    main()
