"""Scale of published boxes: what trackers of this kind reach on OTB's targets."""

import numpy as np
import pytest
import raw_results

from trackerlib.eval.metrics import score

TARGETS = (
    *("Bird2", "Couple", "Crossing", "David", "Deer", "Dog", "DragonBaby", "Football1", "Girl"),
    *("Human7", "Jogging-1", "Jogging-2", "KiteSurf", "Man", "MotorRolling", "MountainBike"),
    *("Skiing", "Subway", "Surfer", "Vase"),
)


@pytest.mark.parametrize(
    ("tracker", "auc", "scale", "late_scale"),
    [
        ("MDNet", 0.6921, 1.0245, 1.0951),
        ("RT-MDNet", 0.6819, 1.0377, 1.1593),
        ("KCF", 0.4392, 1.0605, 1.1782),  # a box of fixed size: the targets change little
    ],
)
def test_the_authors_boxes_keep_their_size(shared, tracker, auc, scale, late_scale):
    """Means over twenty targets, the yardstick for this library's own heads."""
    runs = raw_results.runs(shared, tracker, raw_results.read_truth(shared))
    scores = [score(*runs[name]) for name in TARGETS]
    found = [np.mean([getattr(one, m) for one in scores]) for m in ("auc", "scale", "late_scale")]
    np.testing.assert_allclose(found, (auc, scale, late_scale), atol=1e-4)
