"""DeepTrack: a small network learned online, from nothing but the video.

config      every constant, with its source
departures  where they are not the paper's
cues        the three low-level images that patches are cut from
network     a small network for each cue, and the layer that fuses them
losses      the structural loss, truncated
pool        patches of earlier frames: temporal sampling and label noise
learner     iterative stochastic gradient descent, and the lazy update
tracker     the particle filter around them

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016.
"""

from trackerlib.trackers.deeptrack.config import Config
from trackerlib.trackers.deeptrack.departures import DEPARTURES
from trackerlib.trackers.deeptrack.tracker import Tracker

__all__ = ["DEPARTURES", "Config", "Tracker"]
