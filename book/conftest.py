"""How stored outputs are compared with those of a new run.

Processors add in different orders, and a tracker that goes by the last bit of
a response goes elsewhere for some frames: a score's third decimal is the
machine's. So decimal numbers may differ by 2 %, or by two units of their last
digit. All else must be equal, whole numbers and numbers of digits included.
"""

import re

from nbval.plugin import IPyNbCell
from xdist.scheduler import LoadFileScheduling

NUMBER = re.compile(r"-?\d+\.\d+")
RELATIVE, UNITS = 0.02, 2


class Output(str):
    """Text that equals other text if only decimal numbers differ, a little."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        numbers = zip(
            NUMBER.findall(self), NUMBER.findall(other), strict=False
        )
        same_words = NUMBER.split(self) == NUMBER.split(other)
        return same_words and all(close(*pair) for pair in numbers)

    def __ne__(self, other):
        return not self == other


def close(stored: str, found: str) -> bool:
    """Whether two decimal numbers, as they are printed, differ little."""
    digits, others = (len(text.partition(".")[2]) for text in (stored, found))
    unit = 10.0**-digits
    allowed = max(RELATIVE * abs(float(stored)), (UNITS + 0.5) * unit)
    return digits == others and abs(float(stored) - float(found)) <= allowed


def _as_output(cell, text, sanitize=IPyNbCell.sanitize):
    text = sanitize(cell, text)
    return Output(text) if isinstance(text, str) else text


IPyNbCell.sanitize = _as_output


class Scheduling(LoadFileScheduling):
    """Notebooks run side by side; templates, which share a store, in turn."""

    def _split_scope(self, nodeid):
        notebook = super()._split_scope(nodeid)
        folder = notebook.rpartition("/")[0]
        return folder if folder.endswith("reproduction") else notebook


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)
