#!/usr/bin/env bash
# Numba compiles `copy[:] = cells` between arrays of two types more than ten times as long as the
# two loops that do the same: seconds, which a first call waits for.
#
# A guess would be that the shorter form is no dearer, as in NumPy. The assignment brings checks of
# shapes and of overlap, with a copy, that are compiled anew for every pair of types.
#
# Versions: numba 0.68.1, llvmlite 0.50.0, numpy 2.4.6. Source: observed here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet numba==0.68.1 llvmlite==0.50.0 numpy==2.4.6
cat > "$folder/slices.py" <<'PYTHON'
import sys
import time

import numba
import numpy as np


@numba.njit
def warm(cells):
    return cells[0, 0]


@numba.njit
def by_slice(cells, copy):
    copy[:] = cells


@numba.njit
def by_loops(cells, copy):
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            copy[i, j] = cells[i, j]


def seconds(function):
    cells, copy = np.arange(6, dtype=np.int16).reshape(2, 3), np.zeros((2, 3), np.float32)
    began = time.process_time()
    function(cells, copy)
    took = time.process_time() - began
    assert (cells == copy).all()
    return took


warm(np.zeros((1, 1), np.int16))  # what Numba loads once
loops, slices = seconds(by_loops), seconds(by_slice)
print("numba", numba.__version__, "numpy", np.__version__)
print(f"loops {loops:.3f} s, slice {slices:.3f} s; expected: about the same")
sys.exit(slices < 10 * loops)
PYTHON
"$folder/venv/bin/python" "$folder/slices.py"
