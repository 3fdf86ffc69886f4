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

The videos are whatever --videos lists, with weights (`mixture`): "rendered", clips of the
renderer's scenes by a held-out camera, which the embedded benchmark does not have; "collages",
objects that move over the photographs of --photos, of which they are foreground crops; and
folders of data sets. Clips of --held-out are not trained on: they choose which weights are kept,
those with the lowest loss on them. A clip that cannot be trained on, or that a test table has
(OTB's by name, those of --test by frames), is refused. Frames are taken as they are, as
published, unless --flip, --blur, --colour or --scale are given. With --fixed-backbone, only fc4,
fc5 and fc6 are trained; features are then kept and used in several steps, which suits a CPU.
Without it conv1 to conv3 are trained too, with a tenth of the learning rate, as published.

The curves are in <out>/loss.png; a training that was stopped resumes from
<out>/checkpoint.pt, and one of --steps gives the same weights then, to the bit. The shared
layers are written to <out>/multidomain.safetensors, and, if the backbone was not fixed, to
backbone.safetensors and head.safetensors too. Their metadata name data sets and terms:

    python -m trackerlib weights add <out>/multidomain.safetensors --name my-mdnet \\
        --format safetensors --network head          (--network vggm for backbone.safetensors)

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.2 and 4.2, and the authors' code.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 3.3.
[3] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, sections 3.3 and 4.3.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, cast

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
from trackerlib.train import held_out, options, trainer
from trackerlib.train.mixture import Mixture
from trackerlib.train.replay import Replay
from trackerlib.train.samples import NEGATIVES, POSITIVES, BoxSamples, Samples
from trackerlib.train.settings import Settings
from trackerlib.train.trainer import Losses, Trainer
from trackerlib.train.videos import Video
from trackerlib.weights import inference

BACKBONE_MAX_LR, MAX_LR = 1e-4, 1e-3  # of the convolutions and of the others
MOMENTUM, WEIGHT_DECAY, MAX_GRAD_NORM = 0.9, 5e-4, 10.0
WARM_UP = 20  # steps
MAX_OTHERS = 100  # videos that a step sets its own apart from, [3]
KEPT = 3  # batches of a video whose features are kept, if the backbone is fixed
REPLAYS = 15  # steps on such ones for one on a new batch
VALIDATE_EVERY = 100  # new batches


class Batch(NamedTuple):
    """Features of a batch, all of one video."""

    video: int
    positives: Tensor  # (Settings.positives, D)
    negatives: Tensor  # (Settings.negatives, D), or more, from which hard ones are mined


class MultiDomainTask:
    """Trains the shared and the domain-specific layers: a `trainer.Task`.

    held_out  batches of `Samples` to validate on, of each kind of videos; by the first kind,
              weights are chosen
    mode      of `weights.inference`, in which a fixed backbone runs
    metadata  of the files of weights
    """

    def __init__(
        self,
        settings: Settings,
        held_out: Mapping[str, list[tuple[int, list[BoxSamples]]]],
        mode: str = "auto",
        metadata: Mapping[str, Any] | None = None,
    ):
        self.chosen = settings
        self.held_out = held_out
        self.metadata = dict(metadata or {})
        self.waits: list[float] = []  # seconds, for each new batch
        self.held_out_features = cache(self._halves)  # of a fixed backbone they stay the same
        dense = settings.scene is not None and not settings.sparse
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
        scene = SceneFeatures(backbone, "conv3", **pooling)
        scene.padding = chosen.padding
        return scene

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
            boxes = torch.cat((inside, outside))
            # FDN's map is made once, for all boxes; RT-MDNet's scene is around the target.
            around = enclosing(boxes) if self.chosen.scene is None else target
            with self.precision():
                self.features.set_frame(frame, around)
                features = self.features(boxes)
            positives.append(features[: len(inside)])
            negatives.append(features[len(inside) :])
        kinds = (torch.cat(boxes).to(self.dtype) for boxes in (positives, negatives))
        return Batch(video, *kinds)

    def kept_batch(self, video: int, frames: list[BoxSamples]) -> Batch:
        """Return the same in numbers of 16 bits, which take half of the memory.

        Raises ValueError where features are beyond them.
        """
        _, positives, negatives = self.batch(video, frames)
        half = torch.float16 if self.dtype == torch.float32 else self.dtype
        kept = Batch(video, positives.to(half), negatives.to(half))
        if not (kept.positives.isfinite().all() and kept.negatives.isfinite().all()):
            raise ValueError(
                f"multidomain: expected features of at most {torch.finfo(half).max:g}, those of "
                f"{self.chosen.backbone} exceed it; train with --mode bfloat16"
            )
        return kept

    def batches(self, samples: Samples, step: int = 0, workers: int = 1) -> Iterator[Batch]:
        """Yield the batches from a step on, without end.

        With a fixed backbone, REPLAYS former ones follow a new one. The boxes of new ones are
        drawn by other processes. The batch of a step follows from the samples' seed and the step
        alone; those that were kept when a training was killed are made again as they come.
        """
        period = 1 + REPLAYS * self.chosen.fixed
        samples.first = -(-step // period)  # of steps 0 to 16, 0 and 16 are new
        drawn = samples.drawn_ahead(workers)
        replay = Replay(
            samples.order(),
            lambda number, video: self.kept_batch(video, samples.draw(number, video)),
            self.kept,
            samples.seed,
        )
        for _ in range(samples.first * self.chosen.fixed):
            replay.add()
        while True:
            if step % period:
                yield replay.choose(step)
            else:
                started = perf_counter()
                video, frames = next(drawn)
                self.waits.append(perf_counter() - started)
                if self.chosen.fixed:
                    replay.add(new := self.kept_batch(video, frames))
                else:  # of a backbone that has moved, features are no longer right
                    new = self.batch(video, frames)
                yield new
            step += 1

    @property
    def kept(self) -> int:
        """Return how many batches of each video keep their features: KEPT, or what fits."""
        chosen = self.chosen
        boxes = chosen.positives + chosen.negatives * chosen.mined
        size = 2 * boxes * self.head.config.inputs * chosen.videos  # bytes, of one for each video
        return max(1, min(KEPT, int(chosen.cache * 2**30 / size)))

    def waited(self) -> dict[str, float]:
        """Return the mean wait for a new batch's data since it was last asked for, ms."""
        waits, self.waits = self.waits, []
        return {"wait_ms": round(1000 * sum(waits) / len(waits), 2)} if waits else {}

    def training_step(self, batch: Batch, step: int) -> tuple[Tensor, Losses]:
        """Return the loss of a batch: the binary one, and the embedding loss if it has a weight.

        step  seed of the dropout and of the other videos
        """
        self.dropout.manual_seed(step)
        video, positives = batch.video, batch.positives.to(self.dtype)
        negatives = self.hard_negatives(batch).to(self.dtype)
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
            scores = self.head(negatives.to(self.dtype), torch.tensor([batch.video]))[:, 0]
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
        video, frames = next(iter(Samples(videos, 0, self.chosen.scene)))
        _, positives, negatives = self.batch(video, frames)
        number = torch.tensor([video])
        scores = [self.head(x.float(), number)[:, 0] for x in (positives, negatives)]
        return {"loss": binary_loss(scores[0], scores[1])}

    def precision(self) -> torch.autocast:
        """Return the context in which products are of the machine's fastest type."""
        return torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def validate(self) -> Losses:
        """Return the share of the boxes of held-out videos that are misclassified, and the loss.

        Of each kind of videos, see `held_out`: they have no layers of their own.
        """
        found: dict[str, Losses] = {"misclassified held-out boxes": {}, "loss": {}}
        for kind in self.held_out:
            halves = self.held_out_features(kind) if self.chosen.fixed else self._halves(kind)
            rows = [[self.rows(half) for half in pair] for pair in halves]
            line = f"/{kind}" if len(self.held_out) > 1 else ""
            for (quantity, losses), measure in zip(
                found.items(), (held_out.misclassified, held_out.softmax_loss), strict=True
            ):
                losses[quantity + line] = torch.stack([measure(*pair) for pair in rows]).mean()
        return found["misclassified held-out boxes"] | found["loss"]

    @property
    def best(self) -> str:
        """Return which of these chooses weights: the loss of the first kind of videos."""
        kind = next(iter(self.held_out))
        return f"loss/{kind}" if len(self.held_out) > 1 else "loss"

    def _halves(self, kind: str) -> list[tuple[Batch, Batch]]:
        """Features of every second frame of the held-out videos, and of the others."""
        return [
            (self.batch(video, frames[::2]), self.batch(video, frames[1::2]))
            for video, frames in self.held_out[kind]
        ]

    def rows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the shared layers' output (n, WIDTH) and labels (n,): positives 3, negatives -1.

        So both kinds weigh the same: a third of the boxes, three times the label.
        """
        _, positives, negatives = batch
        balance = NEGATIVES / POSITIVES
        labels = torch.cat((torch.full((len(positives),), balance), -torch.ones(len(negatives))))
        return self.head.shared(torch.cat((positives, negatives)).float()), labels

    def export(self, folder: Path) -> None:
        """Write what the videos share to multidomain.safetensors.

        If the backbone is trained too, also its layers to backbone.safetensors and the others
        to head.safetensors.
        """
        head = {name: t for name, t in self.head.state_dict().items() if "fc6" not in name}
        parts = {"multidomain": head}
        if not self.chosen.fixed:
            convolutions = self.backbone.state_dict()
            parts = {
                "multidomain": head | convolutions,
                "backbone": convolutions,
                "head": head,
            }
        for name, tensors in parts.items():
            trainer.export(tensors, folder / f"{name}.safetensors", self.metadata)


def enclosing(boxes: Tensor) -> Tensor:
    """Return the smallest box (4,) around boxes (K, 4)."""
    first = boxes[:, :2].amin(0)
    return torch.cat((first, (boxes[:, :2] + boxes[:, 2:]).amax(0) - first))


def train(
    settings: Settings,
    mixture: Mixture,
    out: Path,
    config: trainer.Config,
    mode: str = "auto",
    workers: int = 1,
) -> Trainer:
    """Train as `trainer_config` says, all runs of this folder together.

    mixture  of as many videos as the settings say
    workers  processes that draw boxes
    """
    torch.manual_seed(settings.seed)  # of the first weights
    batches = {
        kind: list(islice(Samples(videos, 0, settings.scene), len(videos)))
        for kind, videos in mixture.held_out.items()
    }
    task = MultiDomainTask(settings, batches, mode, mixture.metadata)
    run = Trainer(task, out, replace(config, best=task.best))
    run.waited = task.waited
    if not run.resume():
        run.validate([task.untrained_loss(mixture.videos)])
    samples = Samples(
        mixture.videos,
        1 + settings.seed,
        settings.scene,
        settings.mined,
        settings.positives,
        settings.negatives,
    )
    samples.shares, samples.augmentation = mixture.shares, settings.augmentation
    run.fit(task.batches(samples, run.step, workers))
    return run


def trainer_config(
    settings: Settings,
    minutes: float,
    steps: int | None = None,
    validate_every: int | None = None,
) -> trainer.Config:
    """Return how long to train and how.

    steps           in place of minutes, if given
    validate_every  new batches; None: VALIDATE_EVERY
    """
    return trainer.Config(
        seconds=60 * minutes,
        warm_up=WARM_UP,
        validate_every=(validate_every or VALIDATE_EVERY) * (1 + REPLAYS * settings.fixed),
        accumulate=settings.accumulate,
        max_grad_norm=MAX_GRAD_NORM,
        steps=steps,
    )


def main() -> None:
    """Read the command line and train."""
    assert __doc__ is not None
    given, settings, mixture = options.read(__doc__.splitlines()[0])
    config = trainer_config(settings, given.minutes, given.steps, given.validate_every)
    train(settings, mixture, given.out, config, given.mode, given.workers)


if __name__ == "__main__":
    main()
