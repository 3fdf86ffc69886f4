"""Libraries that do the same, which a machine may have or not."""

from types import ModuleType

import pytest
import torch


def load_torchvision() -> ModuleType:
    """Return torchvision.ops; skip the test where it cannot be loaded, for whatever reason."""
    try:
        import torchvision.ops

        # Its compiled part must fit the installed torch: some versions find out at a call.
        torchvision.ops.roi_pool(torch.zeros(1, 1, 1, 1), torch.zeros(0, 5), 1)
    except Exception as error:  # noqa: BLE001 - a library that does not load may raise anything
        reason = f"{type(error).__name__}: {error}"
        pytest.skip(f"the peer is torchvision, which cannot be loaded here: {reason}")
    return torchvision.ops
