"""What DLST's paper calls f+: the target's score after the softmax.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017, section 3.2.
"""

from torch import Tensor

from trackerlib.trackers.mdnet.classifier import Classifier


class ProbabilityClassifier(Classifier):
    """MDNet's, with probabilities for scores; hard negatives are those of the highest."""

    def of_target(self, scores: Tensor) -> Tensor:
        """Return f+ (K,) of scores (K, 2), 0 to 1: above 0.5 for what looks like the target."""
        return scores.softmax(1)[:, 1]
