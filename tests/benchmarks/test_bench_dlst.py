"""The direct form of DLST computes what the library's does."""

import numpy as np
import torch

from benchmarks import dlst
from trackerlib.data import synthetic
from trackerlib.trackers import parse
from trackerlib.weights import inference

LIGHT = (
    "dlst:mode=float32,candidates=16,positives=4,negatives=16,mining_pool=96,first_positives=16,"
    "first_negatives=64,first_iterations=4,iterations=2,regression=false"
)


def test_one_box_after_the_other_has_the_same_features():
    images = 255 * torch.rand(3, 3, 107, 107)
    fast = inference.load("vggm", "cpu", "float32", dense=False)
    for ours, direct in zip(
        fast(images, "conv1", "conv3"), dlst.Alone()(images, "conv1", "conv3"), strict=True
    ):
        torch.testing.assert_close(direct, ours, rtol=1e-3, atol=1e-3 * float(ours.max()))


def test_both_follow_the_same_boxes():
    sequence, spec = synthetic.render("Harbour"), parse(LIGHT)
    fast, _ = dlst.followed(spec.build(), sequence, 4)
    direct, spent = dlst.followed(dlst.Direct(spec.config), sequence, 4)
    np.testing.assert_allclose(direct, fast, atol=1e-2)
    assert spent > 0
