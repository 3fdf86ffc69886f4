"""Compiled kernels, imported by the first tensor that needs one: Triton's for GPUs, Numba's."""
