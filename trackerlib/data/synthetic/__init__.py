"""The embedded benchmark: sequences that the project renders for itself.

Sixteen short videos made of photographs that come with well-kept libraries,
in OTB's folder format, with exact boxes and visibility. Each of OTB's eleven
attributes has a sequence in which it dominates (DIFFICULTIES), and every
sequence takes a severity: 0 its easy twin, 1 the benchmark's value, up to 2.
"""

from trackerlib.data.synthetic.dataset import DIFFICULTIES, ensure, names, render

__all__ = ["DIFFICULTIES", "ensure", "names", "render"]
