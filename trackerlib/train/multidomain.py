"""Learn the network of MDNet, FDN or RT-MDNet from many videos, each with its own last layer.

    python -m trackerlib.train.multidomain --network mdnet --photos FOLDER --out FOLDER

What is target in one video is background in the next, so the videos share all layers but
the last: fc6 has a branch for each, and every step is of one video, in random order [1].
A step takes 8 frames; 32 boxes that overlap the target by 0.7 or more, 96 by 0.5 or less.
RT-MDNet also sets the videos' targets apart [3]: its paper has --embedding 0.1, and
--accumulate 50 steps before the weights move. With --mine 4, negatives are the hardest of
four times as many, as the head scores them then: look-alikes, where there are any.

The videos are films of the renderer's scenes that are not in the embedded benchmark; with
--photos, things with a transparent ground that move over photographs of these folders;
and with --data the sequences of a data set in OTB's format, of --split. One must not
measure on what taught. With --fixed-backbone, only fc4, fc5 and the branches learn; features
are then kept and teach several times, which suits a CPU.

The curve is in <out>/loss.png; a run that was stopped goes on from <out>/checkpoint.pt.
What is shared is written to <out>/multidomain.safetensors:

    python -m trackerlib weights add <out>/multidomain.safetensors --name my-mdnet \\
        --format safetensors --network vggm          (--network head if the backbone was fixed)

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016, sections 3.2 and 4.2, and the authors' code.
[2] Cui, Lu, Jing, Shi: Fast dynamic convolutional neural networks for visual
    tracking. ACML 2018, section 3.3.
[3] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018, sections 3.3 and 4.3.
"""

import argparse
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, IterableDataset

from trackerlib import weights
from trackerlib.nets.head import Config, DomainHead
from trackerlib.nets.losses import binary_loss, embedding_loss
from trackerlib.trackers.fdn import FrameFeatures
from trackerlib.trackers.mdnet.features import BINS, CropFeatures
from trackerlib.trackers.mdnet.samplers import over, with_iou
from trackerlib.trackers.rtmdnet import SceneFeatures, reachable_centres
from trackerlib.train import trainer
from trackerlib.train.videos import FILMS, MIN_SIDE, MOVING, Video, sources
from trackerlib.weights import inference

NETWORKS = ("mdnet", "fdn", "rtmdnet")
FRAMES = 8  # of a video per step
POSITIVES, NEGATIVES = 32, 96  # boxes per step
LEAST, MOST = 0.7, 0.5  # overlap of a positive and of a negative, [2] section 3.3
POSITIVE_RANGE, NEGATIVE_RANGE = (0.1, 1.3), (2.0, 1.6)  # translation and scale; authors' code
BACKBONE_RATE, RATE = 1e-4, 1e-3  # greatest learning rates of the convolutions and of the others
MOMENTUM, DECAY, GRADIENT_LIMIT = 0.9, 5e-4, 10.0
WARM_UP = 20  # steps
OTHERS = 100  # videos at most that a step sets its own apart from, [3]
KEPT = 3  # batches of a video whose features are kept, if the backbone is fixed
AGAIN = 15  # steps on such ones for one that is new
REPORT = 100  # new batches between two points of the curve
RIDGE = 1.0  # of the judge that measures


class Drawn(NamedTuple):
    """A frame of a video and what is learned from it."""

    frame: np.ndarray  # (H, W, 3) uint8 RGB
    target: Tensor  # (4,)
    positives: Tensor  # (p, 4)
    negatives: Tensor  # (n, 4)


class Samples(IterableDataset):
    """Endless steps' worth of boxes, the videos in a new order every round.

    Each is the number of the video and FRAMES of what is `drawn`.
    """

    def __init__(self, videos: list[Video], seed: int, scene: bool = False, mined: int = 1):
        self.videos, self.seed = videos, seed
        self.how = scene, NEGATIVES * mined

    def __iter__(self) -> Iterator[tuple[int, list[Drawn]]]:
        rng = np.random.default_rng(self.seed)
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            for number in rng.permutation(len(self.videos)).tolist():
                video = self.videos[number]
                yield number, [drawn(video, rng, generator, *self.how) for _ in range(FRAMES)]


def drawn(
    video: Video,
    rng: np.random.Generator,
    generator: torch.Generator,
    scene: bool = False,
    negatives: int = NEGATIVES,
) -> Drawn:
    """A frame of a video with boxes that hold its target, and boxes that do not.

    scene      whether they are all from the scene around the target
    negatives  of FRAMES frames together
    """
    frame, box = video(rng)
    target = torch.from_numpy(box)
    sampler = over(frame, MIN_SIDE, generator, reachable_centres(target) if scene else None)
    near = partial(sampler.gaussian, target, *POSITIVE_RANGE)
    around = partial(sampler.uniform, target, *NEGATIVE_RANGE)
    everywhere = partial(sampler.everywhere, target, NEGATIVE_RANGE[1])
    half = negatives // FRAMES // 2
    positives = with_iou(near, target, POSITIVES // FRAMES, min_iou=LEAST)
    far = [with_iou(draw, target, half, max_iou=MOST) for draw in (around, everywhere)]
    return Drawn(frame, target, positives, torch.cat(far))


@dataclass(frozen=True)
class Settings:
    """What is learned, on which features."""

    network: str  # of NETWORKS
    backbone: str  # a name in the registry of weights
    videos: int
    fixed: bool  # whether its convolutions do not learn
    pooling: str | None = None  # of boxes from the map; None: the network's own
    sparse: bool = False  # RT-MDNet's map at stride 16
    embedding: float = 0.0  # weight of the instance embedding loss
    accumulate: int = 1  # steps before the weights move
    mined: int = 1  # negatives for each that is learned, which is the hardest of them


class Course(trainer.Course):
    """Of the shared layers and the branches."""

    parts, warm_up = ("backbone", "head", "optimiser"), WARM_UP

    def __init__(self, out: Path, seconds: float, chosen: Settings):
        super().__init__(out, seconds, **asdict(chosen))
        self.chosen, self.scene = chosen, chosen.network == "rtmdnet"
        form = {"dense": self.scene and not chosen.sparse}
        self.backbone = weights.load(chosen.backbone, **form)
        geometry = self.backbone.taps["conv3"]
        self.head = DomainHead(chosen.videos, Config(BINS**2 * geometry.channels))
        if chosen.fixed:
            run = inference.load(chosen.backbone, "cpu", **form)
        else:
            self.backbone.requires_grad_(True).to(memory_format=torch.channels_last)
            run = self.backbone
        self.dtype = torch.bfloat16 if inference.best_mode() == "bfloat16" else torch.float32
        if chosen.network == "mdnet":
            self.features = CropFeatures(run)
        else:
            kind = SceneFeatures if self.scene else FrameFeatures
            pooling = [chosen.pooling] if chosen.pooling else []
            self.features = kind(run, "conv3", *pooling)
        learning = {self.head: RATE}
        if not chosen.fixed:
            learning = {self.backbone: BACKBONE_RATE} | learning
        self.optimiser = torch.optim.SGD(
            [
                {"params": [parameter], "peak": rate}
                for part, rate in learning.items()
                for parameter in part.parameters()
            ],
            lr=RATE,
            momentum=MOMENTUM,
            weight_decay=DECAY,
        )
        self.optimiser.register_step_pre_hook(self._cut)
        self.dropout = torch.Generator()

    def seen(self, frames: list[Drawn]) -> tuple[Tensor, Tensor]:
        """Features of the positives and of the negatives in all frames."""
        near, far = [], []
        for frame, target, positives, negatives in frames:
            with self.precision():
                self.features.set_frame(frame, target)
                features = self.features(torch.cat((positives, negatives)))
            near.append(features[: len(positives)])
            far.append(features[len(positives) :])
        return torch.cat(near).to(self.dtype), torch.cat(far).to(self.dtype)

    def learn(self, video: int, near: Tensor, far: Tensor) -> Tensor:
        """One step of stochastic gradient descent, on what is `seen` -> the loss."""
        self.dropout.manual_seed(self.step)
        far = self.hardest(video, far)
        videos = torch.cat((torch.tensor([video]), self.others(video)))
        with self.precision():
            scores = self.head(torch.cat((near, far)), videos, self.dropout).float()
        loss = binary_loss(scores[: len(near), 0], scores[len(near) :, 0])
        if self.chosen.embedding:
            apart = embedding_loss(scores[: len(near)], 0, len(scores))
            loss = loss + self.chosen.embedding * apart
        self.descend(loss, self.chosen.accumulate)
        return loss.detach()

    @torch.no_grad()
    def hardest(self, video: int, far: Tensor) -> Tensor:
        """The negatives that are most like the video's target, as the head sees them now."""
        if len(far) <= NEGATIVES:
            return far
        with self.precision():
            background, target = self.head(far, torch.tensor([video]))[:, 0].float().unbind(1)
        return far[(target - background).topk(NEGATIVES).indices]

    def others(self, video: int) -> Tensor:
        """Videos that this one's target is set apart from, drawn anew for every step."""
        count = self.chosen.videos - 1 if self.chosen.embedding else 0
        drawn = torch.randperm(count, generator=self.dropout)[:OTHERS]
        return drawn + (drawn >= video)

    @torch.no_grad()
    def untaught(self, videos: list[Video]) -> Tensor:
        """(2,) the loss before it learns, and no time waited for data."""
        video, frames = next(iter(Samples(videos, 0, self.scene)))
        branch = torch.tensor([video])
        near, far = (self.head(x.float(), branch)[:, 0] for x in self.seen(frames))
        return torch.stack((binary_loss(near, far), torch.tensor(0.0)))

    def precision(self):
        """The context in which products are of the machine's fastest type."""
        return torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32)

    def _cut(self, optimiser, *_):
        learning = [group["params"][0] for group in optimiser.param_groups]
        clip_grad_norm_(learning, GRADIENT_LIMIT)

    @torch.no_grad()
    def measured(self, batches: list) -> list[float]:
        """Share of the boxes that are misjudged in videos that never taught, mean of both kinds.

        The judge is linear on the shared layers' output and solved on half of the frames.
        """
        wrong = []
        for _, frames in batches:
            known, new = (self.judged(frames[part::2]) for part in (0, 1))
            rows, labels = known
            mean = rows.mean(0)
            rows = rows - mean
            gram = rows.T @ rows + RIDGE * torch.eye(rows.shape[1])
            judge = torch.linalg.solve(gram, rows.T @ labels)
            rows, labels = new
            missed = ((rows - mean) @ judge * labels < 0).float()
            wrong.append((missed[labels > 0].mean() + missed[labels < 0].mean()) / 2)
        return [float(torch.stack(wrong).mean())]

    def judged(self, frames: list) -> tuple[Tensor, Tensor]:
        """The shared layers' output (n, WIDTH) and what it is (n,): positives 3, negatives -1."""
        near, far = self.seen(frames)
        balance = NEGATIVES / POSITIVES
        labels = torch.cat((torch.full((len(near),), balance), -torch.ones(len(far))))
        return self.head.shared(torch.cat((near, far)).float()), labels

    def save(self) -> None:
        """Write the checkpoint, the curve, and what is shared, whole or not at all."""
        from safetensors.torch import save_file

        self.write()
        shared = {name: t for name, t in self.head.state_dict().items() if "fc6" not in name}
        if not self.chosen.fixed:
            shared |= self.backbone.state_dict()
        half = {name: tensor.half().contiguous() for name, tensor in shared.items()}
        save_file(half, self.out / "multidomain.safetensors")
        draw(self.curve, self.out / "loss.png")


def learn(run: Course, taught: list[Video], apart: list[Video]) -> None:
    """Go on until the run's seconds are spent; print and draw the curve."""
    run.out.mkdir(parents=True, exist_ok=True)
    measured_on = list(islice(Samples(apart, 0, run.scene), len(apart)))
    if run.checkpoint.exists():
        run.resume()
    else:
        run.report([run.untaught(taught)], run.measured(measured_on))
    data = Samples(taught, 1 + run.step, run.scene, run.chosen.mined)
    ahead = DataLoader(data, batch_size=None, num_workers=1, prefetch_factor=4, collate_fn=as_is)
    recent, shelf, rng = [], {}, np.random.default_rng(run.step)
    for began, (video, frames) in waiting(ahead):
        waited = time.monotonic() - began
        seen = run.seen(frames)
        losses = [run.learn(video, *seen)]
        if run.chosen.fixed:
            shelf.setdefault(video, deque(maxlen=KEPT)).append(seen)
            for other in rng.choice(list(shelf), AGAIN).tolist():
                losses.append(run.learn(other, *shelf[other][rng.integers(len(shelf[other]))]))
        run.spent += time.monotonic() - began
        recent.append(torch.stack((torch.stack(losses).mean(), torch.tensor(waited))))
        if len(recent) == REPORT or run.spent >= run.seconds:
            run.report(recent, run.measured(measured_on))
            run.save()
            recent = []
        if run.spent >= run.seconds:
            return


def as_is(step: tuple) -> tuple:
    """What a worker hands over, unchanged."""
    return step


def waiting(data: Iterable) -> Iterator:
    """Every item with the moment from which it was waited for."""
    items = iter(data)
    while True:
        yield time.monotonic(), next(items)


def draw(curve: list[dict], path: Path) -> None:
    """The loss of what teaches, and the share misjudged of what does not, over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    steps = [point["step"] for point in curve]
    titles = "loss (nat)", "boxes misjudged in held-out videos (1)"
    parts = [point["taught"][0] for point in curve], [point["held_out"][0] for point in curve]
    for axes, title, values in zip(figure.subplots(1, 2), titles, parts, strict=True):
        axes.plot(steps, values)
        axes.set(xlabel="step", ylabel=title, ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Read the command line and learn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="mdnet", choices=NETWORKS)
    parser.add_argument("--pooling", help="of boxes from the map, if not the network's own")
    parser.add_argument("--sparse", action="store_true", help="RT-MDNet's map at stride 16")
    parser.add_argument("--embedding", type=float, default=0.0, help="weight of its loss")
    parser.add_argument("--accumulate", type=int, default=1, metavar="STEPS")
    parser.add_argument(
        "--mine", type=int, default=1, metavar="TIMES", help="negatives drawn for one"
    )
    parser.add_argument("--films", type=int, default=FILMS, help="of every scene")
    parser.add_argument("--things", type=int, default=MOVING, help="that move over photographs")
    parser.add_argument("--backbone", default="vggm", metavar="NAME", help="of the registry")
    parser.add_argument(
        "--fixed-backbone", action="store_true", help="its convolutions do not learn"
    )
    parser.add_argument("--photos", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--data", help="data set in OTB's folder format, to learn from")
    parser.add_argument("--split", default="all", help="of it, or names of sequences")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=20.0)
    given = parser.parse_args()
    counts = {
        "--mine": (given.mine, 1),
        "--films": (given.films, 0),
        "--things": (given.things, 0),
    }
    for name, (count, least) in counts.items():
        if count < least:
            parser.error(f"expected {name} of at least {least}, got {count}")
    taught, apart = sources(given.photos, given.data, given.split, given.films, given.things)
    seconds = 60 * given.minutes
    what = given.network, given.backbone, len(taught), given.fixed_backbone
    how = given.pooling, given.sparse, given.embedding, given.accumulate, given.mine
    run = Course(given.out, seconds, Settings(*what, *how))
    learn(run, taught, apart)


if __name__ == "__main__":
    main()
