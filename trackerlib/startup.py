"""Imports of large packages, sooner than Python makes them by itself."""

import gc
import sys
from importlib import import_module

__all__ = ["load"]


def load(package: str) -> None:
    """Import a package without looking for garbage among what stays.

    torch makes hundreds of thousands of objects, which live as long as the program. Python's
    collector goes through them again and again during the import, and once more at the end of
    the program: a quarter of what `import torch` takes. Here it waits, and leaves all that is
    there after the import alone for good; of what comes later it collects as ever.
    """
    if package in sys.modules:
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        import_module(package)
        gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
