"""What every backbone has in common: named taps, their geometry, one convention for the input.

A backbone turns frames into feature maps. It is a chain of steps, each of which ends
at a tap: a map that can be asked for by name.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Window(NamedTuple):
    """What slides over a map along each axis: the kernel of a convolution or a pooling."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


class Tap(NamedTuple):
    """Where the units of a map look. Lengths in pixels; the geometry is the same along x and y."""

    stride: int  # from one unit to the next
    receptive_field: int  # side of what one unit sees
    centre: float  # of the first unit; an image begins at 0, as boxes do
    channels: int


def tap(windows: Iterable[Window], channels: int) -> Tap:
    """The geometry of a map behind these windows, the first one on the image.

    Source: Araujo, Norris, Sim: Computing receptive fields of convolutional neural
    networks. Distill 2019, equations 1 and 2.
    """
    stride, field, centre = 1, 1, 0.5
    for window in windows:
        reach = (window.kernel - 1) * window.dilation
        field += reach * stride
        centre += (reach / 2 - window.padding) * stride
        stride *= window.stride
    return Tap(stride, field, centre, channels)


def border(taps: Iterable[Tap], side: int) -> int:
    """Pixels that an image needs around a square of `side` for units of all taps to tile it.

    A tap's units tile a square when their own squares, of one stride, fill it. With padding
    they do so at once; without, none stands at the image's edge.

    Raises ValueError for a side that is no multiple of a stride.
    """
    strides = [tap.stride for tap in taps]
    if any(side % stride for stride in strides):
        raise ValueError(f"border: expected a side that strides {strides} divide, got {side}")
    return max(0, *(math.ceil(tap.centre - tap.stride / 2) for tap in taps))


def tiling(features: Tensor, tap: Tap, side: int, border: int) -> Tensor:
    """Of a map (..., h, w) of an image of side + 2 * border pixels, the units on the square."""
    first = round((border - tap.centre) / tap.stride + 0.5)
    units = slice(first, first + side // tap.stride)
    return features[..., units, units]


class Backbone(nn.Module):
    """A network up to its last tap. A subclass adds its layers and says what a `step` is.

    steps      tap -> the windows between the tap before it and its own map
    mean, std  of the three channels, in the order that the weights want
    bgr        whether that order is blue, green, red
    """

    def __init__(
        self,
        steps: Mapping[str, Sequence[Window]],
        channels: Mapping[str, int],
        mean: Sequence[float],
        std: Sequence[float] = (1.0, 1.0, 1.0),
        bgr: bool = False,
    ):
        super().__init__()
        self.taps: dict[str, Tap] = {}
        windows = []
        for name, passed in steps.items():
            windows += passed
            self.taps[name] = tap(windows, channels[name])
        self.bgr = bgr
        for name, values in (("mean", mean), ("std", std)):
            constant = torch.tensor(values)[:, None, None]
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: Tensor, *taps: str) -> tuple[Tensor, ...]:
        """The maps of the named taps, after their ReLU. Nothing deeper is computed.

        images   (N, 3, H, W) float RGB, 0 to 255
        returns  one (N, channels, h, w) per name; unit (i, j) has its centre at
                 x = centre + j * stride, y = centre + i * stride

        Raises ValueError for images of another shape or type, or too small for a
        tap, and for a name that is no tap.
        """
        self._check(images, taps)
        maps, x = {}, images.flip(1) if self.bgr else images
        x = ((x - self.mean) / self.std).to(self.mean.dtype)  # that of the weights
        for name in self.taps:
            x = maps[name] = self.step(name, x)
            if maps.keys() >= set(taps):
                break
        return tuple(maps[name] for name in taps)

    def step(self, name: str, x: Tensor) -> Tensor:
        """From the map of the tap before (or the normalised images) to the map of this one."""
        raise NotImplementedError

    def _check(self, images, taps):
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"{type(self).__name__}: expected images (N, 3, H, W), float RGB from 0 to 255, "
                f"got {images.dtype} {shape}; a frame becomes one by "
                "torch.from_numpy(frame).permute(2, 0, 1)[None].float()"
            )
        unknown = [name for name in taps if name not in self.taps]
        if unknown or not taps:
            raise ValueError(
                f"{type(self).__name__}: expected taps among {', '.join(self.taps)}, "
                f"got {', '.join(unknown) or 'none'}"
            )
        least = max(self._least(name) for name in taps)
        if min(shape[2:]) < least:
            raise ValueError(
                f"{type(self).__name__}: expected images of at least {least} pixels a side for "
                f"{', '.join(taps)}, got {shape[3]}x{shape[2]}; enlarge them, or ask for less"
            )

    def _least(self, name):
        """Side of the smallest image in which the first unit's centre is not beyond the middle."""
        return max(1, int(2 * self.taps[name].centre))


def ended(names: Sequence[str], last: str, network: str) -> list[str]:
    """The names up to `last`. Raises ValueError if that is none of them."""
    if last not in names:
        raise ValueError(
            f"{network}: expected depth to be one of {', '.join(names)}, got {last!r}"
        )
    return list(names[: names.index(last) + 1])


def convolution(inputs: int, outputs: int, window: Window) -> nn.Conv2d:
    """A convolution with He initialisation for the ReLU that follows, and biases of zero.

    Source: He, Zhang, Ren, Sun: Delving deep into rectifiers. ICCV 2015, equation 10.
    """
    kernel, stride, padding, dilation = window
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer
