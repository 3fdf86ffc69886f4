#!/usr/bin/env bash
# Making any torch.optim.Optimizer, or a module initialised on the meta device, imports all of
# torch._dynamo, though nothing is compiled; torch.optim.sgd.sgd, the same steps by a function,
# does not.
#
# A guess would be that eager PyTorch loads its compiler with the first torch.compile. In a
# program of a few steps, as a tracker's first frame, the import is most of a second.
#
# Versions: torch 2.13.0, numpy 2.4.6. Source: observed here; torch/_compile.py imports it where a
# function that is marked as not to be compiled is first called.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/imports.py" <<'PYTHON'
import sys

import torch
from torch.optim.sgd import sgd

weight = torch.nn.Parameter(torch.ones(2))
weight.square().sum().backward()
rates = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "dampening": 0.0}
with torch.no_grad():
    sgd([weight], [weight.grad], [None], fused=True, nesterov=False, maximize=False, **rates)
by_function = "torch._dynamo" in sys.modules
if sys.argv[1] == "class":
    torch.optim.SGD([weight], lr=0.1)
else:
    with torch.device("meta"):
        torch.nn.init.normal_(torch.empty(2))
by_other = "torch._dynamo" in sys.modules
print("torch", torch.__version__, sys.argv[1])
print("imported by the function:", by_function, "by the other:", by_other, "expected: False, False")
sys.exit(by_function or not by_other)
PYTHON
"$folder/venv/bin/python" "$folder/imports.py" class
"$folder/venv/bin/python" "$folder/imports.py" meta
