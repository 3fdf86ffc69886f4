"""What a soak finds: growth, files that stay open, rounds that take longer."""

import pytest

from benchmarks import soak
from benchmarks.soak import Round

STEADY = [Round(1000 * n, 20.0, 300.0 + 0.1 * (n % 2), 12) for n in range(1, 13)]


def test_a_steady_soak_has_nothing_to_say():
    assert soak.verdict(STEADY) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r._replace(memory=300 + 1.5 * r.frames / 1000), "memory grows by 1.50 MB"),
        (lambda r: r._replace(files=12 + r.frames // 1000), "11 more files are open"),
        (lambda r: r._replace(seconds=24.0 if r.frames > 9000 else 20.0), "last minute takes +20"),
        (lambda r: r._replace(seconds=16.0 if r.frames > 8000 else 20.0), "last minute takes -20"),
    ],
)
def test_what_grows_is_told(change, said):
    (line,) = soak.verdict([change(r) for r in STEADY])
    assert said in line


def test_rounds_are_counted_after_the_first():
    rounds = list(soak.soak(["identity"], 0))
    assert [r.frames for r in rounds] == [soak.FRAMES * n for n in (1, 2, 3)]
    assert all(r.seconds > 0 and r.memory > 1 and r.files > 0 for r in rounds)
