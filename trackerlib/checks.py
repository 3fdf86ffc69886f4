"""Checks of what callers pass: each raises an error that says what was expected and what came."""

from collections.abc import Collection, Mapping
from typing import Any


def in_range(config: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for a field of a Config that is neither None nor in its range.

    ranges  field -> least and greatest value, both inclusive
    """
    for field, (low, high) in ranges.items():
        value = getattr(config, field)
        if value is not None and not low <= value <= high:
            raise ValueError(
                f"{_name(config)}: expected {field} from {low:g} to {high:g}, got {value}"
            )


def among(config: Any, choices: Mapping[str, Collection[str]]) -> None:
    """Raise ValueError for a field of a Config that is none of its choices."""
    for field, known in choices.items():
        value = getattr(config, field)
        if value not in known:
            raise ValueError(
                f"{_name(config)}: expected {field} among {', '.join(known)}, got {value!r}"
            )


def initialised(tracker: Any) -> None:
    """Raise RuntimeError for a tracker that has no target yet."""
    if not hasattr(tracker, "box"):
        raise RuntimeError(
            f"{_name(tracker)}.update: expected a tracker that has its target; "
            "call init(frame, box) first"
        )


def _name(thing: Any) -> str:
    """The paper's module and the class: trackers.dlst.tracker's Config is "dlst.Config"."""
    parts = [part for part in type(thing).__module__.split(".") if part not in _ROOMS]
    return f"{parts[-1]}.{type(thing).__name__}"


_ROOMS = "tracker", "config"  # files of a paper's folder whose name says nothing of the paper
