"""The backbone that ships: small, half precision, credited, and better than no training."""

import pytest
import torch
from safetensors import safe_open

from trackerlib import weights
from trackerlib.analysis.linear_probe import probe_levels
from trackerlib.boxes import xywh_to_xyxy
from trackerlib.data import synthetic
from trackerlib.nets import vggm
from trackerlib.ops.roi_align import roi_align
from trackerlib.weights.inference import Inference
from trackerlib.weights.registry import locate, registry

ENTRY = registry()["vggm"]


def test_it_is_small_and_of_half_precision():
    path = locate(ENTRY)
    assert path.stat().st_size == ENTRY.size <= 4_000_000
    with safe_open(path, "pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert kinds == {"F16"}


def test_the_registry_says_what_it_is():
    assert ENTRY.bundled and ENTRY.licence == "MIT"
    assert ENTRY.benchmark_seen.startswith("no frame")
    for teacher in ("squeezenet", "googlenet"):
        assert teacher in ENTRY.origin and teacher in registry()


@pytest.mark.parametrize("dense", [True, False])
def test_it_loads_in_both_forms_and_no_channel_is_dead(dense):
    torch.manual_seed(0)
    coarse = torch.rand(6, 3, 20, 20)
    images = 255 * torch.nn.functional.interpolate(coarse, (203, 203), mode="bicubic").clamp(0, 1)
    backbone = weights.load("vggm", dense=dense)
    for name, features in zip(backbone.taps, backbone(images, *backbone.taps), strict=True):
        assert features.isfinite().all()
        alive = (features.amax((0, 2, 3)) > 0).float().mean()
        assert alive > 0.9, f"{name}: {alive:.0%} of the channels answer"


def test_it_knows_targets_better_than_an_untrained_one():
    torch.manual_seed(0)
    backbones = {
        "untrained": Inference(vggm.VGGM(vggm.Config(dense=True)), mode="float32"),
        "vggm": Inference(weights.load("vggm", dense=True), mode="float32"),
    }
    tap = backbones["vggm"].taps["conv3"]

    @torch.inference_mode()
    def features(frame, boxes):
        image = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
        image = torch.nn.functional.pad(image, [38] * 4, mode="replicate")
        corners = torch.from_numpy(xywh_to_xyxy(boxes)).float() + 38 - tap.centre
        rois = torch.cat((torch.zeros(len(boxes), 1), corners), 1)
        maps = {name: backbone(image, "conv3")[0] for name, backbone in backbones.items()}
        return {
            name: roi_align(m, rois, 3, 1 / tap.stride, 2).flatten(1) for name, m in maps.items()
        }

    differences = []
    for name in ("Twins", "Ride", "Harbour"):
        found = probe_levels(features, synthetic.render(name), every=30)
        differences.append(found["vggm"].ap.mean() - found["untrained"].ap.mean())
    assert sum(differences) / len(differences) > 0.02, differences
