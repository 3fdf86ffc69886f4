"""Triton: the channel-summed product of one spectrum with the conjugate of another.

A program owns a strip of the spectrum of one batch item and walks down the
channels, some at a time; each value is read once. Spectra are read as the real
numbers that they are in memory: re, im, re, im.
"""

import math

import torch
import triton
import triton.language as tl

CELLS = 16  # per program: 128 bytes of a channel; a small grid still fills a GPU
CHANNELS = 32  # at a time


@triton.jit
def _kernel(x, z, out, channels, floats, CELLS: tl.constexpr, CHANNELS: tl.constexpr):
    strips = tl.cdiv(floats, 2 * CELLS)
    item = (tl.program_id(0) // strips).to(tl.int64)
    positions = tl.program_id(0) % strips * 2 * CELLS + tl.arange(0, 2 * CELLS)
    inside = positions < floats
    x += item * channels * floats
    z += item * channels * floats
    # With x = a + bi and z = c + di, x * conj(z) = (ac + bd) + (bc - ad)i.
    real = tl.zeros((CHANNELS, CELLS), x.dtype.element_ty)
    imaginary = tl.zeros((CHANNELS, CELLS), x.dtype.element_ty)
    for first in range(0, channels, CHANNELS):
        rows = (first + tl.arange(0, CHANNELS))[:, None]
        offsets = rows.to(tl.int64) * floats + positions
        mask = (rows < channels) & inside
        a, b = tl.split(tl.reshape(tl.load(x + offsets, mask, 0), (CHANNELS, CELLS, 2)))
        c, d = tl.split(tl.reshape(tl.load(z + offsets, mask, 0), (CHANNELS, CELLS, 2)))
        real += a * c + b * d
        imaginary += b * c - a * d
    total = tl.join(tl.sum(real, 0), tl.sum(imaginary, 0))  # (CELLS, 2)
    tl.store(out + item * floats + positions, tl.reshape(total, (2 * CELLS,)), inside)


def cross_correlation(xf: torch.Tensor, zf: torch.Tensor) -> torch.Tensor:
    """Return the sum over C of xf * conj(zf): (..., C, H, W // 2 + 1) -> (..., H, W // 2 + 1)."""
    *batch, channels, height, columns = xf.shape
    out = xf.new_empty(*batch, height, columns)
    x, z, y = (torch.view_as_real(t.contiguous()) for t in (xf, zf, out))
    floats = 2 * height * columns
    programs = math.prod(batch) * triton.cdiv(floats, 2 * CELLS)
    with torch.cuda.device_of(xf):
        _kernel[(programs,)](x, z, y, channels, floats, CELLS, CHANNELS)
    return out
