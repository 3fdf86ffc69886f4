"""Histograms of oriented gradients in the 31-channel form of Felzenszwalb et al.

[1] Felzenszwalb, Girshick, McAllester, Ramanan: Object Detection with
    Discriminatively Trained Part-Based Models. TPAMI 2010, section 6.
[2] Dollár: Piotr's Computer Vision Toolbox, `fhog`. Its choices, which KCF was
    published with: every pixel votes for one orientation and, bilinearly, for
    the four nearest cells; at the border a cell takes the nearest whole block.
"""

import math
from functools import lru_cache

import torch
from torch.nn.functional import avg_pool2d, pad

ORIENTATIONS = 18  # over the full circle; opposite ones together make 9 more channels
CLIP = 0.2  # of a normalised histogram entry
TEXTURE = 0.2357  # weight of the four gradient energy channels
TIE = 1e-3  # bins; vertical gradients lie between two, and all go one way whatever the last bit
EPSILON = 1e-4 / 4  # under the block norm, for sums over the pixels of a cell


def hog(image: torch.Tensor, cell: int = 4) -> torch.Tensor:
    """Return gradient histograms of a grey image, one per square cell.

    image    (H, W) float, intensities 0 to 1; pixels beyond the last whole
             cell count only in their neighbours' gradients
    cell     side of a cell in pixels
    returns  (31, H // cell, W // cell): 18 signed orientations, 9 unsigned
             ones, 4 energies (one per block that the cell belongs to)

    Source: [1] section 6.2, [2].
    Raises ValueError for anything but a float (H, W) of at least 2 x 2 cells of whole pixels.
    """
    if isinstance(cell, bool) or not isinstance(cell, int) or cell < 1:
        raise ValueError(f"hog: expected cell in whole pixels, above 0, got {cell!r}; 4 is usual")
    if image.ndim != 2 or not image.is_floating_point() or min(image.shape) < 2 * cell:
        raise ValueError(
            f"hog: expected a float image (H, W) of at least {2 * cell} pixels a side, "
            f"got {tuple(image.shape)} {image.dtype}; enlarge the crop or use smaller cells"
        )
    signed = _histograms(image, cell)  # (18, h, w)
    # Bins 0 to 8 and 9 to 17 are opposite directions. A block is 2 x 2 cells; each cell is
    # normalised by the four that it belongs to, by the nearest where the border cuts one off.
    unsigned = signed[:9] + signed[9:]
    blocks = avg_pool2d(unsigned.square().sum(0)[None], 2, stride=1) * 4  # (1, h - 1, w - 1)
    norms = pad((blocks + EPSILON).rsqrt(), (1, 1, 1, 1), mode="replicate")[0]
    norms = torch.stack((norms[1:, 1:], norms[:-1, 1:], norms[1:, :-1], norms[:-1, :-1]))
    clipped = (torch.cat((signed, unsigned)) * norms[:, None]).clamp_(max=CLIP)  # (4, 27, h, w)
    energies = clipped[:, :ORIENTATIONS].sum(1) * TEXTURE
    return torch.cat((clipped.sum(0) / 2, energies))


def _histograms(image: torch.Tensor, cell: int) -> torch.Tensor:
    """Return gradient magnitudes (18, h, w) by orientation, shared among the nearest cells."""
    height, width = (side // cell for side in image.shape)
    dy, dx = (step[: height * cell, : width * cell].flatten() for step in torch.gradient(image))
    turns = torch.atan2(dy, dx) / math.tau
    bins = (turns * ORIENTATIONS + TIE).round().long() % ORIENTATIONS
    magnitude = torch.hypot(dy, dx)
    framed = ORIENTATIONS, height + 2, width + 2  # what falls beyond the border ends in the frame
    upper_left, shares = _votes(height, width, cell, image.device)
    # 2 x 3 cells have a frame of 4 x 5, 20 entries for each orientation. A pixel whose upper left
    # cell is entry 6 and whose orientation is 2 votes at 46, 47, 51 and 52: the four cells.
    entries = bins * (framed[1] * framed[2]) + upper_left
    votes = torch.zeros(math.prod(framed), dtype=image.dtype, device=image.device)
    for step, share in zip((0, 1, width + 2, width + 3), shares, strict=True):
        votes[step:].scatter_add_(0, entries, share * magnitude)
    return votes.view(framed)[:, 1:-1, 1:-1]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept must serve later calls with gradients too
def _votes(
    height: int, width: int, cell: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each pixel's upper left cell in the frame (H * W,) and 4 cells' shares (4, H * W)."""

    def along(cells: int) -> tuple[torch.Tensor, torch.Tensor]:
        # Pixel 0 of cells of 4 has its centre at 0.125 cells, 0.625 in the frame between centres:
        # cell 0 of the frame, which is cut off, takes 0.375, and cell 1, the first, 0.625.
        position = (torch.arange(cells * cell, device=device) + 0.5) / cell + 0.5
        before = position.long()
        return before, torch.stack((1 - position + before, position - before))

    (rows, row_shares), (columns, column_shares) = along(height), along(width)
    shares = row_shares[:, None, :, None] * column_shares[:, None]  # (2, 2, H, W)
    return (rows[:, None] * (width + 2) + columns).flatten(), shares.reshape(4, -1)
