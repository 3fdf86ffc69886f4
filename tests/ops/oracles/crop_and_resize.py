"""The definition of a crop, one sample, one channel and one pixel at a time."""

import math

import numpy as np


def crop_and_resize(image, boxes, size, mean, std, fill, antialias) -> np.ndarray:
    """(H, W, C), (K, 4), per-channel mean, std and fill -> (K, C, h, w), all float64."""
    height, width, channels = image.shape
    crops = np.zeros((len(boxes), channels, *size))
    for k, (x, y, w, h) in enumerate(np.asarray(boxes, dtype=np.float64)):
        for i in range(size[0]):
            rows = weights(y, h, i, size[0], antialias)
            for j in range(size[1]):
                columns = weights(x, w, j, size[1], antialias)
                for c in range(channels):
                    value = 0.0
                    for row, row_weight in rows.items():
                        for column, column_weight in columns.items():
                            inside = 0 <= row < height and 0 <= column < width
                            pixel = float(image[row, column, c]) if inside else fill[c]
                            value += row_weight * column_weight * pixel
                    crops[k, c, i, j] = (value - mean[c]) / std[c]
    return crops


def weights(start: float, extent: float, sample: int, count: int, antialias: bool) -> dict:
    """Pixel -> its share of the sample, on a line of pixels without ends."""
    scale = extent / count
    centre = start + (sample + 0.5) * scale - 0.5
    support = max(1.0, scale) if antialias else 1.0
    near = range(math.floor(centre - support), math.ceil(centre + support) + 1)
    heights = {pixel: max(0.0, 1 - abs(pixel - centre) / support) for pixel in near}
    total = sum(heights.values())
    return {pixel: height / total for pixel, height in heights.items() if height > 0}
