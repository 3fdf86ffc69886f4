"""Distil GoogLeNet and SqueezeNet into VGG-M: the recipe of the backbone that ships.

    python -m trackerlib.train.distill --photos FOLDER --out FOLDER --minutes 120

conv1 takes the teachers' own first filters and keeps them. conv2 begins as the linear
map that best predicts what both teachers have before their first module at stride 8, and
conv3 as the one that best predicts what they have at their last: half of its 512 channels
are to be GoogLeNet's inception_3a, half SqueezeNet's fire5, position by position. Then conv2
and conv3 are trained together [1], in the dense and in the pooled form at once.

--start vggm begins with a backbone of the registry in their place, and trains it further.

The curves are in <out>/loss.png; a training that was stopped resumes from
<out>/checkpoint.pt, and the backbone is written to <out>/vggm.safetensors. Convolutions
run in bfloat16 on a GPU, and on a CPU that multiplies matrices of it (AMX).

[1] Hinton, Vinyals, Dean: Distilling the knowledge in a neural network. 2015.
[2] Heo et al.: A comprehensive overhaul of feature distillation. ICCV 2019,
    section 3.2: where the teacher's ReLU gives zero, the student's only has to as well.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad, unfold
from torch.utils.data import DataLoader, IterableDataset

from trackerlib import weights
from trackerlib.nets import vggm
from trackerlib.nets.backbone import Backbone
from trackerlib.ops.response_norm import response_norm
from trackerlib.train import arguments, images, trainer
from trackerlib.train.trainer import Losses, Trainer

LEVELS = {  # layer of the student -> teacher -> (its layer, whether it is pooled first, channels)
    "conv2": {"googlenet": ("conv2", True, 192), "squeezenet": ("fire3", True, 64)},
    "conv3": {"googlenet": ("inception_3a", False, 256), "squeezenet": ("fire5", False, 256)},
}
STRIDE = 8  # of all of them
IMAGE_SIDE = 203  # pixels; 17x17 positions of the dense form, 9x9 of the pooled one
BATCH = 12
VALIDATION_IMAGES = 96
SOLUTION_IMAGES = 360  # from which the linear maps are found
RIDGE = 1e-3  # of the mean of the inputs' variances
MAX_LR = 0.01  # of Adam, in root mean squares of the layer's weights
WARM_UP = 100  # steps
VALIDATE_EVERY = 100  # steps


@dataclass(frozen=True)
class Target:
    """What one layer of the student is to give: a part of a teacher's, at the same positions."""

    teacher: Backbone
    layer: str
    pooled: bool
    channels: Tensor  # which of the layer's
    scale: Tensor  # (channels, 1, 1): 1 / root mean square after the ReLU

    @torch.inference_mode()
    def __call__(self, images: Tensor, centre: float, size: int) -> Tensor:
        """Return (N, channels, size, size), before the ReLU, 8 pixels apart, from `centre` on."""
        tap = self.teacher.taps[self.layer]
        reach = tap.centre + (tap.stride if self.pooled else 0)  # of pooling 3x3
        # The teacher's first position is at `reach`, the student's at `centre`. From 11.5 to
        # 37.5 are 26 pixels: 3 positions are skipped, and 2 pixels are cut off the image.
        skip, offset = divmod(int(centre - reach), STRIDE)
        module = getattr(self.teacher, self.layer)
        found: list[Tensor] = []
        hook = module.register_forward_hook(lambda _, __, output: found.append(output))
        self.teacher(images[..., offset:, offset:], self.layer)
        hook.remove()
        features = max_pool2d(found[0], 3, 2) if self.pooled else found[0]
        inside = slice(skip, skip + size)
        return features[:, self.channels, inside, inside] * self.scale


def targets(student: vggm.VGGM, layer: str, images: Tensor) -> list[Target]:
    """Return what a layer is to give, one target per teacher.

    images  (N, 3, IMAGE_SIDE, IMAGE_SIDE); by their power on these, channels are chosen and
            scaled
    """
    found = []
    centre = student.taps[layer].centre
    for name, (theirs, pooled, channels) in LEVELS[layer].items():
        teacher = _on(images.device, weights.load(name, depth=theirs))
        everything = torch.arange(teacher.taps[theirs].channels, device=images.device)
        whole = Target(teacher, theirs, pooled, everything, torch.ones(1, device=images.device))
        values = whole(images, centre, map_size(student, layer))
        power = values.clamp(min=0).square().mean((0, 2, 3))  # (C,)
        chosen = power.topk(channels).indices.sort().values
        # A channel that is nearly always zero must not be scaled up to noise.
        scale = power[chosen].clamp(min=1e-3 * power.mean()).rsqrt()[:, None, None]
        found.append(Target(teacher, theirs, pooled, chosen, scale))
    return found


def _layer(student: vggm.VGGM, name: str) -> Any:
    return getattr(student, name)  # a convolution, of which PyTorch's type hints know nothing


def _on(device: torch.device, network: nn.Module) -> Any:
    # Of `memory_format`, PyTorch's type hints know nothing.
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def map_size(student: vggm.VGGM, layer: str) -> int:
    """Return the positions, 8 pixels apart, along a side of IMAGE_SIDE pixels.

    conv3 sees 75 pixels: (203 - 75) // 8 + 1 = 17 positions.
    """
    return (IMAGE_SIDE - student.taps[layer].receptive_field) // STRIDE + 1


@torch.no_grad()
def copy_first_filters(student: vggm.VGGM) -> None:
    """Give conv1 the teachers' own first filters: GoogLeNet's 64, and 32 of SqueezeNet's.

    Theirs see B, G, R minus their means, the student R, G, B minus its own: the
    biases take up the difference. SqueezeNet's 3x3 filters stand in the middle of 7x7.
    """
    googlenet: Any = weights.load("googlenet")
    squeezenet: Any = weights.load("squeezenet")
    large, small = googlenet.conv1["7x7_s2"], squeezenet.conv1
    strongest = small.weight.flatten(1).norm(dim=1).topk(32).indices
    filters = torch.cat((large.weight, pad(small.weight[strongest], (2, 2, 2, 2))))
    # w * (x - theirs) = w * (x - ours) + w * (ours - theirs): the last term is a constant.
    shift = (student.mean - googlenet.mean).view(1, 3, 1, 1)
    biases = torch.cat((large.bias, small.bias[strongest])) + (filters * shift).sum((1, 2, 3))
    conv1 = _layer(student, "conv1")
    conv1.weight.copy_(filters.flip(1))
    conv1.bias.copy_(biases)


class Form(NamedTuple):
    """How a layer is used: its inputs, its stride and dilation, and which positions it has."""

    inputs: Tensor
    stride: int
    dilation: int
    step: int  # 2 where only every second of the target's positions exists


def forms(student: vggm.VGGM, layer: str, images: Tensor) -> list[Form]:
    """Return the one form of conv2, or both of conv3: dense, and after the second pooling."""
    with torch.no_grad():
        x = conv2_inputs(student, images)
    if layer == "conv2":
        return [Form(x, stride=2, dilation=1, step=1)]
    x = norm(_layer(student, "conv2")(x).relu())
    pooled = max_pool2d(x, 3, 2)  # (N, 256, h, w) -> half of the positions per side
    return [Form(x, stride=1, dilation=3, step=1), Form(pooled, stride=1, dilation=1, step=2)]


def norm(x: Tensor) -> Tensor:
    """Return the student's response normalisation."""
    return response_norm(x, *vggm.NORMS["matconvnet"])


def conv2_inputs(student: vggm.VGGM, images: Tensor) -> Tensor:
    """Return the map (N, 96, h, w) that conv2 sees."""
    return max_pool2d(norm(student(images, "conv1")[0]), 3, 2)


@torch.inference_mode()
def solve(student: vggm.VGGM, layer: str, goals: list[Target], images: Tensor) -> None:
    """Make a layer the linear map from its inputs to what the teachers have before their ReLU.

    It is the ridge regression over all positions of the images (N, 3, H, W), in all forms.
    """
    convolution = _layer(student, layer)
    centre, size = student.taps[layer].centre, map_size(student, layer)
    outputs, *kernel = convolution.weight.shape
    inputs = math.prod(kernel) + 1  # of one position, and 1 for the bias
    squares = images.new_zeros(inputs, inputs)
    products = images.new_zeros(inputs, outputs)
    for part in images.split(BATCH):
        wanted = torch.cat([target(part, centre, size) for target in goals], dim=1)
        for x, stride, dilation, step in forms(student, layer, part):
            rows = _rows(unfold(x, convolution.kernel_size, dilation, stride=stride))
            rows = torch.cat((rows, rows.new_ones(len(rows), 1)), dim=1)
            squares += rows.T @ rows
            products += rows.T @ _rows(wanted[..., ::step, ::step].flatten(2))
    squares.diagonal()[:-1] += RIDGE * squares.diagonal()[:-1].mean()
    solution = torch.linalg.solve(squares.double(), products.double()).float()
    convolution.weight.copy_(solution[:-1].T.reshape(convolution.weight.shape))
    convolution.bias.copy_(solution[-1])


def _rows(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)  # (N, C, positions) -> (N * positions, C)


def relative_error(values: Tensor, target: Tensor) -> Tensor:
    """Return the energy of the error over that of the target.

    Where the target is below zero, any value below zero is as good [2], equation 3.
    """
    values, target = values.float(), target.float()
    error = torch.where(target > 0, values - target, values.clamp(min=0))
    return error.square().sum() / target.clamp(min=0).square().sum()


def losses(student: vggm.VGGM, goals: list[Target], images: Tensor) -> Tensor:
    """Return conv3's relative error (2, teachers) to each teacher, dense and pooled."""
    centre, size = student.taps["conv3"].centre, map_size(student, "conv3")
    wanted = [target(images, centre, size) for target in goals]
    channels, rows = [len(target.channels) for target in goals], []
    conv3 = _layer(student, "conv3")
    for form in forms(student, "conv3", images):
        values = conv2d(form.inputs, conv3.weight, conv3.bias, form.stride, dilation=form.dilation)
        parts = zip(values.split(channels, dim=1), wanted, strict=True)
        # The pooled form has every second position: its first is the dense form's first.
        errors = [relative_error(v, w[..., :: form.step, :: form.step]) for v, w in parts]
        rows.append(torch.stack(errors))
    return torch.stack(rows)


class Distillation:
    """Trains conv2 and conv3 of the student towards the teachers: a `trainer.Task`.

    validation_images  (N, 3, IMAGE_SIDE, IMAGE_SIDE), held out
    """

    def __init__(self, validation_images: Tensor, device: str = "cpu"):
        self.device = torch.device(device)
        self.validation_images = validation_images.to(self.device)
        self.student = _on(self.device, vggm.VGGM(vggm.Config(dense=True)))
        self.settings: dict[str, Any] = {}
        self.modules: dict[str, nn.Module] = {"student": self.student}
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            {"params": [parameter]}
            for layer in ("conv2", "conv3")
            for parameter in getattr(self.student, layer).parameters()
        )

    @torch.no_grad()
    def initialise(self, images: Tensor) -> None:
        """Take conv1 from the teachers, solve conv2 and conv3 on these images (N, 3, H, W)."""
        copy_first_filters(self.student.cpu())
        self.student.to(self.device)
        images = images.to(self.device)
        for layer in LEVELS:
            solve(self.student, layer, targets(self.student, layer, images), images)
        self._choose_rates()

    def continue_from(self, name: str) -> None:
        """Take all layers from the backbone of this name in the registry."""
        self.student.load_state_dict(weights.load(name, dense=True).state_dict())
        self._choose_rates()

    def _choose_rates(self) -> None:
        # Adam moves every weight by about its lr: a layer of small weights needs a small one.
        for group in self.optimizer.param_groups:
            group["max_lr"] = MAX_LR * float(group["params"][0].square().mean().sqrt())

    @cached_property
    def targets(self) -> list[Target]:
        """Return what conv3 is to give; conv1, on which nothing of it depends, stays as it is."""
        return targets(self.student, "conv3", self.validation_images)

    def training_step(self, batch: Tensor, step: int) -> tuple[Tensor, Losses]:
        """Return the mean relative error on images (N, 3, H, W), and every single one."""
        images = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast_halves(self.device)):
            errors = losses(self.student, self.targets, images)
        return errors.mean(), _named(errors)

    @torch.inference_mode()
    def validate(self) -> Losses:
        """Return the relative errors on the validation images."""
        parts = self.validation_images.split(BATCH)
        return _named(torch.stack([losses(self.student, self.targets, p) for p in parts]).mean(0))

    def export(self, folder: Path) -> None:
        """Write the backbone to vggm.safetensors."""
        trainer.export(self.student.state_dict(), folder / "vggm.safetensors")


def _named(errors: Tensor) -> Losses:
    # (2, teachers) -> one plot, with a line for each of the four
    return {
        f"relative error/{form}, {teacher} {layer}": errors[row, column]
        for row, form in enumerate(("dense", "pooled"))
        for column, (teacher, (layer, *_)) in enumerate(LEVELS["conv3"].items())
    }


def fast_halves(device: torch.device) -> bool:
    """Return whether bfloat16 is faster than float32 there."""
    return device.type == "cuda" or torch.cpu._is_amx_tile_supported()


def distill(
    photos: list[Path],
    out: Path,
    minutes: float,
    device: str = "cpu",
    start: str | None = None,
) -> None:
    """Train for so many minutes, all runs of this folder together.

    start  name of a backbone in the registry that is distilled further; None: a new one
    """
    sources = images.photographs(photos), images.rendered()
    first = as_batch(islice(images.stream(0, IMAGE_SIDE, *sources), VALIDATION_IMAGES))
    task = Distillation(first, device)
    config = trainer.Config(60 * minutes, WARM_UP, VALIDATE_EVERY)
    training = Trainer(task, out, config)
    if not training.resume():
        if start:
            task.continue_from(start)
        else:
            stream = images.stream(1, IMAGE_SIDE, *sources)
            task.initialise(as_batch(islice(stream, SOLUTION_IMAGES)))
        training.validate()
    # Every resumed run draws images of its own; seeds 0 and 1 are taken.
    dataset = Batches(sources[0], sources[1], seed=2 + training.step)
    training.fit(iter(DataLoader(dataset, batch_size=None, num_workers=1)))


class Batches(IterableDataset):
    """Endless batches (BATCH, 3, IMAGE_SIDE, IMAGE_SIDE), which another process draws.

    photos, scenes  (H, W, 3) uint8 RGB each
    """

    def __init__(self, photos: list[np.ndarray], scenes: list[np.ndarray], seed: int):
        self.photos = photos
        self.scenes = scenes
        self.seed = seed

    def __iter__(self) -> Iterator[Tensor]:
        stream = images.stream(self.seed, IMAGE_SIDE, self.photos, self.scenes)
        while True:
            yield as_batch(islice(stream, BATCH))


def as_batch(images: Iterable[np.ndarray]) -> Tensor:
    """Return squares (side, side, 3) as (N, 3, side, side), stored channels-last."""
    return torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2)


def main() -> None:
    """Read the command line and distil."""
    assert __doc__ is not None
    parser = arguments.parser("distill", __doc__.splitlines()[0], minutes=120)
    parser.add_argument("--device", default="cpu", help="cpu, cuda")
    parser.add_argument("--start", metavar="NAME", help="of a backbone to distil further")
    given = parser.parse_args()
    distill(given.photos, given.out, given.minutes, given.device, given.start)


if __name__ == "__main__":
    main()
