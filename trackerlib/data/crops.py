"""What a tracker takes from a frame. The cost grows with the crop, not with the frame."""

import cv2
import numpy as np
import torch

__all__ = ["RGB_TO_GREY", "crop", "grey"]

RGB_TO_GREY = (0.2989, 0.5870, 0.1140)  # ITU-R BT.601, as MATLAB rounds it


def crop(frame: np.ndarray, left: int, top: int, width: int, height: int) -> torch.Tensor:
    """Cut a window out of a frame; what lies outside repeats the frame's border.

    frame      (H, W, 3) uint8 RGB
    left, top  first column and row, in pixels; may lie outside the frame
    returns    (height, width, 3) uint8
    """
    shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    as_is = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(
        frame, shift, (width, height), flags=as_is, borderMode=cv2.BORDER_REPLICATE
    )
    return torch.from_numpy(patch)


def grey(image: torch.Tensor) -> torch.Tensor:
    """Return the brightness (...) float32, 0 to 1, of an image (..., 3) uint8 RGB."""
    return image.float() @ (torch.tensor(RGB_TO_GREY, device=image.device) / 255)
