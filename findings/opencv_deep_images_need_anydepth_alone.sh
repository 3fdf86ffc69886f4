#!/usr/bin/env bash
# cv2.imdecode and cv2.imread return None for a valid grey float TIFF when they are asked for
# colour at any depth (IMREAD_COLOR | IMREAD_ANYDEPTH), and decode it with IMREAD_ANYDEPTH alone.
#
# A guess would be that IMREAD_COLOR | IMREAD_ANYDEPTH means "three channels, in the depth of the
# file": for 16-bit integers it does. For grey TIFFs of float32 and float64 the combination fails,
# so that a reader of thermal or depth images takes a good file for a damaged one.
#
# Versions: opencv-python-headless 5.0.0.93, numpy 2.4.6. Source: observed here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
cat > "$folder/depths.py" <<'PYTHON'
import sys

import cv2
import numpy as np

print("OpenCV", cv2.__version__, "NumPy", np.__version__)
both = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
ramp = np.arange(64 * 48).reshape(48, 64)
seen = {}
for kind in np.uint16, np.float32, np.float64:
    _, encoded = cv2.imencode(".tiff", ramp.astype(kind))
    colour, alone = cv2.imdecode(encoded, both), cv2.imdecode(encoded, cv2.IMREAD_ANYDEPTH)
    seen[kind.__name__] = colour is not None, alone is not None and alone.dtype == kind
    print(f"{kind.__name__}: with IMREAD_COLOR decoded {seen[kind.__name__][0]}, alone {seen[kind.__name__][1]}")
print("expected: True and True for all three")
sys.exit(seen != {"uint16": (True, True), "float32": (False, True), "float64": (False, True)})
PYTHON
"$folder/venv/bin/python" "$folder/depths.py" 2> /dev/null
