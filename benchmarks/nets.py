"""How long a backbone takes, mode by mode, and how far its features move.

    python -m benchmarks.nets [--threads 2] [--device cpu]

Rows are VGG-M on the two loads that trackers put on it: one crop of a scene through the
dense form, and 256 crops of candidates. The mode that is the default is marked. The last
lines time what a user waits for first: the import, loading, the first map.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor

from trackerlib import weights
from trackerlib.nets.backbone import Backbone
from trackerlib.weights.inference import MODES, Inference, best_mode

LOADS = {
    "1 x 427x320, dense": ((1, 3, 427, 320), True),
    "256 x 107x107": ((256, 3, 107, 107), False),
}
REPEATS = 15
Run = Callable[..., tuple[Tensor, ...]]  # images, names of layers -> maps
COLD = """
import time; start = time.perf_counter()
import torch
from trackerlib import weights
from trackerlib.weights import inference
backbone = weights.load("vggm", dense=True)
run = {made}
run(torch.zeros(1, 3, 320, 427), "conv3")
print(time.perf_counter() - start)
"""


def milliseconds(run: Run, images: Tensor) -> float:
    """Return the median of REPEATS calls, after two that do not count."""
    times = []
    for _ in range(REPEATS + 2):
        start = time.perf_counter()
        run(images, "conv3")
        if images.is_cuda:
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return sorted(times[2:])[REPEATS // 2]


def vgg_m(dense: bool) -> Backbone:
    """Return a fresh VGG-M with the bundled weights."""
    backbone = weights.load("vggm", dense=dense)
    assert isinstance(backbone, Backbone)
    return backbone


def main() -> None:
    """Print a row for each load and mode."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{torch.backends.cpu.get_cpu_capability()}, {arguments.threads} threads")
    for load, (shape, dense) in LOADS.items():
        coarse = torch.rand(shape[0], 3, shape[2] // 8, shape[3] // 8)
        images = 255 * torch.nn.functional.interpolate(coarse, shape[2:], mode="bilinear")
        images = images.to(arguments.device)
        contiguous = vgg_m(dense).to(arguments.device)
        with torch.inference_mode():
            true = torch.cat([contiguous(part, "conv3")[0] for part in images.split(16)])
            rows: dict[str, Run] = {"float32, NCHW": contiguous}
        for mode in (m for m in MODES if arguments.device == "cpu" or m != "int8"):
            rows[mode] = Inference(vgg_m(dense), arguments.device, mode)
        for name, run in rows.items():
            with torch.inference_mode():
                error = float((run(images, "conv3")[0] - true).norm() / true.norm())
                took = milliseconds(run, images)
            mark = "  <- default" if name == best_mode(arguments.device) else ""
            print(f"{load:20} {name:14} {took:9.1f} ms   error {error:.2%}{mark}", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for how, made in (("as loaded", "backbone"), ("default", "inference.Inference(backbone)")):
            print(f"import, load, first map, {how}: {cold(made, cache)}")


def cold(made: str, cache: str) -> str:
    """Return the seconds of three processes, the first with nothing compiled before."""
    command = [sys.executable, "-c", COLD.format(made=made)]
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
    times = [float(subprocess.check_output(command, env=environment)) for _ in range(3)]
    return ", ".join(f"{seconds:.1f} s" for seconds in times)


if __name__ == "__main__":
    main()
