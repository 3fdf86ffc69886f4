"""A tracker on weights that its authors published, here made ones."""

import made_weights as made
import numpy as np

from trackerlib import weights
from trackerlib.nets.vggm import Config
from trackerlib.trackers import parse


def test_rtmdnet_runs_on_its_authors_weights_with_their_norm(tmp_path, folder):
    """A made file of the same structure: shared_layers of conv1 to fc5, and branches."""
    shapes = made.VGGM | {"fc4": (512, 4608), "fc5": (512, 512)}
    shared = {name: 0.02 * tensor for name, tensor in made.tensors(shapes).items()}
    made.save_torch(tmp_path / "rt-mdnet.pth", made.mdnet(shared), "legacy")
    weights.add(tmp_path / "rt-mdnet.pth", "rt-mdnet", format="rt-mdnet")
    few = "candidates=16,first_positives=20,first_negatives=64,regression_boxes=20"
    spec = f"rtmdnet:backbone=rt-mdnet,head=rt-mdnet,feature_scale=1,mode=float32,{few}"
    tracker = parse(spec).build()
    assert tracker.backbone.backbone.config == Config(dense=True, norm="rt-mdnet")
    frames = np.random.default_rng(0).integers(0, 255, (2, 120, 160, 3)).astype(np.uint8)
    tracker.init(frames[0], np.array([60.0, 40, 30, 30]))
    head = tracker.classifier.head
    assert (head.fc5.weight - shared["fc5.weight"]).abs().max() < 0.01  # a little learned
    assert np.isfinite(tracker.update(frames[1])).all()
