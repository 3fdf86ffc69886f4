"""Where things are at a moment: curves through key frames, sway, 3 x 3 matrices.

A moment is a frame number, fractional inside the shutter's opening.
"""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator

Curve = Callable[[float], np.ndarray]


def shift(x: float, y: float) -> np.ndarray:
    """Return a translation, in pixels, (3, 3)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=float)


def scale(sx: float, sy: float | None = None) -> np.ndarray:
    """Return a scaling about the origin, (3, 3); one factor scales both axes."""
    return np.diag([sx, sx if sy is None else sy, 1.0])


def turn(degrees: float) -> np.ndarray:
    """Return a rotation about the origin, (3, 3), clockwise on the screen."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (N, 2) by a projective matrix (3, 3) -> (N, 2)."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return mapped[:, :2] / mapped[:, 2:]


def through(*rows: tuple[float, ...]) -> Curve:
    """Return a smooth curve through key frames (frame, value, ...), still before and after."""
    table = np.array(rows, dtype=float)
    if len(table) == 1:
        return lambda f: table[0, 1:]
    frames, curve = table[:, 0], PchipInterpolator(table[:, 0], table[:, 1:])
    return lambda f: curve(np.clip(f, frames[0], frames[-1]))


def sway(seed: int, period: float, amplitudes: tuple[float, ...]) -> Curve:
    """Return the sway of a hand or the wind: smooth, aimless, one value per amplitude."""
    random = np.random.default_rng(seed)
    rates = 2 * np.pi / period * random.uniform(0.6, 2.2, (4, len(amplitudes)))
    phases = random.uniform(0, 2 * np.pi, rates.shape)
    return lambda f: np.array(amplitudes) * np.sin(rates * f + phases).sum(0) / 2


def path(*rows: tuple[float, ...], swaying: Curve | None = None) -> Curve:
    """Return the pose (x, y, scale, degrees) through rows (frame, x, y[, scale[, degrees]])."""
    rest = (1.0, 0.0)
    curve = through(*(row + rest[len(row) - 3 :] for row in rows))
    return curve if swaying is None else lambda f: curve(f) + swaying(f)


def eased(curve: Curve, factor: float | np.ndarray, rest: np.ndarray | float = 0.0) -> Curve:
    """Return the same motion, `factor` times as far from where it rests."""
    return lambda f: rest + factor * (curve(f) - rest)
