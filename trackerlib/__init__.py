"""Deep visual tracking, rebuilt step by step: the library behind the book.

    from trackerlib import track, trackers, ops, box_iou

Each is imported when it is first asked for: `import trackerlib` alone does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trackerlib import ops, trackers
    from trackerlib.boxes import box_iou
    from trackerlib.tracking import track

__all__ = ["__version__", "box_iou", "ops", "track", "trackers"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("ops", "trackers"):
        return import_module(f"{__name__}.{name}")
    if name == "box_iou":
        return import_module(f"{__name__}.boxes").box_iou
    if name == "track":
        return import_module(f"{__name__}.tracking").track
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
