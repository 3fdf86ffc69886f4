"""How sure a tracker is, from 0 to 1, and whether it has lost its target.

A tracker hands on what it knows of each frame, its evidence: the peak of its response, its
classifier's probability. data/lost.json says what that is worth, by a logistic regression on
clips that nothing here was trained on (`benchmarks/lost.py`), and from which score on a target
counts as lost. It is the one place of these numbers.
"""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from trackerlib.paths import shipped

__all__ = ["LOST_IOU", "Calibration", "Watch", "Watched", "calibrations", "log_odds", "of_module"]

LOST_IOU = 0.2  # below which a box has lost its target
# Trackers without numbers of their own have those of one whose evidence is alike.
ALIKE = {"mdnet": "rtmdnet", "fdn": "rtmdnet", "dlst": "rtmdnet", "detection": "rtmdnet"}
ALIKE |= {"hcf": "msdat"}
CLASSIFIER = "rtmdnet"  # its evidence begins with log-odds: a score even without a calibration
NO_TARGET = -6.0  # log-odds where there is nothing to see: a score of 0.0025
MAX_LOG_ODDS = 12.0


class Calibration(NamedTuple):
    """What the evidence of one tracker is worth.

    weights    of each kind of evidence, in log-odds
    bias       log-odds of no evidence
    memory     share of the former frames in the log-odds, 0 to 1
    threshold  score below which the target is lost
    """

    weights: Mapping[str, float]
    bias: float
    memory: float
    threshold: float


# What the classifier says, as it is: until data/lost.json has better.
SOFTMAX = Calibration({"now": 1.0}, 0.0, 0.0, 0.5)


@lru_cache
def calibrations() -> dict[str, Calibration]:
    """Return tracker -> its calibration, of data/lost.json."""
    rows = json.loads(shipped("lost.json").read_text())["trackers"]
    fields = Calibration._fields
    return {name: Calibration(*map(row.get, fields)) for name, row in rows.items()}


def of_module(module: str) -> str:
    """Return whose module this is: `dlst` of `trackerlib.trackers.dlst.tracker`."""
    _, _, rest = module.partition("trackers.")
    return rest.partition(".")[0]


class Watch:
    """What is said of one target, frame by frame.

    name         of a tracker, which chooses the calibration
    evidence     of the latest frame, as it was given
    probability  score, 0 to 1, that the box overlaps the target by LOST_IOU or more; None before
                 the first evidence, and of a tracker without a calibration
    is_lost      whether it is below the threshold; False where there is no score
    """

    def __init__(self, name: str) -> None:
        known = calibrations()
        alike = ALIKE.get(name, name)
        self.calibration = known.get(name) or known.get(alike)
        if self.calibration is None and alike == CLASSIFIER:
            self.calibration = SOFTMAX
        self.begin()

    def begin(self) -> None:
        """Forget the target: another one is learned."""
        self.evidence: dict[str, float] = {}
        self._log_odds: float | None = None

    def see(self, **evidence: float) -> None:
        """Take the evidence of a frame; where there is none, it shows no target."""
        self.evidence = evidence
        if self.calibration is None:
            return
        if not evidence:
            self._log_odds = NO_TARGET
            return
        weights, bias, memory, _ = self.calibration
        now = sum((weight * evidence[name] for name, weight in weights.items()), bias)
        now = min(max(now, -MAX_LOG_ODDS), MAX_LOG_ODDS)
        former = now if self._log_odds is None else self._log_odds
        self._log_odds = memory * former + (1 - memory) * now

    @property
    def probability(self) -> float | None:
        """Return the score of the latest frame."""
        return None if self._log_odds is None else 1 / (1 + math.exp(-self._log_odds))

    @property
    def is_lost(self) -> bool:
        """Return whether the target is held to be lost in the latest frame."""
        score = self.probability
        return (
            score is not None
            and self.calibration is not None
            and score < self.calibration.threshold
        )


class Watched:
    """A tracker with a `watch`: what it says is the tracker's.

    probability  score of the latest box, 0 to 1; None before there is one
    is_lost      whether the target is held to be lost
    """

    watch: Watch

    @property
    def probability(self) -> float | None:
        """Return the score of the latest box, 0 to 1: see `Watch`."""
        return self.watch.probability

    @property
    def is_lost(self) -> bool:
        """Return whether the target is held to be lost in the latest frame: see `Watch`."""
        return self.watch.is_lost


def log_odds(probability: float) -> float:
    """Return log(p / (1 - p)), within MAX_LOG_ODDS."""
    bound = 1 / (1 + math.exp(MAX_LOG_ODDS))
    p = min(max(probability, bound), 1 - bound)
    return math.log(p / (1 - p))
