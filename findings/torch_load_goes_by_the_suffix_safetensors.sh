#!/usr/bin/env bash
# torch.load(PATH) takes a file for safetensors because its name ends in .safetensors: what
# torch.save wrote under such a name cannot be loaded by its path, and loads as an open file.
#
# A guess would be that torch.load goes by the bytes, as it does for zip and legacy files. People
# rename checkpoints; the error then speaks of a header and not of the name.
#
# Versions: torch 2.13.0, safetensors 0.8.0, numpy 2.4.6. Source: observed here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 safetensors==0.8.0 numpy==2.4.6
cat > "$folder/suffix.py" <<'PYTHON'
import sys

import torch

path = sys.argv[1]
print("torch", torch.__version__)
torch.save({"weight": torch.ones(2)}, path)
with open(path, "rb") as file:
    by_file = torch.load(file, weights_only=True)["weight"].tolist() == [1.0, 1.0]
try:
    torch.load(path, weights_only=True)
    by_path = "loaded"
except Exception as error:
    by_path = f"{type(error).__name__}: {error}"[:80]
print("as an open file:", by_file, "by its path:", by_path, "expected: both loaded")
sys.exit(not by_file or by_path == "loaded")
PYTHON
"$folder/venv/bin/python" "$folder/suffix.py" "$folder/model.safetensors"
