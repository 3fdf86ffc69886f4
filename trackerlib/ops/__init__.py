"""Kernels: tensors in, tensors out. The functions are here, one file each beside it.

A function has the name of its file, so that `ops.roi_align` is the function;
`correlation_filter`, `response_norm` and `rois` are modules of several. `RoIPool` and
`RoIAlign` are modules in PyTorch's sense, which hold a function's settings.
"""

from trackerlib.ops import correlation_filter, response_norm
from trackerlib.ops.adaptive_roi_align import adaptive_roi_align
from trackerlib.ops.crop_and_resize import crop_and_resize
from trackerlib.ops.hog import hog
from trackerlib.ops.modules import RoIAlign, RoIPool
from trackerlib.ops.pooled_convolution import pooled_convolution
from trackerlib.ops.roi_align import roi_align
from trackerlib.ops.roi_pool import roi_pool

__all__ = [
    "RoIAlign",
    "RoIPool",
    "adaptive_roi_align",
    "correlation_filter",
    "crop_and_resize",
    "hog",
    "pooled_convolution",
    "response_norm",
    "roi_align",
    "roi_pool",
]
