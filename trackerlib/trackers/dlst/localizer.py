"""Where the target may have gone: a response for every position around the last one.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017, sections 3.1 and 4.1.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trackerlib.boxes import centres
from trackerlib.ops import crop_and_resize
from trackerlib.trackers.dlst.config import Config
from trackerlib.trackers.dlst.losses import balanced_loss, disc_labels
from trackerlib.trackers.dlst.networks import Localization
from trackerlib.trackers.mdnet.classifier import autocast, make_optimizer
from trackerlib.trackers.mdnet.features import CROP_SIDE, FILL
from trackerlib.trackers.mdnet.memory import Memory
from trackerlib.trackers.protocols import BackboneLike

LAYER = "conv1"  # whose map keeps the most positions [1]
UPSAMPLING = 2  # times, bicubic: the response in which the highest score is looked for [1]


class Localizer:
    """Finds a box in its search region; is fine-tuned on regions where the target is known.

    backbone   of whose first map the network sees a region, times a Hann window
    generator  of the first weights, the mini-batches and the dropout
    device     where the backbone is

    losses  of every iteration of the latest fine-tuning
    """

    def __init__(
        self,
        backbone: BackboneLike,
        config: Config,
        generator: torch.Generator,
        device: str = "cpu",
    ):
        self.backbone = backbone
        self.config = config
        self.generator = generator
        self.device = device
        self.losses: list[float] = []
        self.tap = backbone.taps[LAYER]
        self.network = Localization(self.tap.channels, generator).to(device)
        # 107 pixels, a receptive field of 7 and a stride of 2: (107 - 7) / 2 + 1 = 51 a side.
        self.size = (CROP_SIDE - self.tap.receptive_field) // self.tap.stride + 1
        hann = torch.hann_window(self.size, periodic=False, device=device)
        self.window = (hann[:, None] * hann)[..., None]
        frames, rows = config.long_term, config.first_regions
        rows += (frames - 1) * config.regions
        width = self.tap.channels * self.size**2
        self.maps = Memory(frames, rows, width, device, backbone.dtype)
        self.centres = Memory(frames, rows, 2, device)

    @torch.no_grad()
    def response(self, frame: Tensor, box: Tensor) -> Tensor:
        """Return how much more like the target than the background positions are (n, n), n = 102.

        frame  (H, W, 3) uint8 RGB, on the device
        box    (4,) in the middle of the search region

        Above 0 is what [1] calls a score above 0.5 after the softmax.
        """
        background, target = self._scores(self._maps(frame, box[None])).unbind(-1)
        scores = (target - background)[None]
        return interpolate(scores, scale_factor=UPSAMPLING, mode="bicubic")[0, 0]

    def locate(self, frame: Tensor, box: Tensor) -> tuple[Tensor, float]:
        """Return the box moved to the peak of the response, and the response there."""
        response = self.response(frame, box)
        row, column = divmod(int(response.argmax()), len(response))
        return self.box_at(box, column, row), float(response[row, column])

    def box_at(self, box: Tensor, column: int, row: int) -> Tensor:
        """Return the box moved to a position of the response."""
        # Columns 0 and 1 of the response lie at -0.25 and 0.25 of the map, 2 and 3 at 0.75
        # and 1.25: each map cell has become two.
        position = (torch.tensor([column, row], dtype=box.dtype) + 0.5) / UPSAMPLING - 0.5
        pixel = self.tap.centre + self.tap.stride * position
        region = self._regions(box[None])[0]
        centre = region[:2] + region[2:] * pixel / CROP_SIDE
        return torch.cat((centre - box[2:] / 2, box[2:]))

    def remember(self, frame: Tensor, around: Tensor, target: Tensor) -> None:
        """Keep the maps of the regions around some boxes (K, 4), with the target (4,) in them."""
        regions = self._regions(around)
        pixels = CROP_SIDE * (centres(target) - regions[:, :2]) / regions[:, 2:]
        self.centres.add((pixels - self.tap.centre) / self.tap.stride)
        self.maps.add(self._maps(frame, around).flatten(1))

    @torch.enable_grad()
    def fine_tune(self, max_frames: int, lr: float, iterations: int) -> None:
        """Descend on the regions of the latest frames, [1] section 3.3."""
        config, self.losses = self.config, []
        optimizer = make_optimizer(self.network, lr, config)
        samples = self.maps.latest(max_frames)
        for rows in samples.draws(iterations, config.batch_regions, self.generator):
            labels = disc_labels(self.centres.table[rows], self.size, config.radius)
            maps = self.maps.table.index_select(0, rows)
            maps = maps.view(-1, self.size, self.size, self.tap.channels)
            loss = balanced_loss(self._scores(maps, self.generator), labels)
            self.losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.max_grad_norm)
            optimizer.step()

    def _scores(self, maps: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        with autocast(maps.device, self.backbone.dtype):
            return self.network(maps, dropout).float()

    def _regions(self, boxes: Tensor) -> Tensor:
        size = self.config.region * boxes[:, 2:]
        return torch.cat((centres(boxes) - size / 2, size), 1)

    def _maps(self, frame: Tensor, boxes: Tensor) -> Tensor:
        regions = self._regions(boxes).to(self.device)
        crops = crop_and_resize(frame, regions, (CROP_SIDE, CROP_SIDE), fill=FILL, antialias=True)
        maps = self.backbone(crops, LAYER)[0].permute(0, 2, 3, 1)  # (K, size, size, C)
        return (maps * self.window).to(self.backbone.dtype)
