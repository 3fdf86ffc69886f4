"""MDNet: tracking as classification, which FDN, RT-MDNet and DLST build on.

config      every constant, with its source
departures  those that are otherwise in the paper or in the authors' code
samplers    boxes around the target: candidates, positives, negatives
features    from boxes in a frame to rows of features
memory      features of the latest frames
parts       the head's first layer and the rest
span        the same head while few rows are learned from
classifier  the head, fine-tuned on hard negatives
regressor   bounding box regression
tracker     the loop

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016.
"""

from trackerlib.trackers.mdnet.config import Config, OnlineConfig
from trackerlib.trackers.mdnet.departures import DEPARTURES
from trackerlib.trackers.mdnet.tracker import Tracker

__all__ = ["DEPARTURES", "Config", "OnlineConfig", "Tracker"]
