"""KCF on all real sequences that are there: as good as the published one, target by target."""

import numpy as np
import pytest

from trackerlib.data.otb import read_otb
from trackerlib.eval import protocols
from trackerlib.eval.metrics import score
from trackerlib.eval.published import published_scores
from trackerlib.eval.runner import track
from trackerlib.trackers import parse

FOURTEEN = (
    *("Bird2", "Couple", "Crossing", "David", "DragonBaby", "Football1", "Girl"),
    *("Human7", "Jogging-1", "Jogging-2", "Man", "MotorRolling", "Skiing", "Surfer"),
)


@pytest.fixture(scope="module")
def scores(shared):
    """Sequence -> (AUC, precision at 20 px)."""
    found = {}
    for sequence in read_otb(shared / "otb"):
        (whole,) = protocols.segments(sequence, "ope")
        scored = score(track(parse("kcf").build(), sequence, whole).boxes, sequence.boxes)
        found[sequence.name] = scored.auc, scored.precision20
    return found


def test_means_reach_the_published_level(scores):
    auc, precision = np.mean([scores[name] for name in FOURTEEN], axis=0)
    assert len(FOURTEEN) == 14 and auc >= 0.38 and precision >= 0.53
    auc, precision = np.mean(list(scores.values()), axis=0)
    published_auc, published_precision, covered = published_scores(scores)["KCF"]
    assert len(scores) == covered == 20
    assert auc >= published_auc - 0.025 and precision >= published_precision - 0.04


def test_most_targets_are_close_to_the_published_run(scores):
    gaps = [auc - published_scores([name])["KCF"][0] for name, (auc, _) in scores.items()]
    assert np.sum(np.abs(gaps) <= 0.10) >= 17
