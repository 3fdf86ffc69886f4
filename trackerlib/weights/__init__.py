"""Pretrained weights: which there are, where they come from, and how a network gets them.

registry   the table of what is known, by name and by hash
containers what files are, and the named arrays in them, without running code
matconvnet networks of MATLAB's MatConvNet
formats    how networks are named in them, read into tensors with this library's names
store      fetch, add, verify, load
inference  a backbone as fast as the machine at hand runs it
"""

from trackerlib.weights.store import add, fetch, load, load_head, read, read_head, verify

__all__ = ["add", "fetch", "load", "load_head", "read", "read_head", "verify"]
