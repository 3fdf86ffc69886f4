"""Who may import whom: the table below, enforced on the parsed imports."""

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "trackerlib"

# part -> parts, modules or names of the library that it may import, besides itself
MAY_IMPORT = {
    "boxes": set(),
    "checks": set(),
    "paths": set(),
    "startup": set(),
    "arguments": {"paths"},
    "adapters": {"boxes", "data.sequence"},
    "ops": {"checks"},
    "nets": {"ops", "checks"},
    "weights": {"nets", "paths", "checks", "data.fetch"},  # downloads
    "data": {"boxes", "ops.crop_and_resize", "paths", "checks"},
    "trackers": {  # and what was measured of them
        *("nets", "weights", "ops", "boxes", "checks", "data.crops", "paths.shipped"),
    },
    "train": {
        *("nets", "weights", "ops", "data", "boxes", "paths"),
        "trackers.mdnet.samplers",
        "trackers.mdnet.features",
        "trackers.protocols.BoxFeatures",
        "trackers.fdn.FrameFeatures",
        "trackers.rtmdnet.ROI_PADDING",
        "trackers.rtmdnet.SceneFeatures",
        "trackers.rtmdnet.reachable_centres",
    },
    "eval": {"data", "boxes", "paths"},  # of trackers it knows init and update
    "analysis": {
        *("boxes", "checks", "paths", "ops", "nets", "weights", "data"),
        *("trackers", "train", "eval"),
    },
    "plots": {"eval", "analysis", "data", "boxes"},
    "tracking": {"data", "eval", "trackers"},
    "doctor": {"paths", "weights", "trackers"},
    "results": {"arguments", "data", "eval", "trackers", "weights"},
    "__main__": {
        *("arguments", "results", "adapters", "startup", "boxes", "checks", "paths", "ops"),
        *("nets", "weights", "data", "trackers", "train", "eval", "plots", "doctor", "tracking"),
    },
}
# part -> what it imports of others' packages, wherever it does so
THIRD_PARTIES = {
    "boxes": {"numpy", "torch"},
    "checks": {"numpy", "torch"},
    "paths": {"numpy", "torch"},
    "ops": {"llvmlite", "numba", "numpy", "torch", "triton"},
}
# A paper's file or folder builds on mdnet/, and on these; never on another paper.
PAPERS = {"mdnet", "fdn", "rtmdnet", "dlst", "deeptrack", "detection", "hcf", "msdat", "kcf"}
BUILDS_ON = {"msdat": {"hcf"}, "hcf": {"kcf"}}
CORE = ("boxes", "checks", "paths", "ops", "nets", "weights", "trackers", "data")

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
NOTEBOOKS = sorted(
    path for path in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)


def names_imported(tree: ast.AST, path: Path, package: Path) -> set[str]:
    """Dotted names that a file imports anywhere, `package.module.name`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            depth = len(path.relative_to(package).parts) - node.level
            above = ("trackerlib", *path.relative_to(package).parts[:depth]) if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def imported(path: Path, package: Path = PACKAGE) -> set[str]:
    """Names of the library that a file imports anywhere, as `part.module.name`."""
    found = names_imported(ast.parse(path.read_text()), path, package)
    ours = {name.removeprefix("trackerlib.") for name in found if name.startswith("trackerlib.")}
    return ours - {"__version__"}


def third_parties(path: Path, package: Path = PACKAGE) -> set[str]:
    """Packages of others that a file imports anywhere."""
    found = names_imported(ast.parse(path.read_text()), path, package)
    return {name.split(".")[0] for name in found} - {*sys.stdlib_module_names, "trackerlib"}


def private_names(tree: ast.AST) -> Iterator[str]:
    """Names with an underscore in front that belong to something else than the code itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            # A class may call what it inherits, and torch hides some questions to the machine.
            if owner not in ("self", "cls", "super()") and not owner.startswith("torch"):
                yield f"{owner}.{node.attr}"


def is_private(name: str) -> bool:
    """Whether a name begins with one underscore: not `__file__`, nor the fields of a tuple."""
    public = ("_replace", "_asdict", "_fields", "_make", "_field_defaults")
    return name.startswith("_") and not name.startswith("__") and name not in public


def allowed(module: str, importer: str) -> bool:
    names = MAY_IMPORT[importer] | {importer}
    return any(module == name or module.startswith(f"{name}.") for name in names)


def part(module: str) -> str:
    return module.split(".")[0]


def part_of(path: Path, package: Path = PACKAGE) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def other_papers(path: Path, package: Path = PACKAGE) -> set[str]:
    """Papers that a file of trackers/ imports and must not."""
    paper = path.relative_to(package).parts[1].removesuffix(".py")
    if paper not in PAPERS:
        return set()
    names = {
        name.split(".")[1] for name in imported(path, package) if name.startswith("trackers.")
    }
    return names & PAPERS - {paper, "mdnet"} - BUILDS_ON.get(paper, set())


def module_graph(files: list[Path], package: Path) -> dict[str, set[str]]:
    """Modules of the library -> those that each imports, wherever it does so."""
    known = {
        ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        for path in files
    }
    graph = {}
    for path in files:
        own = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        # `ops.roi_align.roi_align` is a name of the module `ops.roi_align`
        targets = (
            next((end for end in prefixes(name) if end in known), None)
            for name in imported(path, package)
        )
        graph[own] = {target for target in targets if target and target != own}
    return graph


def prefixes(name: str) -> Iterator[str]:
    """`a.b.c` -> `a.b.c`, `a.b`, `a`."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(len(parts), 0, -1))


def check_no_cycle(graph: dict[str, set[str]]) -> None:
    tuple(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_what_its_layer_may(path):
    importer = part_of(path)
    assert importer in MAY_IMPORT, f"{path.name}: add its part to the table"
    wrong = {module for module in imported(path) if not allowed(module, importer)}
    assert not wrong, f"{path.relative_to(PACKAGE)} may not import {sorted(wrong)}"
    if importer in THIRD_PARTIES:
        others = third_parties(path) - THIRD_PARTIES[importer]
        assert not others, f"{path.relative_to(PACKAGE)} may not import {sorted(others)}"


def test_nothing_imports_what_measures_but_plots():
    """Benchmarks and the book import analysis too; they are no part of the package."""
    importers = {
        part_of(path) for path in FILES if any(part(m) == "analysis" for m in imported(path))
    }
    assert importers <= {"analysis", "plots"}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "trackers").rglob("*.py")), ids=lambda path: path.stem
)
def test_a_paper_builds_on_no_other_paper_than_mdnet(path):
    assert not other_papers(path)


@pytest.mark.parametrize("folder", ["trackerlib", "benchmarks"])
def test_no_module_uses_a_private_name_of_another(folder):
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in private_names(ast.parse(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_notebook_uses_public_names_alone(path):
    found = list(private_names(ast.parse(notebook_code(json.loads(path.read_text())))))
    assert not found


def notebook_code(notebook: dict) -> str:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    lines = [line for cell in cells for line in "".join(cell["source"]).splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


def test_the_parts_have_no_cycle():
    graph = {}
    for path in FILES:
        graph.setdefault(part_of(path), set()).update(part(module) for module in imported(path))
    check_no_cycle({name: others - {name} for name, others in graph.items()})


def test_the_modules_have_no_cycle():
    check_no_cycle(module_graph(FILES, PACKAGE))


def write(folder: Path, name: str, text: str) -> Path:
    """A made-up file of a made-up package."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_forbidden_import_is_seen(tmp_path):
    text = "from trackerlib.eval import metrics\nfrom ..trackers import kcf\n"
    file = write(tmp_path, "data/bad.py", text)
    assert imported(file, tmp_path) == {"eval.metrics", "trackers.kcf"}
    assert not allowed("eval.metrics", "data") and not allowed("trackers.kcf", "data")
    assert allowed("data.crops", "trackers") and not allowed("data.otb", "trackers")


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("boxes", "from trackerlib import ops"),
        ("checks", "from trackerlib.paths import cache_dir"),
        ("paths", "import trackerlib.checks"),
        ("ops", "from trackerlib.boxes import centres"),
        ("nets", "from trackerlib.paths import cache_dir"),
        ("nets", "from trackerlib.weights import load"),
        ("weights", "from trackerlib.data.otb import open_otb"),
        ("weights", "from trackerlib.trackers import parse"),
        ("data", "from trackerlib.nets import vggm"),
        ("trackers", "from trackerlib.data import sequence"),
        ("trackers", "from trackerlib.paths import cache_dir"),
        ("train", "from trackerlib.trackers.mdnet.tracker import Tracker"),
        ("train", "from trackerlib.trackers import rtmdnet"),
        ("eval", "from trackerlib.trackers import parse"),
        ("eval", "def late():\n    from trackerlib import trackers"),
        ("analysis", "from trackerlib import plots"),
        ("plots", "from trackerlib.trackers import parse"),
        ("tracking", "from trackerlib.boxes import centres"),
        ("__main__", "from trackerlib.analysis import profiler"),
    ],
)
def test_every_row_of_the_table_forbids_something(tmp_path, importer, line):
    file = write(tmp_path, f"{importer}/bad.py", f"{line}\n")
    assert part_of(file, tmp_path) == importer
    assert not any(allowed(module, importer) for module in imported(file, tmp_path))


def test_a_third_party_too_many_is_seen(tmp_path):
    file = write(tmp_path, "ops/bad.py", "import os\nimport cv2\nfrom scipy import fft\n")
    assert third_parties(file, tmp_path) - THIRD_PARTIES["ops"] == {"cv2", "scipy"}


def test_another_paper_is_seen(tmp_path):
    text = "from trackerlib.trackers import mdnet\nfrom trackerlib.trackers.dlst import losses\n"
    assert other_papers(write(tmp_path, "trackers/fdn.py", text), tmp_path) == {"dlst"}
    assert other_papers(write(tmp_path, "trackers/dlst/new.py", text), tmp_path) == set()


def test_a_private_name_is_seen():
    text = "from trackerlib.boxes import _library\nself._mine()\ntracker._set_frame(frame)\n"
    assert list(private_names(ast.parse(text))) == ["_library", "tracker._set_frame"]
    cells = [{"cell_type": "code", "source": ["%time x\n", "hcf._maps"]}]
    assert list(private_names(ast.parse(notebook_code({"cells": cells})))) == ["hcf._maps"]


def test_a_cycle_is_seen(tmp_path):
    one = write(tmp_path, "eval/one.py", "from trackerlib.eval.two import name\n")
    two = write(tmp_path, "eval/two.py", "def late():\n    from trackerlib.eval import one\n")
    with pytest.raises(graphlib.CycleError):
        check_no_cycle(module_graph([one, two], tmp_path))


CORE_ONLY = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        heavy = {"dask", "distributed", "pooch", "requests", "matplotlib", "pandas", "IPython",
                 "ipywidgets", "skimage", "sklearn", "scipy", "tqdm", "filelock", "papermill",
                 "safetensors", "av", "numba"}
        if name.partition(".")[0] in heavy:
            raise ImportError(f"the core imports {name}")

sys.meta_path.insert(0, Refuse())
sys.modules["triton"] = None  # not installed
for part in sys.argv[1:]:
    module = importlib.import_module(f"trackerlib.{part}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{module.__name__}."):
        # neither a renderer nor kernels that a compiler makes
        if not found.name.startswith(("trackerlib.data.synthetic", "trackerlib.ops.kernels.")):
            importlib.import_module(found.name)
"""


def run_core_only(*parts: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", CORE_ONLY, *parts]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_core_imports_with_torch_numpy_and_opencv_alone():
    missing = [
        name for name in CORE if not (PACKAGE / name).exists() | (PACKAGE / f"{name}.py").exists()
    ]
    assert not missing
    done = run_core_only(*CORE)
    assert done.returncode == 0, done.stderr


def test_a_part_that_needs_more_than_the_core_is_seen():
    done = run_core_only("plots")
    assert done.returncode != 0 and "the core imports" in done.stderr
