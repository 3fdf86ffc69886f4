#!/usr/bin/env bash
# torch.nn.functional.embedding_bag sums a table of one column in another order when the stride of
# that column, which nothing is ever read by, is not 1: equal tensors give unequal last bits.
#
# A guess would be that two tensors with the same values, the same shape and is_contiguous() True
# give the same bits. The stride of an axis of size 1 is free, so views such as grey[None].T have
# odd ones and still count as contiguous; .contiguous() returns them as they are. embedding_bag on
# a CPU asks for stride 1 before it takes its fast path, whose sums are in another order.
# A cure is a new view: table.flatten().view(-1, 1).
#
# Versions: torch 2.13.0, numpy 2.4.6. Source: observed here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/strides.py" <<'PYTHON'
import sys

import torch
from torch.nn.functional import embedding_bag

print("torch", torch.__version__)
torch.manual_seed(0)
values = torch.rand(1000)
plain, odd = values.view(-1, 1), values.as_strided((1000, 1), (1, 1000))
rows, weights = torch.randint(1000, (500, 32)), torch.rand(500, 32)
sums = [embedding_bag(rows, t, mode="sum", per_sample_weights=weights) for t in (plain, odd)]
print("strides", plain.stride(), odd.stride(), "contiguous", plain.is_contiguous(), odd.is_contiguous())
print("tables equal:", torch.equal(plain, odd), "sums equal:", torch.equal(*sums))
print("largest difference:", float((sums[0] - sums[1]).abs().max()))
print("expected: equal sums")
close = torch.allclose(*sums, atol=1e-5)
same = torch.equal(plain, odd) and odd.is_contiguous() and close
sys.exit(not same or torch.equal(*sums))
PYTHON
"$folder/venv/bin/python" "$folder/strides.py"
