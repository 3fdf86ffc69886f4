"""What multi-domain learning trains, on which features."""

from dataclasses import dataclass

from trackerlib.trackers.rtmdnet import ROI_PADDING
from trackerlib.train.augmentation import Augmentation
from trackerlib.train.samples import FRAMES, NEGATIVES, POSITIVES

__all__ = ["CACHE", "MEANS", "NETWORKS", "Settings"]

NETWORKS = ("mdnet", "fdn", "rtmdnet")
MEANS = ("boxes", "positives")
CACHE = 2.0  # GiB of features that are kept at most, unless one batch of each video takes more


@dataclass(frozen=True)
class Settings:
    """What is trained, on which features. A checkpoint resumes with the same ones alone.

    Raises ValueError for an unknown mean, and for boxes that the frames of a batch cannot share.
    """

    network: str  # of NETWORKS
    backbone: str  # a name in the registry of weights
    videos: int
    fixed: bool  # whether its convolutions are not trained
    pooling: str | None = None  # of boxes from the map; None: the network's own
    sparse: bool = False  # RT-MDNet's map at stride 16
    padding: float = ROI_PADDING  # of RT-MDNet's boxes, in their sides
    embedding: float = 0.0  # weight of the instance embedding loss
    accumulate: int = 1  # steps before the weights move
    mined: int = 1  # negatives that are drawn for each that is trained on: the hardest of them
    positives: int = POSITIVES  # per batch, of FRAMES frames together; 256 in [3]
    negatives: int = NEGATIVES  # likewise, half of them around the target; 768 in [3]
    embedding_mean: str = "boxes"  # that the loss is averaged over, [3]; "positives": its code
    augmentation: Augmentation = Augmentation()  # noqa: RUF009, it is frozen
    cache: float = CACHE  # GiB of features
    seed: int = 0  # of the first weights, the order of the videos, the boxes
    data: tuple[str, ...] = ()  # sources, their weights and videos

    def __post_init__(self):
        if self.embedding_mean not in MEANS:
            raise ValueError(
                f"multidomain.Settings: expected embedding_mean among {', '.join(MEANS)}, "
                f"got {self.embedding_mean!r}"
            )
        for field, multiple in (("positives", FRAMES), ("negatives", 2 * FRAMES)):
            value = getattr(self, field)
            if value < multiple or value % multiple:
                raise ValueError(
                    f"multidomain.Settings: expected {field} in multiples of {multiple}, as many "
                    f"in each of {FRAMES} frames, got {value}"
                )

    @property
    def scene(self) -> float | None:
        """Return the padding of the scene that RT-MDNet's boxes are from; None for the others."""
        return self.padding if self.network == "rtmdnet" else None
