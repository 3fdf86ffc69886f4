"""DLST: a network locates the target, then another chooses among boxes around both places.

config     every constant, with its source
networks   localization and classification
losses     labels and loss of the localization
localizer  the localization network, fine-tuned while tracking
tracker    MDNet's loop with both

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
"""

from trackerlib.trackers.dlst.config import Config
from trackerlib.trackers.dlst.tracker import Tracker

__all__ = ["Config", "Tracker"]
