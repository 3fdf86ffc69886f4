"""What readers and trackers noticed, in one list, each line once; and that list made short.

A warning is a line of text. A result has its track's, a sequence its reader's, a report and a
run those of everything that they are about.
"""

import re
from collections.abc import Iterable

from trackerlib.data.sequence import Sequence
from trackerlib.eval.store import Result

__all__ = ["condensed", "noticed"]

SHOWN = 10  # lines of a kind, before the others are counted


def noticed(sequences: Iterable[Sequence], results: Iterable[Result]) -> tuple[str, ...]:
    """Return every warning of sequences' readers and of results' tracks, each once."""
    read = [line for sequence in sequences for line in sequence.warnings]
    tracked = [f"{r.unit.label}: {line}" for r in results for line in r.track.warnings]
    return tuple(dict.fromkeys([*read, *tracked]))


def condensed(lines: Iterable[str]) -> list[str]:
    """Return lines to print, each once: of those that differ in numbers alone, the first SHOWN.

    How many more there are of a kind is said in the place of the rest.
    """
    kinds: dict[str, list[str]] = {}
    for line in dict.fromkeys(lines):
        kinds.setdefault(re.sub(r"\d+(\.\d+)?", "#", line), []).append(line)
    short = []
    for alike in kinds.values():
        # One more line is shorter than the line that says so.
        count = len(alike) if len(alike) == SHOWN + 1 else SHOWN
        short += alike[:count]
        if rest := len(alike) - count if len(alike) > count else 0:
            short.append(f"{rest} more like the last, with other numbers, up to: {alike[-1]}")
    return short
