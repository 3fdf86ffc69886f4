"""What every backbone has in common: named layers, the geometry of their maps, one input format.

A backbone turns frames into feature maps. It is a chain of steps, each of which ends
at a layer whose map can be asked for by name. The geometry of that map is a `Tap`.
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
    """The geometry of a layer's map, the same along x and y. Lengths in pixels of the image."""

    stride: int  # from one map position to the next
    receptive_field: int  # side of the square that one position depends on
    centre: float  # of the first position's receptive field; an image begins at 0, as boxes do
    channels: int


def tap(windows: Iterable[Window], channels: int) -> Tap:
    """Return the geometry of a map behind these windows, the first one on the image.

    Two 3x3 convolutions with a 2x2 pooling of stride 2 between them: stride 2, a receptive
    field of 1 + 2 + 1 + 2 * 2 = 8 pixels.

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
    """Return the pixels that an image needs around a square of `side` for all maps to tile it.

    A map's positions tile a square when their own squares, of one stride, fill it. With padding
    they do so at once; without, no position lies at the image's edge.

    Raises ValueError for a side that is no multiple of a stride.
    """
    strides = [tap.stride for tap in taps]
    if any(side % stride for stride in strides):
        raise ValueError(f"border: expected a side that strides {strides} divide, got {side}")
    return max(0, *(math.ceil(tap.centre - tap.stride / 2) for tap in taps))


def tiling(features: Tensor, tap: Tap, side: int, border: int) -> Tensor:
    """Return those positions of a map (..., h, w) that tile the square, see `border`.

    features  the map of an image of side + 2 * border pixels
    """
    first = round((border - tap.centre) / tap.stride + 0.5)
    positions = slice(first, first + side // tap.stride)
    return features[..., positions, positions]


class Backbone(nn.Module):
    """A network up to its last layer. A subclass adds its layers and says what a `step` is.

    steps      layer -> the windows between the map of the layer before it and its own
    mean, std  of the three channels, in the order that the weights want
    bgr        whether that order is blue, green, red
    """

    mean: Tensor
    std: Tensor

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
        windows: list[Window] = []
        for name, passed in steps.items():
            windows += passed
            self.taps[name] = tap(windows, channels[name])
        self.bgr = bgr
        self.plain = set(std) == {1.0}
        for name, values in (("mean", mean), ("std", std)):
            constant = torch.tensor(values)[:, None, None]  # (3, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: Tensor, *layers: str) -> tuple[Tensor, ...]:
        """Return the maps of the named layers, after their ReLU. Nothing deeper is computed.

        images   (N, 3, H, W) float RGB, 0 to 255
        returns  one (N, channels, h, w) per name; position (i, j) has its centre at
                 x = centre + j * stride, y = centre + i * stride

        Raises ValueError for images of another shape or type, or too small for a
        layer, and for a name that is no layer.
        """
        self._check(images, layers)
        maps, x = {}, images.flip(1) if self.bgr else images
        x = (x - self.mean if self.plain else (x - self.mean) / self.std).to(self.mean.dtype)
        for name in self.taps:
            x = maps[name] = self.step(name, x)
            if maps.keys() >= set(layers):
                break
        return tuple(maps[name] for name in layers)

    def step(self, name: str, x: Tensor) -> Tensor:
        """Return a layer's map, from that of the layer before or from the normalised images."""
        raise NotImplementedError

    def _check(self, images: Tensor, layers: tuple[str, ...]) -> None:
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"{type(self).__name__}: expected images (N, 3, H, W), float RGB from 0 to 255, "
                f"got {images.dtype} {shape}; a frame becomes one by "
                "torch.from_numpy(frame).permute(2, 0, 1)[None].float()"
            )
        unknown = [name for name in layers if name not in self.taps]
        if unknown or not layers:
            raise ValueError(
                f"{type(self).__name__}: expected layers among {', '.join(self.taps)}, "
                f"got {', '.join(unknown) or 'none'}"
            )
        min_side = max(self._min_side(name) for name in layers)
        if min(shape[2:]) < min_side:
            raise ValueError(
                f"{type(self).__name__}: expected images of at least {min_side} pixels a side for "
                f"{', '.join(layers)}, got {shape[3]}x{shape[2]}; enlarge them, or ask for less"
            )

    def _min_side(self, name: str) -> int:
        """Side of the smallest image whose middle the first position's centre is not beyond."""
        return max(1, int(2 * self.taps[name].centre))


def ended(names: Sequence[str], last: str, network: str) -> list[str]:
    """Return the names up to `last`. Raises ValueError if that is none of them."""
    if last not in names:
        raise ValueError(
            f"{network}: expected depth to be one of {', '.join(names)}, got {last!r}"
        )
    return list(names[: names.index(last) + 1])


def convolution(inputs: int, outputs: int, window: Window) -> nn.Conv2d:
    """Return a convolution with He initialisation for the ReLU that follows, and zero biases.

    Source: He, Zhang, Ren, Sun: Delving deep into rectifiers. ICCV 2015, equation 10.
    """
    kernel, stride, padding, dilation = window
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation)
    assert layer.bias is not None
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def rectified(layer: nn.Module, x: Tensor) -> Tensor:
    """Return what ReLU makes of a layer's map; of a convolution's on a CPU, in the same pass.

    That is where nothing is recorded for a gradient, and no compiler fuses the two.
    """
    recorded = torch.is_grad_enabled() or torch.compiler.is_compiling()
    if recorded or not (isinstance(layer, nn.Conv2d) and _is_fused(x)):
        return layer(x).relu_()
    return torch.ops.mkldnn._convolution_pointwise(
        x,
        layer.weight,
        layer.bias,
        layer.padding,
        layer.stride,
        layer.dilation,
        layer.groups,
        "relu",
        [],  # numbers that other activations need
        "",
    )


def _is_fused(x: Tensor) -> bool:
    """Whether oneDNN takes a map: of a CPU, in a type that it knows, and not empty."""
    narrow = x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    of_type = x.dtype == torch.float32 or narrow
    return (
        x.device.type == "cpu" and of_type and len(x) > 0 and torch.backends.mkldnn.is_available()
    )
