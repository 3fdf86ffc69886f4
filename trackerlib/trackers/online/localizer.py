"""Where the target may have gone: a score for every place in a region around the last one.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017, sections 3.1 and 4.1.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trackerlib.boxes import centres
from trackerlib.nets.candidates import GREY, SIDE
from trackerlib.nets.dlst import Localization
from trackerlib.nets.inference import Inference
from trackerlib.nets.losses import balanced_loss, disc
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.trackers.online.classifier import autocast, optimiser
from trackerlib.trackers.online.memory import Memory

TAP = "conv1"  # whose map keeps the most places [1]
FINER = 2  # times, bicubic: the response in which the greatest score is looked for [1]


class Localizer:
    """Finds a box in its surroundings; learns from regions where it is known.

    trunk      of whose first map the network sees a region, times a Hann window
    config     of trackers.dlst
    generator  of the first weights, the mini-batches and the dropout
    device     where the trunk is

    losses  of every iteration of the latest learning
    """

    def __init__(self, trunk: Inference, config, generator: torch.Generator, device: str = "cpu"):
        self.trunk, self.config, self.generator, self.device = trunk, config, generator, device
        self.tap, self.losses = trunk.taps[TAP], []
        self.network = Localization(self.tap.channels, generator).to(device)
        self.size = (SIDE - self.tap.receptive_field) // self.tap.stride + 1
        hann = torch.hann_window(self.size, periodic=False, device=device)
        self.window = (hann[:, None] * hann)[..., None]
        frames, rows = config.long_term, config.first_regions
        rows += (frames - 1) * config.regions
        width = self.tap.channels * self.size**2
        self.maps = Memory(frames, rows, width, device, trunk.dtype)
        self.centres = Memory(frames, rows, 2, device)

    @torch.no_grad()
    def response(self, frame: Tensor, box: Tensor) -> Tensor:
        """How much more like the target than like background places are (n, n), n = 102.

        frame  (H, W, 3) uint8 RGB, on the device
        box    (4,) whose surroundings are looked at

        Above 0 is what [1] calls a score above 0.5 after the softmax.
        """
        background, target = self._scores(self._maps(frame, box[None])).unbind(-1)
        scores = (target - background)[None]
        return interpolate(scores, scale_factor=FINER, mode="bicubic")[0, 0]

    def locate(self, frame: Tensor, box: Tensor) -> tuple[Tensor, float]:
        """The box moved to where the response is greatest, and the response there."""
        response = self.response(frame, box)
        row, column = divmod(int(response.argmax()), len(response))
        return self.place(box, column, row), float(response[row, column])

    def place(self, box: Tensor, column: int, row: int) -> Tensor:
        """The box moved to a place of the response."""
        cell = (torch.tensor([column, row], dtype=box.dtype) + 0.5) / FINER - 0.5
        pixel = self.tap.centre + self.tap.stride * cell
        region = self._regions(box[None])[0]
        centre = region[:2] + region[2:] * pixel / SIDE
        return torch.cat((centre - box[2:] / 2, box[2:]))

    def remember(self, frame: Tensor, around: Tensor, target: Tensor) -> None:
        """Keep the maps of the regions around some boxes (K, 4), with the target (4,) in them."""
        regions = self._regions(around)
        pixels = SIDE * (centres(target) - regions[:, :2]) / regions[:, 2:]
        self.centres.add((pixels - self.tap.centre) / self.tap.stride)
        self.maps.add(self._maps(frame, around).flatten(1))

    @torch.enable_grad()
    def learn(self, frames: int, rate: float, iterations: int) -> None:
        """Stochastic gradient descent on the regions of the latest frames, [1] section 3.3."""
        config, self.losses = self.config, []
        descent = optimiser(self.network, rate, config)
        samples = self.maps.latest(frames)
        for rows in samples.draws(iterations, config.batch_regions, self.generator):
            labels = disc(self.centres.table[rows], self.size, config.radius)
            maps = self.maps.table.index_select(0, rows)
            maps = maps.view(-1, self.size, self.size, self.tap.channels)
            loss = balanced_loss(self._scores(maps, self.generator), labels)
            self.losses.append(loss.item())
            descent.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_limit)
            descent.step()

    def _scores(self, maps, dropout=None):
        with autocast(maps.device, self.trunk.dtype):
            return self.network(maps, dropout).float()

    def _regions(self, boxes):
        size = self.config.region * boxes[:, 2:]
        return torch.cat((centres(boxes) - size / 2, size), 1)

    def _maps(self, frame, boxes):
        regions = self._regions(boxes).to(self.device)
        crops = crop_and_resize(frame, regions, (SIDE, SIDE), fill=GREY, antialias=True)
        maps = self.trunk(crops, TAP)[0].permute(0, 2, 3, 1)  # (K, size, size, C)
        return (maps * self.window).to(self.trunk.dtype)
