"""What DLST's paper calls f+: the target's score after the softmax.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017, section 3.2.
"""

import torch
from torch import Tensor

from trackerlib.trackers.mdnet.classifier import Classifier


class ProbabilityClassifier(Classifier):
    """MDNet's, with probabilities for scores; hard negatives are those of the highest."""

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """Return f+ (K,) of features (K, D), 0 to 1: above 0.5 for what looks like the target."""
        return self._head(features).softmax(1)[:, 1]
