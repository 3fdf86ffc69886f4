"""KCF on all real sequences that are there: as good as the published one, target by target."""

import numpy as np
import pytest

from trackerlib.data.otb import read_otb
from trackerlib.eval import protocols
from trackerlib.eval.metrics import score
from trackerlib.eval.published import published_scores
from trackerlib.eval.runner import track
from trackerlib.trackers import parse


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
    auc, precision = np.mean(list(scores.values()), axis=0)
    assert len(scores) == 14 and auc >= 0.38 and precision >= 0.53


def test_most_targets_are_close_to_the_published_run(scores):
    gaps = [auc - published_scores([name])["KCF"][0] for name, (auc, _) in scores.items()]
    assert np.sum(np.abs(gaps) <= 0.10) >= 11
