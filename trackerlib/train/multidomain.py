"""Train the network of MDNet, FDN or RT-MDNet by multi-domain learning: on many videos at once.

    python -m trackerlib.train.multidomain --network mdnet --photos FOLDER --out FOLDER

What is target in one video is background in the next, so the videos share all layers but
the last: fc6 has domain-specific layers, one for each, and every step is of one video, in random
order [1]. A batch is 8 frames; of all of them together 32 positives, of an IoU with the target
of 0.7 or more, and 96 negatives, of 0.5 or less. RT-MDNet also sets the videos' targets apart
[3]: its paper has --positives 256 --negatives 768 --embedding 0.1, and --accumulate 50 steps
before the weights move; its authors' code averages the embedding over the positives alone,
--embedding-mean positives. --mine 4 is hard negative mining: negatives are those with the
highest scores of four times as many, such as distractors.

The videos are clips of the renderer's scenes by a held-out camera, which the embedded benchmark
does not have; with --photos, objects that move over photographs of these folders, of which they
are foreground crops; and with --data the sequences of a data set in OTB's format, of --split. Do
not evaluate on training videos. With --fixed-backbone, only fc4, fc5 and fc6 are trained;
features are then kept and used in several steps, which suits a CPU.

The curves are in <out>/loss.png; a training that was stopped resumes from
<out>/checkpoint.pt. The shared layers are written to <out>/multidomain.safetensors:

    python -m trackerlib weights add <out>/multidomain.safetensors --name my-mdnet \\
        --format safetensors --network vggm          (--network head if the backbone was fixed)

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.2 and 4.2, and the authors' code.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 3.3.
[3] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, sections 3.3 and 4.3.
"""

import argparse
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from trackerlib import weights
from trackerlib.nets.backbone import Backbone
from trackerlib.nets.head import Config, DomainHead
from trackerlib.nets.losses import binary_loss, embedding_loss
from trackerlib.trackers.fdn import FrameFeatures
from trackerlib.trackers.mdnet.features import BINS, CropFeatures
from trackerlib.trackers.protocols import BoxFeatures
from trackerlib.trackers.rtmdnet import SceneFeatures
from trackerlib.train import arguments, trainer
from trackerlib.train.samples import FRAMES, NEGATIVES, POSITIVES, BoxSamples, Samples
from trackerlib.train.trainer import Losses, Trainer
from trackerlib.train.videos import CLIPS, OBJECTS, Video, sources
from trackerlib.weights import inference

NETWORKS = ("mdnet", "fdn", "rtmdnet")
MEANS = ("boxes", "positives")
BACKBONE_MAX_LR, MAX_LR = 1e-4, 1e-3  # of the convolutions and of the others
MOMENTUM, WEIGHT_DECAY, MAX_GRAD_NORM = 0.9, 5e-4, 10.0
WARM_UP = 20  # steps
MAX_OTHERS = 100  # videos that a step sets its own apart from, [3]
KEPT = 3  # batches of a video whose features are kept, if the backbone is fixed
REPLAYS = 15  # steps on such ones for one on a new batch
VALIDATE_EVERY = 100  # new batches
RIDGE = 1.0  # of the linear classifier that validates


class Batch(NamedTuple):
    """Features of a batch, all of one video."""

    video: int
    positives: Tensor  # (Settings.positives, D)
    negatives: Tensor  # (Settings.negatives, D), or more, from which hard ones are mined


@dataclass(frozen=True)
class Settings:
    """What is trained, on which features."""

    network: str  # of NETWORKS
    backbone: str  # a name in the registry of weights
    videos: int
    fixed: bool  # whether its convolutions are not trained
    pooling: str | None = None  # of boxes from the map; None: the network's own
    sparse: bool = False  # RT-MDNet's map at stride 16
    embedding: float = 0.0  # weight of the instance embedding loss
    accumulate: int = 1  # steps before the weights move
    mined: int = 1  # negatives that are drawn for each that is trained on: the hardest of them
    positives: int = POSITIVES  # per batch, of FRAMES frames together; 256 in [3]
    negatives: int = NEGATIVES  # likewise, half of them around the target; 768 in [3]
    embedding_mean: str = "boxes"  # that the loss is averaged over, [3]; "positives": its code

    def __post_init__(self):
        if self.embedding_mean not in MEANS:
            raise ValueError(
                f"multidomain.Settings: expected embedding_mean among {', '.join(MEANS)}, "
                f"got {self.embedding_mean!r}"
            )
        for field, multiple in (("positives", FRAMES), ("negatives", 2 * FRAMES)):
            value = getattr(self, field)
            if value < multiple or value % multiple:
                raise ValueError(
                    f"multidomain.Settings: expected {field} in multiples of {multiple}, as many "
                    f"in each of {FRAMES} frames, got {value}"
                )


class MultiDomainTask:
    """Trains the shared and the domain-specific layers: a `trainer.Task`.

    held_out  batches of `Samples` to validate on
    mode      of `weights.inference`, in which a fixed backbone runs
    """

    def __init__(
        self,
        settings: Settings,
        held_out: list[tuple[int, list[BoxSamples]]],
        mode: str = "auto",
    ):
        self.chosen = settings
        self.scene = settings.network == "rtmdnet"
        self.held_out = held_out
        dense = self.scene and not settings.sparse
        self.backbone = cast(Backbone, weights.load(settings.backbone, dense=dense))
        self.head = DomainHead(
            settings.videos, Config(BINS**2 * self.backbone.taps["conv3"].channels)
        )
        self.dtype = inference.number_type(mode)
        self.features = self._features(mode, dense)
        self.dropout = torch.Generator()
        self.settings: dict[str, Any] = asdict(settings)
        self.modules: dict[str, nn.Module] = {"backbone": self.backbone, "head": self.head}
        self.optimizer: torch.optim.Optimizer = self._optimizer()

    def _features(self, mode: str, dense: bool) -> BoxFeatures:
        chosen = self.chosen
        if chosen.fixed:
            backbone: Any = inference.load(chosen.backbone, "cpu", mode, dense=dense)
        else:
            # Of `memory_format`, PyTorch's type hints know nothing.
            self.backbone.requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            backbone = self.backbone
        pooling: dict[str, Any] = {"pooling": chosen.pooling} if chosen.pooling else {}
        if chosen.network == "mdnet":
            return CropFeatures(backbone)
        if chosen.network == "fdn":
            return FrameFeatures(backbone, "conv3", **pooling)
        return SceneFeatures(backbone, "conv3", **pooling)

    def _optimizer(self) -> torch.optim.SGD:
        max_lr: dict[nn.Module, float] = {self.head: MAX_LR}
        if not self.chosen.fixed:
            max_lr = {self.backbone: BACKBONE_MAX_LR} | max_lr
        groups = [
            {"params": [parameter], "max_lr": lr}
            for part, lr in max_lr.items()
            for parameter in part.parameters()
        ]
        return torch.optim.SGD(groups, lr=MAX_LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def batch(self, video: int, frames: list[BoxSamples]) -> Batch:
        """Return the features of the boxes in all frames."""
        positives, negatives = [], []
        for frame, target, inside, outside in frames:
            with self.precision():
                self.features.set_frame(frame, target)
                features = self.features(torch.cat((inside, outside)))
            positives.append(features[: len(inside)])
            negatives.append(features[len(inside) :])
        return Batch(
            video, torch.cat(positives).to(self.dtype), torch.cat(negatives).to(self.dtype)
        )

    def batches(self, videos: list[Video], seed: int) -> Iterator[Batch]:
        """Yield batches without end; with a fixed backbone, REPLAYS former ones after a new one.

        The boxes are drawn by another process.
        """
        chosen = self.chosen
        data = Samples(videos, seed, self.scene, chosen.mined, chosen.positives, chosen.negatives)
        rng = np.random.default_rng(seed - 1)
        kept: dict[int, deque[Batch]] = {}
        for video, frames in data.drawn_ahead():
            new = self.batch(video, frames)
            yield new
            if not self.chosen.fixed:
                continue  # of a backbone that has moved, features are no longer right
            kept.setdefault(video, deque(maxlen=KEPT)).append(new)
            for other in rng.choice(list(kept), REPLAYS).tolist():
                yield kept[other][rng.integers(len(kept[other]))]

    def training_step(self, batch: Batch, step: int) -> tuple[Tensor, Losses]:
        """Return the loss of a batch: the binary one, and the embedding loss if it has a weight.

        step  seed of the dropout and of the other videos
        """
        self.dropout.manual_seed(step)
        video, positives, _ = batch
        negatives = self.hard_negatives(batch)
        videos = torch.cat((torch.tensor([video]), self.other_videos(video)))
        with self.precision():
            features = torch.cat((positives, negatives))
            scores = self.head(features, videos, self.dropout).float()  # (K, videos, 2)
        loss = binary_loss(scores[: len(positives), 0], scores[len(positives) :, 0])
        if self.chosen.embedding:
            over = positives if self.chosen.embedding_mean == "positives" else scores
            embedding = embedding_loss(scores[: len(positives)], 0, len(over))
            loss = loss + self.chosen.embedding * embedding
        return loss, {"loss": loss}

    @torch.no_grad()
    def hard_negatives(self, batch: Batch) -> Tensor:
        """Return the negatives (n, D) that the head, as it is now, scores highest."""
        negatives, count = batch.negatives, self.chosen.negatives
        if len(negatives) <= count:
            return negatives
        with self.precision():
            scores = self.head(negatives, torch.tensor([batch.video]))[:, 0]
        background, target = scores.float().unbind(1)
        return negatives[(target - background).topk(count).indices]

    def other_videos(self, video: int) -> Tensor:
        """Return the videos that this one's target is set apart from, drawn anew in every step."""
        count = self.chosen.videos - 1 if self.chosen.embedding else 0
        drawn = torch.randperm(count, generator=self.dropout)[:MAX_OTHERS]
        return drawn + (drawn >= video)  # the video itself is left out: 0 1 2 -> 0 1 3 for 2

    @torch.no_grad()
    def untrained_loss(self, videos: list[Video]) -> Losses:
        """Return the loss of the first batch, without dropout."""
        video, frames = next(iter(Samples(videos, 0, self.scene)))
        _, positives, negatives = self.batch(video, frames)
        number = torch.tensor([video])
        scores = [self.head(x.float(), number)[:, 0] for x in (positives, negatives)]
        return {"loss": binary_loss(scores[0], scores[1])}

    def precision(self) -> torch.autocast:
        """Return the context in which products are of the machine's fastest type."""
        return torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def validate(self) -> Losses:
        """Return the share of the boxes of held-out videos that are misclassified.

        The mean of the share of the positives and that of the negatives. Held-out videos have no
        layers of their own: a linear classifier on the shared layers' output stands for them. It
        is fitted on every second frame by ridge regression.
        """
        wrong = []
        for video, frames in self.held_out:
            fitted, labels = self.rows(video, frames[::2])
            mean = fitted.mean(0)
            fitted = fitted - mean
            gram = fitted.T @ fitted + RIDGE * torch.eye(fitted.shape[1])  # (WIDTH, WIDTH)
            classifier = torch.linalg.solve(gram, fitted.T @ labels)
            tested, labels = self.rows(video, frames[1::2])
            missed = ((tested - mean) @ classifier * labels < 0).float()
            wrong.append((missed[labels > 0].mean() + missed[labels < 0].mean()) / 2)
        return {"misclassified held-out boxes": torch.stack(wrong).mean()}

    def rows(self, video: int, frames: list[BoxSamples]) -> tuple[Tensor, Tensor]:
        """Return the shared layers' output (n, WIDTH) and labels (n,): positives 3, negatives -1.

        So both kinds weigh the same: a third of the boxes, three times the label.
        """
        _, positives, negatives = self.batch(video, frames)
        balance = NEGATIVES / POSITIVES
        labels = torch.cat((torch.full((len(positives),), balance), -torch.ones(len(negatives))))
        return self.head.shared(torch.cat((positives, negatives)).float()), labels

    def export(self, folder: Path) -> None:
        """Write what the videos share to multidomain.safetensors."""
        shared = {name: t for name, t in self.head.state_dict().items() if "fc6" not in name}
        if not self.chosen.fixed:
            shared |= self.backbone.state_dict()
        trainer.export(shared, folder / "multidomain.safetensors")


def train(
    settings: Settings,
    training: list[Video],
    held_out: list[Video],
    out: Path,
    minutes: float,
    mode: str = "auto",
) -> Trainer:
    """Train for so many minutes, all runs of this folder together.

    training, held_out  of `videos.sources`; settings.videos of the former
    """
    batches = Samples(held_out, 0, settings.network == "rtmdnet")
    task = MultiDomainTask(settings, list(islice(batches, len(held_out))), mode)
    run = Trainer(task, out, trainer_config(settings, minutes))
    if not run.resume():
        run.validate([task.untrained_loss(training)])
    run.fit(task.batches(training, seed=1 + run.step))
    return run


def trainer_config(settings: Settings, minutes: float) -> trainer.Config:
    """Return how long to train and how."""
    return trainer.Config(
        seconds=60 * minutes,
        warm_up=WARM_UP,
        validate_every=VALIDATE_EVERY * (1 + REPLAYS * settings.fixed),
        accumulate=settings.accumulate,
        max_grad_norm=MAX_GRAD_NORM,
    )


def main() -> None:
    """Read the command line and train."""
    parser = _parser()
    given = parser.parse_args()
    for name, lowest in (("mine", 1), ("clips", 0), ("objects", 0)):
        count = getattr(given, name)
        if count < lowest:
            parser.error(f"expected --{name} of at least {lowest}, got {count}")
    for name, multiple in (("positives", FRAMES), ("negatives", 2 * FRAMES)):
        if (count := getattr(given, name)) < multiple or count % multiple:
            parser.error(f"expected --{name} in multiples of {multiple}, got {count}")
    training, held_out = sources(given.photos, given.data, given.split, given.clips, given.objects)
    settings = Settings(
        network=given.network,
        backbone=given.backbone,
        videos=len(training),
        fixed=given.fixed_backbone,
        pooling=given.pooling,
        sparse=given.sparse,
        embedding=given.embedding,
        accumulate=given.accumulate,
        mined=given.mine,
        positives=given.positives,
        negatives=given.negatives,
        embedding_mean=given.embedding_mean,
    )
    train(settings, training, held_out, given.out, given.minutes)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = arguments.parser("multidomain", __doc__.splitlines()[0], minutes=20)
    add = parser.add_argument
    add("--network", default="mdnet", choices=NETWORKS)
    add("--pooling", help="of boxes from the map, if not the network's own")
    add("--sparse", action="store_true", help="RT-MDNet's map at stride 16")
    add("--embedding", type=float, default=0.0, help="weight of its loss")
    add("--embedding-mean", default="boxes", choices=MEANS, help="that its loss is averaged over")
    add("--accumulate", type=int, default=1, metavar="STEPS", help="before the weights move")
    add("--mine", type=int, default=1, metavar="TIMES", help="negatives drawn for one")
    add("--positives", type=int, default=POSITIVES, help="per batch of 8 frames")
    add("--negatives", type=int, default=NEGATIVES, help="per batch of 8 frames")
    add("--clips", type=int, default=CLIPS, help="of every scene")
    add("--objects", type=int, default=OBJECTS, help="that move over photographs")
    add("--backbone", default="vggm", metavar="NAME", help="of the registry")
    add("--fixed-backbone", action="store_true", help="do not train its convolutions")
    add("--data", help="data set in OTB's folder format, to train on")
    add("--split", default="all", help="of it, or names of sequences")
    former = {
        "--trunk": "--backbone",
        "--fixed-trunk": "--fixed-backbone",
        "--films": "--clips",
        "--things": "--objects",
    }
    arguments.add_renamed(parser, former)
    return parser


if __name__ == "__main__":
    main()
