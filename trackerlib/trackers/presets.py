"""A tracker as its paper prints it, as its authors' code runs it, and as it is here.

The module of a paper's tracker has a tuple DEPARTURES: every field of its Config whose default is
not what the paper prints, or in which the released code is not what the paper prints.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["OPEN", "PRESETS", "Departure", "settings"]

PRESETS = ("paper", "authors")
OPEN = "(open)"  # what a text leaves open


@dataclass(frozen=True)
class Departure:
    """One field of a Config, in the paper, in the authors' code, and why it is otherwise here.

    field    its name
    source   section, equation or table; file or setting of the released code
    why      why the default differs, or what the field is for
    paper    the value as printed; OPEN where the text has none
    authors  the value in the released code; OPEN where there is no code, or none that is known
    """

    field: str
    source: str
    why: str
    paper: Any = OPEN
    authors: Any = OPEN

    def value(self, preset: str) -> Any:
        """Return the field in a preset of PRESETS; where one source is silent, the other's."""
        first, second = (self.paper, self.authors)[:: 1 if preset == "paper" else -1]
        return second if first is OPEN else first


def settings(name: str, preset: str, departures: Iterable[Departure]) -> dict[str, Any]:
    """Return the fields of a tracker's Config that a preset sets.

    name  of the tracker, for messages

    Raises ValueError for an unknown preset, and for a tracker that has none.
    """
    departures = tuple(departures)
    if not departures:
        raise ValueError(
            f"parse: expected a tracker of a paper for preset={preset}, got {name}, which has no "
            "presets; leave it out"
        )
    if preset not in PRESETS:
        raise ValueError(
            f"parse: expected preset {' or '.join(PRESETS)} of {name}, got {preset!r}; "
            "without one a tracker is what measures best with the bundled weights"
        )
    values = {departure.field: departure.value(preset) for departure in departures}
    return {field: value for field, value in values.items() if value is not OPEN}
