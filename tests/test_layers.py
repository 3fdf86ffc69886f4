"""Who may import whom: the table of the house, enforced on the parsed imports."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "trackerlib"

MAY_IMPORT = {
    "boxes": set(),
    "ops": set(),
    "nets": {"ops", "data.cache", "data.fetch"},  # where files lie, and downloads
    "data": {"boxes"},
    "trackers": {"nets", "ops", "data.crops", "boxes"},
    "train": {"nets", "ops", "data", "boxes", "trackers.online.samplers"},
    "eval": {"data", "boxes"},
    "plots": {"eval", "data", "boxes"},
    "__main__": {"boxes", "ops", "nets", "data", "trackers", "train", "eval", "plots"},
}
CORE = ("boxes", "ops", "nets", "trackers", "data")


def imported(path: Path, package: Path = PACKAGE) -> set[str]:
    """Modules of the library that a file imports anywhere, as `part.module`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            depth = len(path.relative_to(package).parts) - node.level
            above = ("trackerlib", *path.relative_to(package).parts[:depth]) if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    ours = {name.removeprefix("trackerlib.") for name in found if name.startswith("trackerlib.")}
    return ours - {"__version__"}


def part(module: str) -> str:
    return module.split(".")[0]


def allowed(module: str, importer: str) -> bool:
    names = MAY_IMPORT[importer] | {importer}
    return any(module == name or module.startswith(f"{name}.") for name in names)


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_what_its_layer_may(path):
    importer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert importer in MAY_IMPORT, f"{path.name}: add its part to the table"
    wrong = {module for module in imported(path) if not allowed(module, importer)}
    assert not wrong, f"{path.relative_to(PACKAGE)} may not import {sorted(wrong)}"


def test_the_parts_have_no_cycle():
    graph = {}
    for path in FILES:
        importer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        graph.setdefault(importer, set()).update(part(m) for m in imported(path))
    tuple(
        graphlib.TopologicalSorter(
            {name: deps - {name} for name, deps in graph.items()}
        ).static_order()
    )


def test_a_forbidden_import_is_seen(tmp_path):
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "bad.py"
    file.write_text("from trackerlib.eval import metrics\nfrom ..trackers import kcf\n")
    assert imported(file, tmp_path) == {"eval.metrics", "trackers.kcf"}
    assert not allowed("eval.metrics", "data") and not allowed("trackers.kcf", "data")
    assert allowed("data.crops", "trackers") and not allowed("data.otb", "trackers")


CORE_ONLY = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        heavy = {"dask", "distributed", "pooch", "requests", "matplotlib", "pandas", "IPython",
                 "ipywidgets", "skimage", "sklearn", "scipy", "tqdm", "filelock", "papermill",
                 "safetensors"}
        if name.partition(".")[0] in heavy:
            raise ImportError(f"the core imports {name}")

sys.meta_path.insert(0, Refuse())
sys.modules["triton"] = None  # not installed
for part in sys.argv[1:]:
    module = importlib.import_module(f"trackerlib.{part}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{module.__name__}."):
        # neither a renderer nor a GPU's kernels
        if not found.name.startswith(("trackerlib.data.synthetic", "trackerlib.ops.kernels.")):
            importlib.import_module(found.name)
"""


def test_the_core_imports_with_torch_numpy_and_opencv_alone():
    core = [
        part for part in CORE if (PACKAGE / part).exists() or (PACKAGE / f"{part}.py").exists()
    ]
    done = subprocess.run(
        [sys.executable, "-c", CORE_ONLY, *core], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
