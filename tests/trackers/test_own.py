"""A class of one's own by its module's name, by an entry point, and what is wrong with it."""

import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from trackerlib.trackers import own, parse, specifications

CODE = """
from .helper import STEP

class Mine:
    def __init__(self, gain: float = 1.0, name=None, seed=0, *, device="cpu"):
        self.gain, self.seed, self.device = gain, seed, device
    def init(self, frame, box):
        self.box = box
    def update(self, frame):
        return self.box + [STEP * self.gain, 0, 0, 0]

class Still(Mine):
    def __init__(self):
        super().__init__(gain=0)

class Needs(Mine):
    def __init__(self, size):
        super().__init__()

class Half:
    def init(self, frame, box): ...
"""
BOX = np.array([4.0, 5.0, 10.0, 8.0])
FRAME = np.zeros((40, 50, 3), np.uint8)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in the working folder, which is not on the path."""
    folder = tmp_path / "owntrackers"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("STEP = 1.0  # pixel\n")
    (folder / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield folder
    for name in [name for name in sys.modules if name.startswith("owntrackers")]:
        del sys.modules[name]
    own._imported.clear()


def moved(spec, **run):
    tracker = spec.build(**run)
    tracker.init(FRAME, BOX)
    return tracker.update(FRAME)[0] - BOX[0]


def test_a_class_with_its_settings(package):
    spec = parse("owntrackers.mine:Mine:gain=2.5,name=fast")
    assert spec.label == "owntrackers.mine:Mine:gain=2.5,name=fast"
    tracker = spec.build("cuda:1", seed=7)
    assert (tracker.gain, tracker.seed, tracker.device) == (2.5, 7, "cuda:1")
    assert spec.settings() == {"tracker": "owntrackers.mine:Mine", "gain": 2.5, "name": "fast"}
    assert parse("owntrackers.mine:Mine").settings()["gain"] == 1.0
    assert moved(spec) == 2.5 and moved(parse("owntrackers.mine:Still"), seed=3) == 0


def test_an_entry_point(package, monkeypatch):
    point = EntryPoint("mine", "owntrackers.mine:Mine", own.GROUP)
    monkeypatch.setattr(own, "entry_points", lambda group: [point] if group == own.GROUP else [])
    assert parse("mine").settings() == parse("owntrackers.mine:Mine").settings()
    assert moved(parse("mine:gain=3")) == 3
    with pytest.raises(ValueError, match=r"rtmdnet, mine, got 'mien' .*mypackage.mymodule:My"):
        parse("mien")


def test_the_code_is_the_modules_and_what_it_imports(package):
    def code():
        return parse("owntrackers.mine:Mine").code()

    first = code()
    (package / "mine.py").write_text("# a comment\n" + CODE)
    assert code() == first
    (package / "helper.py").write_text("STEP = 10.0\n")
    second = code()
    assert second != first
    (package / "unrelated.py").write_text("STEP = 10.0\n")
    assert code() == second
    (package / "__init__.py").write_text("import sys\n")
    assert code() != second


def test_changed_code_is_imported_afresh(package):
    spec = parse("owntrackers.mine:Mine")
    assert moved(spec) == 1
    (package / "helper.py").write_text("STEP = 12.5\n")
    assert moved(spec) == 12.5


def test_a_module_of_the_same_name_elsewhere(package, tmp_path, monkeypatch):
    spec = parse("owntrackers.mine:Mine")
    there = tmp_path / "other" / "owntrackers"
    there.mkdir(parents=True)
    (there / "__init__.py").write_text("")
    (there / "mine.py").write_text(CODE.replace("from .helper import STEP", "STEP = 2.0"))
    elsewhere = own.OwnSpec("other", "owntrackers.mine:Mine", str(there.parent))
    assert [moved(one) for one in (spec, elsewhere, spec)] == [1, 2, 1]


def test_weights_that_a_setting_names_count(package, tmp_path):
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"1")
    spec = parse(f"owntrackers.mine:Mine:name={weights}")
    before = spec.code()
    weights.write_bytes(b"2")
    assert spec.code() != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere.mine:Mine", r"found no nowhere.mine for .*; run this in the folder that it is"),
        ("owntrackers.nix:Mine", r"found no owntrackers.nix for"),
        ("owntrackers.mine:Nix", r"none of that name; owntrackers.mine has Mine, Still, Needs$"),
        ("owntrackers.mine:STEP", r"expected a class STEP .*got 1.0; owntrackers.mine has"),
        ("owntrackers.mine:Half", r"with the methods init\(frame, box\) .*got one without update"),
        (
            "owntrackers.mine:Needs",
            r"expected a value for size, .*; write owntrackers.mine:Needs:s",
        ),
        ("owntrackers.mine:Mine:gain=x", r"a value of type float, got 'x'"),
        ("owntrackers.mine:Mine:speed=1", r"an argument among gain, name, got 'speed=1'"),
        ("owntrackers.mine:Still:gain=1", r"with none, as it takes none, got 'gain=1'"),
        ("owntrackers:Mine", r"none of that name$"),
    ],
)
def test_what_is_wrong_is_said(package, text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize("code", ["import no_such_package", "def f(:", "1 / 0"])
def test_a_module_that_cannot_be_imported_says_why(package, code):
    (package / "mine.py").write_text(code)
    kind = {"i": "ModuleNotFoundError", "d": "SyntaxError", "1": "ZeroDivisionError"}[code[0]]
    with pytest.raises(ValueError, match=rf"owntrackers.mine in .* cannot be imported: {kind}"):
        parse("owntrackers.mine:Mine")
    (package / "__init__.py").write_text(code)
    with pytest.raises(ValueError, match=rf"owntrackers.mine in .* cannot be imported: {kind}"):
        parse("owntrackers.mine:Mine")


def test_specifications_of_a_command_line():
    typed = ["identity  kcf:kernel=linear", "trax:python -m mine", "a.b:C"]
    found = ["identity", "kcf:kernel=linear", "trax:python -m mine", "a.b:C"]
    assert specifications(typed) == found
