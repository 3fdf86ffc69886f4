"""Triton kernels, imported when the first tensor on a GPU asks for one."""
