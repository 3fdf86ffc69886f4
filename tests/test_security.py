"""What the project's own code may not do: scanned, with each rule seen to find what breaks it."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [
    path
    for folder in ("trackerlib", "benchmarks", "book")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
NOTEBOOKS = [
    path
    for path in sorted((ROOT / "book").rglob("*.ipynb"))
    if ".ipynb_checkpoints" not in path.parts
]
# Calls that may run code which a file holds, and the argument, with its value, that prevents it.
GUARDS = {
    "torch.load": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
    "np.load": ("allow_pickle", False),
}
FORBIDDEN = re.compile(
    r"(pickle|cPickle|cloudpickle|dill|joblib|marshal|shelve)\.(loads?|Unpickler|open)"
    r"|(pd|pandas)\.read_pickle|yaml\.(load|unsafe_load|full_load)|torch\.hub\.load"
    r"|shutil\.unpack_archive|tarfile\.open|os\.system|eval"
)


def breaches(code: str) -> list[str]:
    """The calls in code that could run what a file holds."""
    lines = [line for line in code.splitlines() if not line.lstrip().startswith(("%", "!"))]
    calls = [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if _breaks(call)]


def _breaks(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    given = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    if any(word.arg == "shell" and given["shell"] is not False for word in call.keywords):
        return True
    if name in GUARDS:
        argument, value = GUARDS[name]
        safe_by_default = argument == "allow_pickle"  # NumPy's, since 1.16.3
        return given.get(argument, value if safe_by_default else None) is not value
    return bool(FORBIDDEN.fullmatch(name))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_can_run_code(path):
    assert not breaches(path.read_text())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_runs_what_a_file_holds(path):
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not [found for cell in code for found in breaches(cell)]


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=safe)",
        "np.load(path, allow_pickle=True)",
        "pickle.loads(data)",
        "pd.read_pickle(path)",
        "yaml.load(text)",
        "eval(text)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_what_could_run_code_is_seen(code):
    assert breaches(code) == [code]


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(path, map_location='cpu', weights_only=True)",
        "np.load(path)",
        "pickle.dumps(data)",
        "yaml.safe_load(text)",
        "network.eval()",
        "subprocess.run(command, shell=False)",
    ],
)
def test_what_cannot_passes(code):
    assert not breaches(code)


def test_addresses_of_downloads_are_https():
    """But for OTB's own host, which has no other; SECURITY.md says so."""
    entries = json.loads((ROOT / "data" / "weights.json").read_text())
    urls = re.findall(r'"url": "([^"]+)"', json.dumps(entries))
    assert urls and all(url.startswith("https://") for url in urls)
    plain = {
        path.name
        for path in FILES
        if re.search(r'"http://(?!127\.0\.0\.1|localhost)\w', path.read_text())
    }
    assert plain == {"fetch.py"}
    assert "http alone" in (ROOT / "SECURITY.md").read_text()
