"""RT-MDNet: MDNet in real time, by adaptive RoIAlign on a dense map of the scene.

[1] Jung, Son, Baek, Han: Real-time MDNet. ECCV 2018.
"""

from dataclasses import dataclass

from trackerlib.nets.candidates import REACH, ZOOMS, Scene, reachable
from trackerlib.trackers import mdnet
from trackerlib.trackers.online import samplers


@dataclass(frozen=True)
class Config(mdnet.Config):
    """What [1] changes; the rows of its tables 2 and 3 are other values of the first three.

    Without instance embedding is head=vggm-rtmdnet-binary, without box regression
    regression=false.
    """

    pooling: str = "adaptive"  # "align" and "pool" in table 2
    dense: bool = True  # map of stride 8; false for 16, in table 2
    head: str = "vggm-rtmdnet"  # a name in the registry: fc4 and fc5; or "random"
    augment: bool = True  # the first frame's scene, authors' code
    growth: float = REACH / 0.6  # at once to its limit, authors' code
    translation_limit: float = REACH  # authors' code
    negative_translation: float = REACH  # authors' code: 2, for which the scene is too small
    first_rate: float = 5e-4  # authors' code: 1e-4, too little for the bundled trunk
    rate: float = 3e-4  # section 4.3
    pool: int = 256  # section 4.2: 1024, whose scores would take most of the time on a CPU
    regression_score: float = 0.5  # section 4.1


class Tracker(mdnet.Tracker):
    """RT-MDNet on any trunk and device."""

    def __init__(self, config: Config | None = None, device: str = "cpu", seed: int = 0):
        super().__init__(config or Config(), device, seed)

    def _features(self):
        config = self.config
        self.trunk = self._load(dense=config.dense)
        tap = "conv3", self.trunk.taps["conv3"]
        how = config.pooling, config.gain, self.device, self.trunk.dtype
        return Scene(self.trunk, tap, *how)

    def _look(self, frame):
        """Make the map of the scene around the box; boxes are drawn inside it."""
        first = self.config.augment and self.frames == 0
        self.features.look(frame, self.box, self.generator if first else None)
        region = reachable(self.box, max(ZOOMS) if first else 1)
        self.sampler = samplers.over(frame, mdnet.SMALLEST, self.generator, region)
