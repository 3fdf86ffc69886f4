"""What every test may ask for."""

from pathlib import Path

import hypothesis
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

# A busy machine is no reason to fail, and a failure must come again.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real sequences and published results, beside the checkout where there are any."""
    if not SHARED.is_dir():
        pytest.skip(f"needs real sequences in {SHARED}, a folder beside the checkout")
    return SHARED
