"""The correlation filter from its formulas: one channel, one shift and one pair at a time."""

import math

import numpy as np


def cross_correlation(xf: np.ndarray, zf: np.ndarray) -> np.ndarray:
    """Spectra (C, H, W // 2 + 1) -> (H, W // 2 + 1), complex128."""
    channels, rows, columns = xf.shape
    out = np.zeros((rows, columns), complex)
    for c in range(channels):
        for i in range(rows):
            for j in range(columns):
                (a, b), (p, q) = ((v[c, i, j].real, v[c, i, j].imag) for v in (xf, zf))
                out[i, j] += complex(float(a) * p + float(b) * q, float(b) * p - float(a) * q)
    return out


def moved(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Feature maps (C, H, W) shifted cyclically."""
    out = np.empty_like(x)
    _, height, width = x.shape
    for i in range(height):
        for j in range(width):
            out[:, (i + rows) % height, (j + columns) % width] = x[:, i, j]
    return out


def linear(x: np.ndarray, z: np.ndarray) -> float:
    """Mean product of feature values."""
    return sum(a * b for a, b in zip(x.flat, z.flat, strict=True)) / x.size


def gaussian(x: np.ndarray, z: np.ndarray, sigma: float) -> float:
    """Gaussian of the root mean square difference of feature values."""
    squares = sum((a - b) ** 2 for a, b in zip(x.flat, z.flat, strict=True))
    return math.exp(-squares / x.size / sigma**2)


def correlation(kernel, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(H, W): the kernel between x and z moved by every shift."""
    _, height, width = x.shape
    return np.array(
        [[kernel(x, moved(z, i, j)) for j in range(width)] for i in range(height)], float
    )


def response(kernel, x: np.ndarray, z: np.ndarray, y: np.ndarray, regularisation: float):
    """Kernel ridge regression on all shifts of x with labels y (H, W), asked about those of z.

    Returns the dual weights (H, W) and the answer (H, W) to z moved by every shift.
    """
    _, height, width = x.shape
    shifts = [(i, j) for i in range(height) for j in range(width)]
    examples, questions = ([moved(v, *shift) for shift in shifts] for v in (x, z))
    gram = np.array([[kernel(a, b) for b in examples] for a in examples])
    alpha = np.linalg.solve(gram + regularisation * np.eye(len(gram)), y.ravel())
    answers = [
        sum(w * kernel(q, e) for w, e in zip(alpha, examples, strict=True)) for q in questions
    ]
    return alpha.reshape(height, width), np.array(answers).reshape(height, width)
