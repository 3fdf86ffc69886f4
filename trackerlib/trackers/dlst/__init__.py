"""DLST: a network locates the target, then another chooses among boxes around both places.

config      every constant, with its source
departures  where they are not the paper's, or not the authors'
networks    localization and classification
losses      labels and loss of the localization
classifier  scores after the softmax, as in the paper
localizer   the localization network, fine-tuned while tracking
tracker     MDNet's loop with both

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
"""

from trackerlib.trackers.dlst.config import Config
from trackerlib.trackers.dlst.departures import DEPARTURES
from trackerlib.trackers.dlst.tracker import Tracker

__all__ = ["DEPARTURES", "Config", "Tracker"]
