"""Teach VGG-M what GoogLeNet and SqueezeNet see: the recipe of the backbone that ships with the book.

    python -m trackerlib.train.distill --photos FOLDER --out FOLDER --minutes 120

conv1 takes the teachers' own first filters and keeps them. conv2 begins as the linear
map that best gives what both teachers have before their first module at stride 8, and
conv3 as the one that best gives what they have at their last: half of its 512 channels
are to be GoogLeNet's inception_3a, half SqueezeNet's fire5, unit by unit. Then conv2
and conv3 learn together, in the dense and in the pooled form at once.

The curve is in <out>/loss.png; a run that was stopped goes on from
<out>/checkpoint.pt, and the backbone is written to <out>/vggm.safetensors. Convolutions
run in bfloat16 on a GPU, and on a CPU that multiplies matrices of it (AMX).

[1] Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015.
[2] Heo et al.: A comprehensive overhaul of feature distillation. ICCV 2019,
    section 3.2: where the teacher is silent, the student only has to be silent too.
"""

import argparse
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad, unfold

from trackerlib import weights
from trackerlib.nets import vggm
from trackerlib.nets.backbone import Backbone
from trackerlib.train import images, trainer

LEVELS = {  # layer of the student -> teacher -> (its tap, whether it is pooled first, channels)
    "conv2": {"googlenet": ("conv2", True, 192), "squeezenet": ("fire3", True, 64)},
    "conv3": {"googlenet": ("inception_3a", False, 256), "squeezenet": ("fire5", False, 256)},
}
STRIDE = 8  # of all of them
SIDE = 203  # pixels; 17x17 units of the dense form, 9x9 of the pooled one
BATCH = 12
HELD_OUT = 96  # pictures that measure, never teach
SOLVED_ON = 360  # pictures from which the linear maps are found
RIDGE = 1e-3  # of the mean of the inputs' variances
RATE = 0.01  # Adam's greatest, in root mean squares of the layer's weights
WARM_UP = 100  # steps
REPORT = 100  # steps between two points of the curve


@dataclass(frozen=True)
class Target:
    """What one layer of the student is to give: a part of a teacher, seen at the same places."""

    teacher: Backbone
    tap: str
    pooled: bool
    channels: Tensor  # which of the tap's
    scale: Tensor  # (channels, 1, 1): 1 / root mean square after the ReLU

    @torch.inference_mode()
    def __call__(self, images: Tensor, centre: float, size: int) -> Tensor:
        """Before the ReLU, at size x size units 8 pixels apart, the first at `centre`."""
        tap = self.teacher.taps[self.tap]
        reach = tap.centre + (tap.stride if self.pooled else 0)  # of pooling 3x3
        skip, offset = divmod(int(centre - reach), STRIDE)
        module, found = getattr(self.teacher, self.tap), []
        hook = module.register_forward_hook(lambda _, __, output: found.append(output))
        self.teacher(images[..., offset:, offset:], self.tap)
        hook.remove()
        features = max_pool2d(found[0], 3, 2) if self.pooled else found[0]
        inside = slice(skip, skip + size)
        return features[:, self.channels, inside, inside] * self.scale


def targets(student: vggm.VGGM, layer: str, images: Tensor) -> list[Target]:
    """What a layer is to give; channels are chosen and scaled by their power on `images`."""
    found = []
    centre = student.taps[layer].centre
    for name, (tap, pooled, channels) in LEVELS[layer].items():
        teacher = weights.load(name, depth=tap)
        teacher = teacher.to(images.device, memory_format=torch.channels_last)
        everything = torch.arange(teacher.taps[tap].channels, device=images.device)
        whole = Target(teacher, tap, pooled, everything, torch.ones(1, device=images.device))
        power = whole(images, centre, units(student, layer)).clamp(min=0).square().mean((0, 2, 3))
        chosen = power.topk(channels).indices.sort().values
        scale = power[chosen].clamp(min=1e-3 * power.mean()).rsqrt()[:, None, None]
        found.append(Target(teacher, tap, pooled, chosen, scale))
    return found


def units(student: vggm.VGGM, layer: str) -> int:
    """Along a side of SIDE pixels."""
    return (SIDE - student.taps[layer].receptive_field) // STRIDE + 1


@torch.no_grad()
def begin(student: vggm.VGGM) -> None:
    """Give conv1 the teachers' own first filters: GoogLeNet's 64, and 32 of SqueezeNet's.

    Theirs see B, G, R minus their means, the student R, G, B minus its own: the
    biases take up the difference. SqueezeNet's 3x3 filters stand in the middle of 7x7.
    """
    googlenet, squeezenet = (weights.load(name) for name in ("googlenet", "squeezenet"))
    large, small = googlenet.conv1["7x7_s2"], squeezenet.conv1
    strongest = small.weight.flatten(1).norm(dim=1).topk(32).indices
    filters = torch.cat((large.weight, pad(small.weight[strongest], (2, 2, 2, 2))))
    shift = (student.mean - googlenet.mean).view(1, 3, 1, 1)
    biases = torch.cat((large.bias, small.bias[strongest])) + (filters * shift).sum((1, 2, 3))
    student.conv1.weight.copy_(filters.flip(1))
    student.conv1.bias.copy_(biases)


class Form(NamedTuple):
    """How a layer is used: its inputs, its stride and dilation, and which units it has."""

    inputs: Tensor
    stride: int
    dilation: int
    step: int  # 2 where only every second of the target's units exists


def forms(student: vggm.VGGM, layer: str, images: Tensor) -> list[Form]:
    """conv2 has one form, conv3 two: dense, and after the second pooling."""
    with torch.no_grad():
        x = front(student, images)
    if layer == "conv2":
        return [Form(x, 2, 1, 1)]
    x = norm(student.conv2(x).relu())
    return [Form(x, 1, 3, 1), Form(max_pool2d(x, 3, 2), 1, 1, 2)]


@torch.compile(dynamic=False)
def norm(x: Tensor) -> Tensor:
    """The student's response normalisation, compiled: else it would take half of the time."""
    return vggm.response_norm(x, *vggm.NORMS["matconvnet"])


def front(student: vggm.VGGM, images: Tensor) -> Tensor:
    """What conv2 sees."""
    return max_pool2d(norm(student(images, "conv1")[0]), 3, 2)


@torch.inference_mode()
def solve(student: vggm.VGGM, layer: str, team: list[Target], images: Tensor) -> None:
    """Make a layer the linear map from its inputs to what the teachers have before their ReLU."""
    convolution = getattr(student, layer)
    centre, size = student.taps[layer].centre, units(student, layer)
    squares, products = 0, 0
    for part in images.split(BATCH):
        wanted = torch.cat([target(part, centre, size) for target in team], dim=1)
        for x, stride, dilation, step in forms(student, layer, part):
            rows = _rows(unfold(x, convolution.kernel_size, dilation, stride=stride))
            rows = torch.cat((rows, rows.new_ones(len(rows), 1)), dim=1)
            squares += rows.T @ rows
            products += rows.T @ _rows(wanted[..., ::step, ::step].flatten(2))
    squares.diagonal()[:-1] += RIDGE * squares.diagonal()[:-1].mean()
    solution = torch.linalg.solve(squares.double(), products.double()).float()
    convolution.weight.copy_(solution[:-1].T.reshape(convolution.weight.shape))
    convolution.bias.copy_(solution[-1])


def _rows(x):
    """(N, C, positions) -> (N * positions, C)"""
    return x.transpose(1, 2).flatten(0, 1)


def unexplained(values: Tensor, target: Tensor) -> Tensor:
    """Share of a target's energy that is missed; below zero is as good as zero [2], equation 3."""
    values, target = values.float(), target.float()
    missed = torch.where(target > 0, values - target, values.clamp(min=0))
    return missed.square().sum() / target.clamp(min=0).square().sum()


def losses(student: vggm.VGGM, team: list[Target], images: Tensor) -> Tensor:
    """(2, teachers): what conv3 misses of each teacher, dense and pooled."""
    centre, size = student.taps["conv3"].centre, units(student, "conv3")
    wanted = [target(images, centre, size) for target in team]
    channels, rows = [len(target.channels) for target in team], []
    for form in forms(student, "conv3", images):
        weight, bias = student.conv3.weight, student.conv3.bias
        values = conv2d(form.inputs, weight, bias, form.stride, dilation=form.dilation)
        parts = zip(values.split(channels, dim=1), wanted, strict=True)
        missed = [unexplained(v, w[..., :: form.step, :: form.step]) for v, w in parts]
        rows.append(torch.stack(missed))
    return torch.stack(rows)


class Course(trainer.Course):
    """The student's."""

    parts, warm_up = ("student", "optimiser"), WARM_UP

    def __init__(self, out: Path, seconds: float, device: str = "cpu"):
        super().__init__(out, seconds)
        self.device = torch.device(device)
        self.student = vggm.VGGM(vggm.Config(dense=True))
        self.student.to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(
            {"params": [parameter]}
            for layer in ("conv2", "conv3")
            for parameter in getattr(self.student, layer).parameters()
        )

    @torch.no_grad()
    def begin(self, images: Tensor) -> None:
        """conv1 from the teachers, conv2 and conv3 solved; rates in proportion to the weights."""
        begin(self.student.cpu())
        self.student.to(self.device)
        images = images.to(self.device)
        for layer in LEVELS:
            solve(self.student, layer, targets(self.student, layer, images), images)
        for group in self.optimiser.param_groups:
            group["peak"] = RATE * float(group["params"][0].square().mean().sqrt())

    def learn(self, images: Tensor, team: list[Target]) -> Tensor:
        """One step of Adam -> (2, teachers) losses."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast_halves(self.device)):
            missed = losses(self.student, team, images)
        self.descend(missed.mean())
        return missed.detach()

    def save(self) -> None:
        """Write the checkpoint whole or not at all, the curve, and the backbone as it is now."""
        from safetensors.torch import save_file

        self.write()
        student = self.student.state_dict()
        half = {name: tensor.half().cpu().contiguous() for name, tensor in student.items()}
        save_file(half, self.out / "vggm.safetensors")
        draw(self.curve, self.out / "loss.png")


def fast_halves(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there."""
    return device.type == "cuda" or torch.cpu._is_amx_tile_supported()


def distill(photos: list[Path], out: Path, minutes: float, device: str = "cpu") -> None:
    """Teach for so many minutes, all runs of this folder together; print and draw the curve."""
    out.mkdir(parents=True, exist_ok=True)
    run = Course(out, 60 * minutes, device)
    sources = images.photographs(photos), images.rendered()
    known = as_batch(islice(images.stream(0, SIDE, *sources), HELD_OUT)).to(run.device)
    if run.checkpoint.exists():
        run.resume()
    else:
        run.begin(as_batch(islice(images.stream(1, SIDE, *sources), SOLVED_ON)))
    team = targets(run.student, "conv3", known)
    batches = Batches(sources, seed=2 + run.step)
    loader = iter(torch.utils.data.DataLoader(batches, batch_size=None, num_workers=1))
    recent = []
    while run.spent < run.seconds:
        started = time.monotonic()
        recent.append(run.learn(next(loader).to(run.device), team))
        run.spent += time.monotonic() - started
        if len(recent) == REPORT:
            run.report(recent, measured(run.student, team, known))
            run.save()
            recent = []
    run.save()


@torch.inference_mode()
def measured(student: vggm.VGGM, team: list[Target], images: Tensor) -> list:
    """Losses over pictures that were not taught."""
    parts = [losses(student, team, part) for part in images.split(BATCH)]
    return torch.stack(parts).mean(0).tolist()


class Batches(torch.utils.data.IterableDataset):
    """Endless batches, drawn by another process; every resumed run draws its own."""

    def __init__(self, sources, seed: int):
        self.sources, self.seed = sources, seed

    def __iter__(self):
        stream = images.stream(self.seed, SIDE, *self.sources)
        while True:
            yield as_batch(islice(stream, BATCH))


def as_batch(images) -> Tensor:
    """Squares (side, side, 3) -> (N, 3, side, side), stored channels-last."""
    return torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2)


def draw(curve: list[dict], path: Path) -> None:
    """The share of each teacher's energy that is missed, over time, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="minutes", ylabel="share of the teacher's energy missed")
    minutes = [point["minutes"] for point in curve]
    for row, form in enumerate(("dense", "pooled")):
        for column, (name, (tap, *_)) in enumerate(LEVELS["conv3"].items()):
            values = [point["held_out"][row][column] for point in curve]
            axes.plot(minutes, values, label=f"{form}, {name} {tap}")
    taught = [torch.tensor(point["taught"]).mean() for point in curve]
    axes.plot(minutes, taught, color="0.7", zorder=1, label="mean of the four, being taught")
    axes.legend(title="held-out pictures")
    figure.savefig(path, dpi=120)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m trackerlib.train.distill", description=__doc__)
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and curve")
    parser.add_argument(
        "--minutes", type=float, default=120, help="of learning, resumed runs added"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda")
    arguments = parser.parse_args()
    distill(arguments.photos, arguments.out, arguments.minutes, arguments.device)


if __name__ == "__main__":
    main()
