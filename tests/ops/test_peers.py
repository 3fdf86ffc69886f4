"""A comparison with torchvision is skipped, and does not fail, where that is absent or broken."""

import sys

import pytest
from peers import load_torchvision

BROKEN = {
    "absent": "raise ModuleNotFoundError('No module named torchvision')",
    "operators": "raise RuntimeError('operator torchvision::nms does not exist')",
    "library": "raise OSError('libcudart.so.13: cannot open shared object file')",
    "attribute": "import torch; torch.of_another_version",
    "no ops": "",
    "only at a call": "from . import ops",
}


@pytest.mark.parametrize("label", BROKEN)
def test_a_torchvision_that_does_not_load_is_skipped(label, tmp_path, monkeypatch):
    folder = tmp_path / "torchvision"
    folder.mkdir()
    (folder / "__init__.py").write_text(BROKEN[label])
    if label == "only at a call":
        (folder / "ops.py").write_text("def roi_pool(*_):\n    raise RuntimeError('no operators')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(pytest.skip.Exception, match="torchvision, which cannot be loaded here: "):
        load_torchvision()
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
