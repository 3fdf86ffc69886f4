"""Learn MSDAT's adaptation layers: which mixtures of a backbone's channels tell where a target is.

    python -m trackerlib.train.adaptation --backbone vggm --levels conv1+conv2+conv3 \\
        --photos FOLDER --out FOLDER --minutes 20

The backbone stays as it is. On each level a branch of its own learns, under a head that is
thrown away afterwards, to say for every place of a search window whether the target is
there and how far from it [1]. It begins as the projection onto the level's principal
components, which keeps the most of what a linear correlation filter sees. In the end all
mixtures are made equally loud, so that the filter listens to each.

Windows are cut out of films of the renderer's scenes that are not in the embedded
benchmark, and, with --photos, out of collages: photographs of these folders into which
those with a transparent ground are pasted. The backbone takes most of the time, so its maps
stay on a shelf and teach several times. The curve is in <out>/loss.png; a run that was
stopped goes on from <out>/checkpoint.pt, and the layers are written to
<out>/adaptation.safetensors:

    python -m trackerlib weights add <out>/adaptation.safetensors --name my-msdat \\
        --format safetensors --network adaptation --config backbone=vggm levels=conv1+conv2+conv3

[1] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017, sections 3.2 and 3.3.
"""

import argparse
import time
from collections import deque
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from trackerlib.boxes import centres
from trackerlib.data.crops import crop
from trackerlib.data.synthetic.dataset import SCENES
from trackerlib.nets.adaptation import KERNELS, Adaptation, Config
from trackerlib.nets.backbone import border, tiling
from trackerlib.nets.losses import default_boxes, msdat_loss
from trackerlib.train import images, trainer
from trackerlib.weights import inference, store

SIDE = 224  # what the backbone sees of a search window, pixels; as the tracker's
PADDING = 1.8  # of the search window, in targets; as the tracker's
REACH = 0.3  # how far from the middle a target stands at most, in windows
HELD_OUT = ("Carton", "Ride")  # scenes that measure, never teach
HOLD_OUT = 10  # of photographs and of cut-outs, one of so many measures
BATCH = 16  # windows per step
FRESH = 2  # of them new; the others have taught before
SHELF = 256  # windows whose maps are kept
SOLVED_ON = 48  # windows from which principal components and loudness are found
MEASURED_ON = 32  # windows of the held-out scenes
KERNEL = 7  # of the head, spread so that it covers the target
RATE = 0.002  # Adam's greatest, in root mean squares of the weights
HEAD_RATE = 1e-3
WARM_UP = 50  # steps
REPORT = 50  # steps between two points of the curve


class Window(NamedTuple):
    """A search window as the backbone sees it, and where in it the target is."""

    image: np.ndarray  # (seen, seen, 3) float32 RGB, 0 to 255
    centre: np.ndarray  # (2,) x, y of the target, in windows from the upper left corner


def window(rng: np.random.Generator, frame: np.ndarray, box: np.ndarray, around: int) -> Window:
    """Cut a search window out of a frame, the target anywhere up to REACH from its middle.

    around  pixels that the backbone needs beside the SIDE of the window
    """
    size = box[2:] * (1 + PADDING)
    offset = rng.uniform(-REACH, REACH, 2)
    span = np.rint(size * (1 + 2 * around / SIDE)).astype(int)
    left, top = np.floor(centres(box) - offset * size - span / 2).astype(int)
    seen = SIDE + 2 * around
    patch = crop(frame, int(left), int(top), *span.tolist()).numpy()
    way = cv2.INTER_AREA if span.min() > seen else cv2.INTER_LINEAR
    image = cv2.resize(patch, (seen, seen), interpolation=way)
    exact = (centres(box) - (left, top)) / span  # in spans
    centre = (exact - 0.5) * (seen / SIDE) + 0.5
    if rng.random() < 0.5:
        image, centre[0] = image[:, ::-1], 1 - centre[0]
    return Window(images.developed(rng, image), centre)


class Shelf:
    """Windows as the backbone sees them; their maps are kept as long as there is room.

    targets  endless frames with boxes
    """

    def __init__(self, backbone: inference.Inference, levels: list[str], targets, seed: int):
        self.backbone, self.levels, self.targets = backbone, levels, targets
        self.taps = [backbone.taps[level] for level in levels]
        self.around = border(self.taps, SIDE)
        self.rng = np.random.default_rng(seed)
        self.kept = deque(maxlen=SHELF)

    def put(self, count: int) -> None:
        """Look at so many new windows."""
        for _ in range(count):
            image, centre = window(self.rng, *next(self.targets), self.around)
            maps = self.backbone(torch.from_numpy(image).permute(2, 0, 1)[None], *self.levels)
            tiles = [
                tiling(m, tap, SIDE, self.around)[0].half()
                for m, tap in zip(maps, self.taps, strict=True)
            ]
            self.kept.append((tiles, torch.from_numpy(centre).float()))

    def take(self, chosen: Iterable[int]) -> tuple[dict[str, Tensor], Tensor]:
        """Level -> maps (N, C, n, n), and the targets' places (N, 2) in windows."""
        tiles, places = zip(*(self.kept[i] for i in chosen), strict=True)
        maps = [torch.stack(level).float() for level in zip(*tiles, strict=True)]
        return dict(zip(self.levels, maps, strict=True)), torch.stack(places)

    def sample(self) -> dict[str, Tensor]:
        """Maps of SOLVED_ON windows, or of as many as there are."""
        return self.take(range(min(SOLVED_ON, len(self.kept))))[0]

    def batch(self) -> tuple[dict[str, Tensor], Tensor]:
        """FRESH new windows, and others that have taught before."""
        self.put(FRESH if self.kept else BATCH)
        new = range(len(self.kept) - FRESH, len(self.kept))
        old = self.rng.choice(len(self.kept) - FRESH, BATCH - FRESH, replace=False)
        return self.take([*new, *old.tolist()])


@torch.no_grad()
def begin(layers: Adaptation, maps: dict[str, Tensor]) -> None:
    """Make every branch the projection onto its level's principal components.

    The largest components lie in turn in the 3x3 and the 5x5 filters, in the middle of
    them; the outputs have a mean square of 1, all channels together.
    """
    for level, features in maps.items():
        rows = features.transpose(0, 1).flatten(1)  # (C, units)
        values, vectors = torch.linalg.eigh((rows @ rows.T / rows.shape[1]).double())
        convolutions = getattr(layers, level).values()
        count = sum(convolution.out_channels for convolution in convolutions)
        scale = (values[-count:].mean()).rsqrt()
        strongest = (vectors.flip(1)[:, :count] * scale).T.float()
        for place, convolution in enumerate(convolutions):
            nn.init.zeros_(convolution.weight)
            nn.init.zeros_(convolution.bias)
            middle = convolution.kernel_size[0] // 2
            convolution.weight[:, :, middle, middle] = strongest[place :: len(KERNELS)]


@torch.no_grad()
def equalised(layers: Adaptation, maps: dict[str, Tensor]) -> Adaptation:
    """The same layers, each mixture with a mean square of 1 over the maps."""
    layers = deepcopy(layers)
    for level, features in maps.items():
        scale = layers(features, level).square().mean((0, 2, 3)).clamp(min=1e-12).rsqrt()
        convolutions = list(getattr(layers, level).values())
        parts = scale.split([convolution.out_channels for convolution in convolutions])
        for convolution, part in zip(convolutions, parts, strict=True):
            convolution.weight *= part[:, None, None, None]
            convolution.bias *= part
    return layers


def head(layers: Adaptation, level: str, units: int) -> nn.Conv2d:
    """Of the dashed block in [1], Fig. 3: displacement and two scores for every default box."""
    channels = sum(branch.out_channels for branch in getattr(layers, level).values())
    spread = max(1, round(units / (1 + PADDING) / (KERNEL - 1)))
    layer = nn.Conv2d(channels, 4, KERNEL, dilation=spread, padding=KERNEL // 2 * spread)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Course(trainer.Course):
    """The layers' and their heads'; the backbone does not learn."""

    parts, warm_up = ("layers", "heads", "optimiser"), WARM_UP

    def __init__(self, out: Path, seconds: float, config: Config, mode: str = "auto"):
        super().__init__(out, seconds, **asdict(config))
        self.backbone = inference.load(config.backbone, "cpu", mode)
        self.layers = Adaptation(config).to(memory_format=torch.channels_last)
        self.heads = nn.ModuleDict(
            {
                level: head(self.layers, level, self.units(level))
                for level in config.channels(store.backbone_channels(config.backbone))
            }
        )
        rates = {self.layers: RATE, self.heads: HEAD_RATE}
        self.optimiser = torch.optim.Adam(
            {"params": [parameter], "peak": rates[part]}
            for part in rates
            for parameter in part.parameters()
        )

    def units(self, level: str) -> int:
        """Per side of a search window."""
        return SIDE // self.backbone.taps[level].stride

    def begin(self, maps: dict[str, Tensor]) -> None:
        """Every branch becomes a projection; rates in proportion to its weights."""
        begin(self.layers, maps)
        for group in self.optimiser.param_groups:
            (parameter,) = group["params"]
            scale = float(parameter.detach().square().mean().sqrt())
            group["peak"] *= scale if scale else 1

    def losses(self, maps: dict[str, Tensor], places: Tensor) -> Tensor:
        """(levels, 2): objectness and displacement as in `msdat_loss`."""
        rows = []
        for level, features in maps.items():
            predicted = self.heads[level](self.layers(features, level))
            boxes = default_boxes(places, self.units(level))
            rows.append(torch.stack(msdat_loss(predicted, *boxes)))
        return torch.stack(rows)

    def learn(self, maps: dict[str, Tensor], places: Tensor) -> Tensor:
        """One step of Adam -> (levels, 2) losses."""
        missed = self.losses(maps, places)
        self.descend(missed.sum())
        return missed.detach()

    def save(self, maps: dict[str, Tensor]) -> None:
        """Write the checkpoint whole or not at all, the curve, and the layers `equalised`."""
        from safetensors.torch import save_file

        self.write()
        layers = equalised(self.layers, maps).state_dict()
        half = {name: tensor.half().contiguous() for name, tensor in layers.items()}
        save_file(half, self.out / "adaptation.safetensors")
        draw(self.curve, list(self.heads), self.out / "loss.png")


def learn(config: Config, folders: list[Path], out: Path, minutes: float) -> None:
    """Learn for so many minutes, all runs of this folder together; print and draw the curve."""
    out.mkdir(parents=True, exist_ok=True)
    run = Course(out, 60 * minutes, config)
    levels = config.levels.split("+")
    taught, apart = sources(folders)
    known = Shelf(run.backbone, levels, images.targets(0, *apart), seed=0)
    known.put(MEASURED_ON)
    if run.checkpoint.exists():
        run.resume()
    else:
        first = Shelf(run.backbone, levels, images.targets(1, *taught), seed=1)
        first.put(SOLVED_ON)
        run.begin(first.sample())
        run.report([torch.tensor(measured(run, first))], measured(run, known))
    seed = 2 + run.step
    shelf = Shelf(run.backbone, levels, images.targets(seed, *taught), seed)
    recent = []
    while run.spent < run.seconds:
        started = time.monotonic()
        recent.append(run.learn(*shelf.batch()))
        run.spent += time.monotonic() - started
        if len(recent) == REPORT:
            run.report(recent, measured(run, known))
            run.save(shelf.sample())
            recent = []
    run.save(shelf.sample())


def sources(folders: list[Path]) -> tuple[tuple, tuple]:
    """What teaches, and what is held out: films, photographs and cut-outs of either."""
    photos, things = images.photographs(folders), images.cutouts(folders)
    apart = images.filmed(HELD_OUT), photos[::HOLD_OUT], things[::HOLD_OUT]
    del photos[::HOLD_OUT], things[::HOLD_OUT]
    films = images.filmed([name for name in sorted(SCENES) if name not in HELD_OUT])
    return (films, photos, things), apart


@torch.no_grad()
def measured(run: Course, shelf: Shelf) -> list:
    """Losses over all windows of a shelf."""
    chunks = torch.arange(len(shelf.kept)).split(BATCH)
    parts = [run.losses(*shelf.take(chunk.tolist())) for chunk in chunks]
    return torch.stack(parts).mean(0).tolist()


def draw(curve: list[dict], levels: list[str], path: Path) -> None:
    """Both losses of every level over the steps, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    steps = [point["step"] for point in curve]
    titles = "objectness loss (nat)", "displacement loss (1)"
    for part, axes in enumerate(figure.subplots(1, 2)):
        for row, level in enumerate(levels):
            for which, style in (("taught", ":"), ("held_out", "-")):
                values = [point[which][row][part] for point in curve]
                axes.plot(steps, values, style, color=f"C{row}", label=f"{level}, {which}")
        axes.set(xlabel="step", ylabel=titles[part], ylim=(0, None))
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Read the command line and learn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="vggm", metavar="NAME", help="of the registry")
    parser.add_argument("--levels", default="conv1+conv2+conv3", help="its taps, joined by +")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=20.0)
    arguments = parser.parse_args()
    config = Config(arguments.backbone, arguments.levels)
    learn(config, arguments.photos, arguments.out, arguments.minutes)


if __name__ == "__main__":
    main()
