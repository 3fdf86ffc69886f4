#!/usr/bin/env bash
# vot-toolkit gives two rectangles one pixel wide in the same column an overlap of 1, however far
# apart they are: x, y, w, h of 5, 10, 1, 20 and 5, 40, 1, 20 share no pixel and overlap wholly.
#
# A guess would be 0, the common pixels over all. Before painting, calculate_overlap takes the
# bounds of both regions, last pixels included, and calls both empty, hence equal, where left is
# not below right; bounds of one column have left == right. One pixel high does the same.
#
# Versions: vot-toolkit 0.7.4 (the raster code of 0.9.0 is the same), attributee 0.1.9,
# numba 0.68.1, numpy 2.4.6, Linux, Python 3.11. Source: observed here; vot/region/raster.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet vot-toolkit==0.7.4 attributee==0.1.9 \
    numba==0.68.1 numpy==2.4.6
cat > "$folder/overlap.py" <<'PYTHON'
import sys
from importlib.metadata import version

from vot.region import calculate_overlap
from vot.region.shapes import Rectangle

print(*(f"{name} {version(name)}" for name in ("vot-toolkit", "attributee", "numba", "numpy")))
size = (100, 100)
thin = calculate_overlap(Rectangle(5, 10, 1, 20), Rectangle(5, 40, 1, 20), size)
wide = calculate_overlap(Rectangle(5, 10, 2, 20), Rectangle(5, 40, 2, 20), size)
print("one pixel wide, apart:", thin, "expected: 0.0")
print("two pixels wide, apart:", wide, "expected: 0.0")
sys.exit((thin, wide) != (1.0, 0.0))
PYTHON
"$folder/venv/bin/python" "$folder/overlap.py"
