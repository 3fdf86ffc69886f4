#!/usr/bin/env bash
# torch.compile counts recompilations per function, not per compiled module: from the ninth
# instance of one class on, a fresh torch.compile(instance) runs uncompiled, for the whole process.
#
# A guess would be that every torch.compile(...) has a budget of its own. The limit
# (torch._dynamo.config.recompile_limit, 8) is kept with the code object of `forward`, which all
# instances share. A process that builds many trackers, each with a network of its own, is
# therefore slower after a while, with one warning on stderr, and its results change by last bits.
#
# Versions: torch 2.13.0. Source: torch/_dynamo/config.py, recompile_limit; observed here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/instances.py" <<'PYTHON'
import torch

compilations = 0


def backend(graph, examples):
    """Count compilations; what is compiled stays as it is."""
    global compilations
    compilations += 1
    return graph.forward


class Scale(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


compiled = []
for number in range(12):
    before = compilations
    torch.compile(Scale(number), backend=backend)(torch.ones(3))
    compiled.append(compilations > before)
print(f"torch {torch.__version__}")
print("expected by guess: each of 12 instances is compiled")
print(f"seen: compiled {sum(compiled)} of 12, in order {''.join('ny'[c] for c in compiled)}")
assert compiled == [True] * 8 + [False] * 4, "torch behaves differently now"
PYTHON
cd "$folder"
venv/bin/python instances.py
