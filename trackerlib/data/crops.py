"""What a tracker takes from a frame. The cost grows with the crop, not with the frame."""

import numpy as np
import torch

GREY = (0.2989, 0.5870, 0.1140)  # weights of R, G, B; ITU-R BT.601, as MATLAB rounds them


def crop(frame: np.ndarray, left: int, top: int, width: int, height: int) -> torch.Tensor:
    """Cut a window out of a frame; what lies outside repeats the frame's border.

    frame      (H, W, 3) uint8 RGB
    left, top  first column and row, in pixels; may lie outside the frame
    returns    (height, width, 3) uint8, a copy
    """
    rows = np.arange(top, top + height).clip(0, frame.shape[0] - 1)
    columns = np.arange(left, left + width).clip(0, frame.shape[1] - 1)
    inside = frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if inside.shape[:2] != (height, width):
        inside = inside[rows - rows[0]][:, columns - columns[0]]
    return torch.from_numpy(inside.copy())


def grey(image: torch.Tensor) -> torch.Tensor:
    """(..., 3) uint8 RGB -> (...) float32 brightness, 0 to 1."""
    return image.float() @ (torch.tensor(GREY, device=image.device) / 255)
