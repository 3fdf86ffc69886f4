"""Train MSDAT's adaptation layers: which mixtures of a backbone's channels locate a target.

    python -m trackerlib.train.adaptation --backbone vggm --levels conv1+conv2+conv3 \\
        --photos FOLDER --out FOLDER --minutes 20

The backbone stays as it is. On each level a branch of its own is trained, under a head that is
thrown away afterwards, to predict for every position of a search window whether the target is
there and how far from it [1] (`--objectness smooth_l1 --displacement plain`: to the letter). It
begins as the projection onto the level's principal components, which keeps the most of what a
linear correlation filter sees. In the end all mixtures are scaled to unit energy, so that none
drowns the others in the filter.

Windows are cut out of clips of the renderer's scenes by a held-out camera, which the embedded
benchmark does not have, and, with --photos, out of collages: photographs of these folders into
which their foreground crops are pasted. The backbone takes most of the time, so its maps
are cached and used in several steps. The curves are in <out>/loss.png; a training that was
stopped resumes from <out>/checkpoint.pt, and the layers are written to
<out>/adaptation.safetensors:

    python -m trackerlib weights add <out>/adaptation.safetensors --name my-msdat \\
        --format safetensors --network adaptation --config backbone=vggm levels=conv1+conv2+conv3

[1] Wang, Li, Lu, Wang: Robust and real-time deep tracking via multi-scale domain
    adaptation. ICME 2017, sections 3.2 and 3.3.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from trackerlib.boxes import centres
from trackerlib.data.crops import crop
from trackerlib.data.synthetic.dataset import SCENES
from trackerlib.nets.adaptation import KERNELS, Adaptation, Config
from trackerlib.nets.backbone import border, tiling
from trackerlib.nets.losses import DISPLACEMENT, OBJECTNESS, default_boxes, msdat_loss
from trackerlib.train import arguments, images, trainer
from trackerlib.train.images import LabelledFrame
from trackerlib.train.trainer import Losses, Trainer
from trackerlib.train.videos import HELD_OUT, hold_out
from trackerlib.weights import inference, store

WINDOW_SIDE = 224  # pixels of a search window; as the tracker's
PADDING = 1.8  # of the search window, in targets; as the tracker's
REACH = 0.3  # from the middle of the window to the target's centre at most, in windows
BATCH = 16  # windows per step
NEW = 2  # of them; the maps of the others are cached
CACHED = 256  # windows whose maps are kept
SOLUTION_WINDOWS = 48  # from which principal components and energies are found
VALIDATION_WINDOWS = 32
KERNEL = 7  # of the head, dilated so that it covers the target
MAX_LR = 0.002  # of Adam, in root mean squares of the weights
HEAD_MAX_LR = 1e-3
WARM_UP = 50  # steps
VALIDATE_EVERY = 50  # steps

# Windows to the unit of a displacement: that of SSD's code, and none, [1] equation 3.
DISPLACEMENTS = {"normalised": DISPLACEMENT, "plain": 1.0}

Maps = dict[str, Tensor]  # level -> (N, C, n, n)
Sources = tuple[list[LabelledFrame], list[np.ndarray], list[np.ndarray]]  # of `images.targets`


@dataclass(frozen=True)
class LossConfig:
    """What the heads are trained by: SSD's losses, or those that [1] prints in their place."""

    objectness: str = "softmax"  # loss of the confidence, of OBJECTNESS; section 3.2: smooth_l1
    # Of DISPLACEMENTS; [1] equation 3: plain, in which small errors weigh a hundredth.
    displacement: str = "normalised"

    def __post_init__(self) -> None:
        for field, known in (("objectness", OBJECTNESS), ("displacement", DISPLACEMENTS)):
            value = getattr(self, field)
            if value not in known:
                raise ValueError(
                    f"adaptation.LossConfig: expected {field} among {', '.join(known)}, "
                    f"got {value!r}"
                )


class Window(NamedTuple):
    """A search window as the backbone sees it, and where in it the target is."""

    image: np.ndarray  # (side, side, 3) float32 RGB, 0 to 255
    centre: np.ndarray  # (2,) x, y of the target, in windows from the upper left corner


def cut_window(
    rng: np.random.Generator, frame: np.ndarray, box: np.ndarray, border: int
) -> Window:
    """Cut a search window out of a frame, the target anywhere up to REACH from its middle.

    border  pixels that the backbone needs around the WINDOW_SIDE of the window
    """
    size = box[2:] * (1 + PADDING)
    offset = rng.uniform(-REACH, REACH, 2)
    span = np.rint(size * (1 + 2 * border / WINDOW_SIDE)).astype(int)  # in pixels of the frame
    left, top = np.floor(centres(box) - offset * size - span / 2).astype(int)
    side = WINDOW_SIDE + 2 * border
    width, height = span.tolist()
    patch = crop(frame, int(left), int(top), width, height).numpy()
    way = cv2.INTER_AREA if span.min() > side else cv2.INTER_LINEAR
    image = cv2.resize(patch, (side, side), interpolation=way)
    # The crop began at a whole pixel: the centre is found from there, not from the offset.
    exact = (centres(box) - (left, top)) / span
    centre = (exact - 0.5) * (side / WINDOW_SIDE) + 0.5
    if rng.random() < 0.5:
        image, centre[0] = image[:, ::-1], 1 - centre[0]
    return Window(images.developed(rng, image), centre)


class WindowCache:
    """Maps of the latest CACHED search windows.

    levels  layers of the backbone
    frames  endless frames with boxes
    """

    def __init__(
        self,
        backbone: inference.Inference,
        levels: list[str],
        frames: Iterator[LabelledFrame],
        seed: int,
    ):
        self.backbone = backbone
        self.levels = levels
        self.frames = frames
        self.taps = [backbone.taps[level] for level in levels]
        self.border = border(self.taps, WINDOW_SIDE)
        self.rng = np.random.default_rng(seed)
        self.kept: deque[tuple[list[Tensor], Tensor]] = deque(maxlen=CACHED)

    def add(self, count: int) -> None:
        """Send so many new windows through the backbone."""
        for _ in range(count):
            frame, box = next(self.frames)
            image, centre = cut_window(self.rng, frame, box, self.border)
            batch = torch.from_numpy(image).permute(2, 0, 1)[None]  # (1, 3, side, side)
            maps = self.backbone(batch, *self.levels)
            tiles = [
                tiling(m, tap, WINDOW_SIDE, self.border)[0].half()
                for m, tap in zip(maps, self.taps, strict=True)
            ]
            self.kept.append((tiles, torch.from_numpy(centre).float()))

    def select(self, indices: Iterable[int]) -> tuple[Maps, Tensor]:
        """Return the maps of some windows, and their targets' centres (N, 2) in windows."""
        chosen = [self.kept[index] for index in indices]
        maps = {
            level: torch.stack([tiles[row] for tiles, _ in chosen]).float()  # (N, C, n, n)
            for row, level in enumerate(self.levels)
        }
        return maps, torch.stack([centre for _, centre in chosen])

    def sample(self) -> Maps:
        """Return the maps of SOLUTION_WINDOWS windows, or of as many as there are."""
        return self.select(range(min(SOLUTION_WINDOWS, len(self.kept))))[0]

    def batch(self) -> tuple[Maps, Tensor]:
        """Return BATCH windows as `select` does: NEW ones, the others from the cache."""
        self.add(NEW if self.kept else BATCH)
        new = range(len(self.kept) - NEW, len(self.kept))
        old = self.rng.choice(len(self.kept) - NEW, BATCH - NEW, replace=False)
        return self.select([*new, *old.tolist()])


def branch(layers: Adaptation, level: str) -> list[nn.Conv2d]:
    """Return the 3x3 and the 5x5 convolution of a level, in this order."""
    return list(getattr(layers, level).values())


@torch.no_grad()
def initialise(layers: Adaptation, maps: Maps) -> None:
    """Make every branch the projection onto its level's principal components.

    The largest components lie in turn in the 3x3 and the 5x5 filters, in the middle of
    them; the outputs have a mean square of 1, all channels together.
    """
    for level, features in maps.items():
        rows = features.transpose(0, 1).flatten(1)  # (C, N * positions)
        values, vectors = torch.linalg.eigh((rows @ rows.T / rows.shape[1]).double())
        convolutions = branch(layers, level)
        count = sum(convolution.out_channels for convolution in convolutions)
        # Eigenvalues ascend, and each is the mean square of its component.
        scale = (values[-count:].mean()).rsqrt()
        strongest = (vectors.flip(1)[:, :count] * scale).T.float()  # (count, C)
        for index, convolution in enumerate(convolutions):
            assert convolution.bias is not None
            nn.init.zeros_(convolution.weight)
            nn.init.zeros_(convolution.bias)
            middle = convolution.kernel_size[0] // 2
            convolution.weight[:, :, middle, middle] = strongest[index :: len(KERNELS)]


@torch.no_grad()
def with_unit_energy(layers: Adaptation, maps: Maps) -> Adaptation:
    """Return a copy of the layers, each output with a mean square of 1 over the maps."""
    layers = deepcopy(layers)
    for level, features in maps.items():
        scale = layers(features, level).square().mean((0, 2, 3)).clamp(min=1e-12).rsqrt()
        convolutions = branch(layers, level)
        parts = scale.split([convolution.out_channels for convolution in convolutions])
        for convolution, part in zip(convolutions, parts, strict=True):
            assert convolution.bias is not None
            convolution.weight *= part[:, None, None, None]
            convolution.bias *= part
    return layers


def head(layers: Adaptation, level: str, size: int) -> nn.Conv2d:
    """Return the dashed block of [1], Fig. 3: displacement and two scores per default box.

    size  map positions per side of a search window
    """
    channels = sum(convolution.out_channels for convolution in branch(layers, level))
    # At 28 positions a target is 10 wide: a kernel of 7 covers it at a dilation of 2.
    dilation = max(1, round(size / (1 + PADDING) / (KERNEL - 1)))
    layer = nn.Conv2d(channels, 4, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation)
    assert layer.bias is not None
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class AdaptationTask:
    """Trains the layers and their heads on a fixed backbone: a `trainer.Task`.

    held_out  frames with boxes to validate on; see `images.targets`
    mode      of `weights.inference`, in which the backbone runs
    loss      what is minimised
    """

    def __init__(
        self,
        config: Config,
        held_out: Iterator[LabelledFrame],
        mode: str = "auto",
        loss: LossConfig = LossConfig(),
    ):
        self.loss = loss
        self.backbone = inference.load(config.backbone, "cpu", mode)
        known = store.backbone_channels(config.backbone)
        self.layers = Adaptation(config, known)
        # Of `memory_format`, PyTorch's type hints know nothing.
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.levels = list(config.channels(known))
        self.heads = nn.ModuleDict(
            {level: head(self.layers, level, self.map_size(level)) for level in self.levels}
        )
        # Where the loss is the default, checkpoints of before it could be chosen are resumed.
        chosen = {} if loss == LossConfig() else asdict(loss)
        self.settings: dict[str, Any] = asdict(config) | chosen
        self.modules: dict[str, nn.Module] = {"layers": self.layers, "heads": self.heads}
        max_lr: Mapping[nn.Module, float] = {self.layers: MAX_LR, self.heads: HEAD_MAX_LR}
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            {"params": [parameter], "max_lr": max_lr[part]}
            for part in max_lr
            for parameter in part.parameters()
        )
        self.validation = self.cache(held_out, seed=0)
        self.validation.add(VALIDATION_WINDOWS)
        self.training = self.validation  # until there is a training set

    def cache(self, frames: Iterator[LabelledFrame], seed: int) -> WindowCache:
        """Return an empty cache of the backbone's maps of these frames."""
        return WindowCache(self.backbone, self.levels, frames, seed)

    def map_size(self, level: str) -> int:
        """Return a level's map positions per side of a search window."""
        return WINDOW_SIDE // self.backbone.taps[level].stride

    def initialise(self, cache: WindowCache) -> None:
        """Make every branch a projection; learning rates are in proportion to its weights."""
        self.training = cache
        initialise(self.layers, cache.sample())
        for group in self.optimizer.param_groups:
            (parameter,) = group["params"]
            scale = float(parameter.detach().square().mean().sqrt())
            group["max_lr"] *= scale if scale else 1  # the biases begin at zero

    def batches(self, frames: Iterator[LabelledFrame], seed: int) -> Iterator[tuple[Maps, Tensor]]:
        """Yield batches of windows of these frames, as `WindowCache.batch` does, without end."""
        self.training = self.cache(frames, seed)
        while True:
            yield self.training.batch()

    def losses(self, maps: Maps, centres: Tensor) -> Tensor:
        """Return (levels, 2): objectness and displacement as in `msdat_loss`.

        centres  (N, 2) of the targets, in windows
        """
        rows, unit = [], DISPLACEMENTS[self.loss.displacement]
        for level, features in maps.items():
            predicted = self.heads[level](self.layers(features, level))
            displacement, matched = default_boxes(centres, self.map_size(level), unit)
            losses = msdat_loss(predicted, displacement, matched, self.loss.objectness)
            rows.append(torch.stack(losses))
        return torch.stack(rows)

    def training_step(self, batch: tuple[Maps, Tensor], step: int) -> tuple[Tensor, Losses]:
        """Return the sum of all losses on a batch, and every single one."""
        maps, centres = batch
        losses = self.losses(maps, centres)
        return losses.sum(), self._named(losses)

    @torch.no_grad()
    def evaluate(self, cache: WindowCache) -> Losses:
        """Return the losses over all windows of a cache."""
        parts = []
        for chunk in torch.arange(len(cache.kept)).split(BATCH):
            maps, centres = cache.select(chunk.tolist())
            parts.append(self.losses(maps, centres))
        return self._named(torch.stack(parts).mean(0))

    def validate(self) -> Losses:
        """Return the losses on the held-out windows."""
        return self.evaluate(self.validation)

    def _named(self, losses: Tensor) -> Losses:
        # (levels, 2) -> two plots, with a line for each level
        return {
            f"{quantity}/{level}": losses[row, column]
            for column, quantity in enumerate(("objectness loss", "displacement loss"))
            for row, level in enumerate(self.levels)
        }

    def export(self, folder: Path) -> None:
        """Write the layers, with unit energy, to adaptation.safetensors."""
        layers = with_unit_energy(self.layers, self.training.sample())
        trainer.export(layers.state_dict(), folder / "adaptation.safetensors")


def train(
    config: Config,
    folders: list[Path],
    out: Path,
    minutes: float,
    mode: str = "auto",
    loss: LossConfig = LossConfig(),
) -> None:
    """Train for so many minutes, all runs of this folder together.

    folders  of photographs and foreground crops
    mode     of `weights.inference`, in which the backbone runs
    loss     what is minimised
    """
    known, held_out = sources(folders)
    task = AdaptationTask(config, images.targets(0, *held_out), mode, loss)
    training = Trainer(task, out, trainer.Config(60 * minutes, WARM_UP, VALIDATE_EVERY))
    if not training.resume():
        first = task.cache(images.targets(1, *known), seed=1)
        first.add(SOLUTION_WINDOWS)
        task.initialise(first)
        training.validate([task.evaluate(first)])
    # Every resumed run draws windows of its own; seeds 0 and 1 are taken.
    seed = 2 + training.step
    training.fit(task.batches(images.targets(seed, *known), seed))


def sources(folders: list[Path]) -> tuple[Sources, Sources]:
    """Return the training and the held-out set: clips, photographs and foreground crops each."""
    photos, other_photos = hold_out(images.photographs(folders))
    crops, other_crops = hold_out(images.foreground_crops(folders))
    clips = images.clips([name for name in sorted(SCENES) if name not in HELD_OUT])
    return (clips, photos, crops), (images.clips(HELD_OUT), other_photos, other_crops)


def main() -> None:
    """Read the command line and train."""
    assert __doc__ is not None
    parser = arguments.parser("adaptation", __doc__.splitlines()[0], minutes=20)
    parser.add_argument("--backbone", default="vggm", metavar="NAME", help="of the registry")
    parser.add_argument("--levels", default="conv1+conv2+conv3", help="its layers, joined by +")
    parser.add_argument(
        "--objectness", default="softmax", choices=OBJECTNESS, help="loss of the confidence"
    )
    parser.add_argument(
        "--displacement", default="normalised", choices=DISPLACEMENTS, help="in tenths or windows"
    )
    arguments.add_renamed(parser, {"--trunk": "--backbone"})
    given = parser.parse_args()
    config, loss = (
        Config(given.backbone, given.levels),
        LossConfig(given.objectness, given.displacement),
    )
    train(config, given.photos, given.out, given.minutes, loss=loss)


if __name__ == "__main__":
    main()
