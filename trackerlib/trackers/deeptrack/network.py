"""DeepTrack's network: a small one for each cue, and a layer that fuses them.

It starts from random numbers and is trained while it tracks.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016, section II.
[2] Giusti, Ciresan, Masci, Gambardella, Schmidhuber: Fast image scanning with deep
    max-pooling convolutional neural networks. ICIP 2013.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, relu

from trackerlib.ops import pooled_convolution, roi_align
from trackerlib.trackers.deeptrack.cues import CUES, PATCH_SIDE

KERNELS = (12, 13), (18, 7)  # how many and their side, in both convolutions; [1] section II-A
MAP_SIDE = 10  # cells of a patch after the first convolution and its pooling
POOLED_SIDE = 2  # after the second
NEURONS = 8  # of the fully connected layer, for each cue
CUE_STD = 6.0  # about the deviation of a cue's values, which the first weights are divided by
MAX_PATCHES = 100  # in memory at a time


class CueNetworks(nn.Module):
    """A network for each cue, side by side, as grouped convolutions.

    Of each: 32x32 -> 12 kernels 13x13 -> 10x10x12 -> 18 maps of 12 kernels 7x7 -> 2x2x18 -> 8
    -> 2. The fully connected layers are convolutions whose kernels are as large as the map.

    generator  of the random numbers, or PyTorch's own
    dtype      of the convolutions' products; all else, weights included, stays float32
    """

    def __init__(
        self, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ):
        super().__init__()
        self.dtype = dtype
        (first, side), (second, small) = KERNELS
        widths = 1, first, second, NEURONS, 2
        self.conv1, self.conv2, self.fc1, self.fc2 = (
            nn.Conv2d(CUES * into, CUES * out, kernel, groups=CUES)
            for (into, out), kernel in zip(pairwise(widths), (side, small, 2, 1), strict=True)
        )
        for layer in (self.conv1, self.conv2, self.fc1):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            nn.init.zeros_(_bias(layer))
        _initialise_linear(self.fc2, generator)
        with torch.no_grad():
            self.conv1.weight /= CUE_STD

    def forward(self, patches: Tensor) -> Tensor:
        """Return each cue's scores of target and background (N, CUES, 2) of (N, CUES, 32, 32)."""
        return self.scores(self.neurons(patches))

    def scores(self, neurons: Tensor) -> Tensor:
        """Return the same from the neurons (N, CUES * 8)."""
        return _each(self.fc2, neurons)

    def neurons(self, patches: Tensor) -> Tensor:
        """Return what the fusion layer takes (N, CUES * 8)."""
        return self.neurons_of_maps(self._pooled(self.conv1, patches))

    def neurons_of_maps(self, maps: Tensor) -> Tensor:
        """Return the same from the first pooling's maps of patches (N, 36, 10, 10)."""
        return self.neurons_of_pooled(self._pooled(self.conv2, maps).to(self.fc1.weight))

    def neurons_of_pooled(self, maps: Tensor) -> Tensor:
        """Return the same from the second pooling's maps (N, 54, 2, 2)."""
        return relu(_each(self.fc1, maps.flatten(1))).flatten(1)

    def _pooled(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        if self.dtype == torch.float32:
            return pooled_maps(layer, x)
        weight, bias = layer.weight.to(self.dtype), _bias(layer).to(self.dtype)
        return relu(pooled_convolution(x.to(self.dtype), weight, CUES) + bias[:, None, None])


class DeepTrack(nn.Module):
    """The cues' networks and the fusion layer that maps their 24 neurons to two scores.

    dtype  of the convolutions' products

    fused  whether the fusion layer is in use, see `fuse`; until then the scores are the mean
           of the cues' own
    """

    def __init__(
        self, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
    ):
        super().__init__()
        self.cues = CueNetworks(generator, dtype)
        self.fusion = nn.Linear(CUES * NEURONS, 2)
        self.fused = False
        _initialise_linear(self.fusion, generator)

    def forward(self, patches: Tensor) -> Tensor:
        """Return scores of target and background (N, 2) of patches (N, CUES, 32, 32)."""
        return torch.cat(
            [self.combined(self.cues.neurons(chunk)) for chunk in patches.split(MAX_PATCHES)]
        )

    def scan(self, scene: Tensor, boxes: Tensor, convolutions: int = 1) -> Tensor:
        """Return scores (K, 2) of boxes of about 32x32 pixels (K, 4) in a scene (CUES, H, W).

        convolutions  1 or 2, that are computed once for the scene, with their pools

        They are computed at every pixel, and each box takes the positions that its own would be
        at [2], 10x10 or 2x2: exact for boxes of 32x32 at whole pixels, otherwise bilinear, and
        the kernels do not grow with a box.
        """
        cues = self.cues
        maps = pooled_maps(cues.conv1, scene[None], 1)  # (1, 36, H - 13, W - 13)
        if convolutions == 2:
            maps = pooled_maps(cues.conv2, maps, 1, dilation=2)  # (1, 54, H - 27, W - 27)
        # A box of 32x32 at x = 5 takes the positions 5, 7, ..., 23: ten, two apart, as its own
        # pooling would. After the second convolution they are 5 and 9: two, four apart.
        side, apart = (MAP_SIDE, 2) if convolutions == 1 else (POOLED_SIDE, 4)
        step = boxes[:, 2:] / PATCH_SIDE  # of a box's samples, in pixels of the scene
        middle = (KERNELS[0][1] - 1) / 2  # of a kernel: the sample that its response is of
        # The second kernel, of 7 positions two apart, has its middle 6 pixels further on too.
        first = boxes[:, :2] + convolutions * (middle * (step - 1) - 1)
        rois = torch.cat((torch.zeros_like(step[:, :1]), first, first + side * apart * step), 1)
        pooled = roi_align(maps, rois.float(), side, sampling_ratio=1)
        neurons = cues.neurons_of_maps if convolutions == 1 else cues.neurons_of_pooled
        return self.combined(neurons(pooled))

    @torch.no_grad()
    def fuse(self) -> None:
        """Use the fusion layer from now on; it starts as the mean of the cues' own scores."""
        own = self.cues.fc2.weight.view(CUES, 2, NEURONS)
        self.fusion.weight.copy_(own.transpose(0, 1).flatten(1) / CUES)
        self.fusion.bias.copy_(_bias(self.cues.fc2).view(CUES, 2).mean(0))
        self.fused = True

    def combined(self, neurons: Tensor) -> Tensor:
        """Return the scores (N, 2) of the cues' neurons (N, CUES * 8)."""
        return self.fusion(neurons) if self.fused else self.cues.scores(neurons).mean(1)


def pooled_maps(layer: nn.Conv2d, x: Tensor, stride: int = 2, dilation: int = 1) -> Tensor:
    """Return each cue's convolution of its own channels, pooled by 2x2, and relu.

    x         (N, CUES * C, H, W)
    stride    of the pools, in positions of the kernels
    dilation  of the kernels and of the pools
    returns   (N, CUES * kernels, h, w), channels last

    A convolution per cue takes a third of the time of PyTorch's with groups, and pooling of
    channels-last maps a tenth.
    """
    layout, maps = torch.channels_last, []
    parts = (x.chunk(CUES, 1), layer.weight.chunk(CUES), _bias(layer).chunk(CUES))
    for channels, weight, bias in zip(*parts, strict=True):
        channels, weight = (y.contiguous(memory_format=layout) for y in (channels, weight))
        convolved = conv2d(channels, weight, bias, dilation=dilation)
        # Of one image of one channel, PyTorch does not know the layout, and forgets it.
        convolved = convolved.contiguous(memory_format=layout)
        maps.append(max_pool2d(convolved, 2, stride, dilation=dilation))
    return relu(torch.cat(maps, 1))


def score(scores: Tensor, saturated: bool = False) -> Tensor:
    """Return one score (N,) of two (N, 2), [1] equation 1.

    saturated  scores beyond the label of a target, 1 and 0, count as the label: a
               network that exceeds its label is not surer, but further off
    """
    target, background = scores.unbind(1)
    if saturated:
        target, background = target.clamp(max=1), background.clamp(min=0)
    return target * torch.exp(target - background)


def _each(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A fully connected layer of each cue on its own part of vectors: (N, CUES, outputs)."""
    parts, weight = x.unflatten(1, (CUES, -1)), layer.weight.view(CUES, -1, x.shape[1] // CUES)
    return torch.einsum("nci,coi->nco", parts, weight) + _bias(layer).view(CUES, -1)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None  # of all layers here
    return layer.bias


def _initialise_linear(layer: nn.Conv2d | nn.Linear, generator: torch.Generator | None) -> None:
    assert layer.bias is not None
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=generator)
    nn.init.zeros_(layer.bias)
