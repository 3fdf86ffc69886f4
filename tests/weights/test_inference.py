"""Whatever the mode, the features are the backbone's."""

import pytest
import torch

from trackerlib import weights
from trackerlib.weights import inference
from trackerlib.weights.inference import Inference

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}  # of the norm of a map
INT8_TOLERANCE = 5e-2


def images(count=1):
    """Smooth, as images are, in 0 to 255."""
    coarse = torch.rand(count, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    return 255 * torch.nn.functional.interpolate(coarse, (107, 107), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("mode", inference.MODES)
def test_the_features_stay_what_they_are(mode):
    expected = weights.load("vggm", dense=True)(images(), "conv1", "conv3")
    run = Inference(weights.load("vggm", dense=True), mode=mode)
    for found, true in zip(run(images(), "conv1", "conv3"), expected, strict=True):
        assert found.dtype == torch.float32
        tolerance = INT8_TOLERANCE if mode == "int8" else TOLERANCE[run.dtype]
        assert (found - true).norm() <= tolerance * true.norm()


def test_a_large_batch_is_its_parts():
    run = Inference(weights.load("vggm"), mode="float32")
    batch = images(inference.MAX_IMAGES + 3)
    (found,) = run(batch, "conv3")
    torch.testing.assert_close(found[-1:], run(batch[-1:], "conv3")[0], rtol=1e-3, atol=1e-4)
    assert found.shape == (inference.MAX_IMAGES + 3, 512, 3, 3)


@pytest.fixture
def unset(monkeypatch):
    """No mode is wished for."""
    monkeypatch.delenv("TRACKERLIB_MODE", raising=False)


HARDWARE = ("_is_amx_tile_supported", "_is_avx512_bf16_supported", "_is_avx2_supported")


@pytest.mark.parametrize(
    ("has", "mode"),
    [
        ((True, True, True), "bfloat16"),
        ((False, True, True), "bfloat16"),
        ((False, False, True), "int8"),
        ((False, False, False), "float32"),
    ],
)
def test_the_processor_decides_the_precision(monkeypatch, unset, has, mode):
    for name, there in zip(HARDWARE, has, strict=True):
        monkeypatch.setattr(torch.cpu, name, lambda there=there: there, raising=False)
    assert inference.best_mode() == mode
    assert inference.best_mode("cuda") == "float32"
    assert inference.number_type("compiled") == inference.number_type(mode)
    assert inference.number_type("compiled", "cuda") == torch.float32
    assert inference.number_type("bfloat16") == torch.bfloat16


def test_a_pytorch_that_does_not_know_the_processor_takes_float32(monkeypatch, unset):
    for name in HARDWARE:
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert Inference(weights.load("vggm")).mode == "float32"


@pytest.mark.parametrize("mode", ["float32", "bfloat16"])
def test_only_what_is_to_be_compiled_is(monkeypatch, mode):
    monkeypatch.setattr(torch, "compile", None)  # a call would raise
    assert Inference(weights.load("vggm"), mode=mode)(images(), "conv3")


def test_without_a_compiler_nothing_is_compiled_which_is_told(monkeypatch):
    monkeypatch.setattr(inference.shutil, "which", lambda name: None)
    monkeypatch.setattr(torch, "compile", None)  # a call would raise
    with pytest.warns(UserWarning, match="needs a C\\+\\+ compiler .* none was found"):
        run = Inference(weights.load("vggm"), mode="compiled")
    assert run(images(), "conv3")


@pytest.mark.parametrize("mode", inference.MODES)
def test_the_environment_decides_what_auto_is(monkeypatch, mode):
    monkeypatch.setenv("TRACKERLIB_MODE", mode)
    assert inference.best_mode() == inference.best_mode("cuda") == mode
    assert inference.number_type("auto") == inference.number_type(mode)
    assert inference.number_type("float32") == torch.float32  # a mode that is named is kept


def test_a_backbone_is_loaded_again_when_auto_becomes_another_mode(monkeypatch):
    monkeypatch.setenv("TRACKERLIB_MODE", "float32")
    first = inference.load("vggm", "cpu")
    assert first is inference.load("vggm", "cpu", "float32") and first.mode == "float32"
    monkeypatch.setenv("TRACKERLIB_MODE", "compiled")
    assert inference.load("vggm", "cpu").mode == "compiled"


@pytest.mark.parametrize("mode", ["auto", "float16", "Float32"])
def test_an_unknown_mode_of_the_environment_is_told(monkeypatch, mode):
    monkeypatch.setenv("TRACKERLIB_MODE", mode)
    with pytest.raises(ValueError, match=f"TRACKERLIB_MODE among float32, .*got '{mode}'"):
        inference.best_mode()


def test_an_empty_mode_of_the_environment_is_none(monkeypatch):
    monkeypatch.setenv("TRACKERLIB_MODE", "")
    assert inference.best_mode() in inference.MODES


def test_integers_are_of_cpus():
    with pytest.raises(ValueError, match="int8 is of CPUs, got device cuda"):
        Inference(weights.load("vggm"), "cuda", "int8")


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="float16"):
        Inference(weights.load("vggm"), mode="float16")


def test_a_backbone_is_loaded_once_whatever_the_seed_but_a_random_one_is_not():
    first, again = (inference.load("vggm", "cpu", "float32", seed) for seed in (1, 2))
    assert first is again
    one, other = (inference.load("random", "cpu", "float32", seed) for seed in (1, 2))
    assert not torch.equal(one.backbone.conv1.weight, other.backbone.conv1.weight)
