"""RoIPool and RoIAlign as modules that hold their settings, with torchvision's names."""

from torch import Tensor, nn

from trackerlib.ops.roi_align import roi_align
from trackerlib.ops.roi_pool import roi_pool
from trackerlib.ops.rois import Boxes, Sides


class RoIPool(nn.Module):
    """Call `roi_pool` with these settings: `RoIPool(7, 1 / 16)(input, boxes)`."""

    def __init__(self, output_size: Sides, spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = float(spatial_scale)

    def forward(self, input: Tensor, boxes: Boxes) -> Tensor:
        """Return (K, C, h, w). Raises ValueError as `roi_pool` does."""
        return roi_pool(input, boxes, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        """Return the settings, as they are written in a call."""
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class RoIAlign(nn.Module):
    """Call `roi_align` with these settings, the mean of midpoints: torchvision's."""

    def __init__(
        self,
        output_size: Sides,
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, boxes: Boxes) -> Tensor:
        """Return (K, C, h, w). Raises ValueError as `roi_align` does."""
        return roi_align(
            input,
            boxes,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
        )

    def extra_repr(self) -> str:
        """Return the settings, as they are written in a call."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )
