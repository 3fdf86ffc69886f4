"""Trackers by name, with their configuration.

A tracker is a module or a folder of this package with a frozen dataclass `Config`
and a class `Tracker(config, device, seed)` that has two methods:

    init(frame, box)   frame (H, W, 3) uint8 RGB, box (4,) x, y, w, h
    update(frame)      -> box (4,) float64

A specification names a module and what differs from its defaults:
`kcf`, `kcf:kernel=linear`, `kcf:features=gray,sigma=0.2`. `mypackage.mymodule:MyTracker` is a
class of one's own (`own`), `trax:./my-tracker` a program that speaks TraX (`trax`).
"""

import ast
import dataclasses
import hashlib
import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from trackerlib.paths import shipped
from trackerlib.trackers import own, presets, trax
from trackerlib.trackers.protocols import ConfigLike, SpecLike, TrackerLike
from trackerlib.weights.registry import registry

__all__ = [
    "RENAMED",
    "TRACKERS",
    "Measured",
    "Spec",
    "SpecLike",
    "TrackerLike",
    "departures",
    "names",
    "parse",
    "specifications",
    "table",
]

TRACKERS = {  # name -> where its Config and Tracker are
    "deeptrack": "trackerlib.trackers.deeptrack",
    "detection": "trackerlib.trackers.detection",
    "dlst": "trackerlib.trackers.dlst",
    "fdn": "trackerlib.trackers.fdn",
    "hcf": "trackerlib.trackers.hcf",
    "identity": "trackerlib.trackers.identity",
    "kcf": "trackerlib.trackers.kcf",
    "mdnet": "trackerlib.trackers.mdnet",
    "msdat": "trackerlib.trackers.msdat",
    "opencv": "trackerlib.trackers.opencv",
    "rtmdnet": "trackerlib.trackers.rtmdnet",
}
LIBRARY = Path(__file__).resolve().parents[1]
WEIGHTS = "backbone", "adaptation", "head"  # fields of a Config that name weights in the registry

RENAMED = {  # fields of a Config: former name -> name
    "finer": "positive_factor",
    "first_negative_overlap": "first_negative_iou",
    "first_rate": "first_lr",
    "fusion_rate": "fusion_lr",
    "gain": "feature_scale",
    "gradient_limit": "max_grad_norm",
    "layers": "fc_layers",
    "near_scale": "hard_negative_scale",
    "near_translation": "hard_negative_translation",
    "negative_overlap": "negative_iou",
    "pool": "mining_pool",
    "positive_overlap": "positive_iou",
    "rate": "lr",
    "regressed_overlap": "regression_iou",
    "shrunk": "min_scale",
    "tap": "layer",
    "trunk": "backbone",
}


def names() -> list[str]:
    """Return the names of all trackers."""
    return sorted(TRACKERS)


@dataclass(frozen=True)
class Spec:
    """A tracker and its configuration, ready to be built on any machine."""

    label: str  # as it was written; names the tracker in tables
    module: str
    config: ConfigLike  # the module's Config

    def settings(self) -> dict[str, Any]:
        """Return the whole configuration as plain values."""
        return {"tracker": self.module, **dataclasses.asdict(self.config)}

    def build(self, device: str = "cpu", seed: int = 0) -> TrackerLike:
        """Return a fresh tracker."""
        module = importlib.import_module(TRACKERS[self.module])
        return module.Tracker(self.config, device=device, seed=seed)

    def code(self) -> str:
        """Return a hash of the code that the tracker runs, comments apart, and of its weights."""
        code = _code_hash(TRACKERS[self.module])
        known, settings = registry(), self.settings()
        entries = [known.get(settings.get(field, "")) for field in WEIGHTS]
        return "-".join([code, *((e.sha256 or e.git_blob or "")[:8] for e in entries if e)])


def specifications(arguments: Iterable[str]) -> list[str]:
    """Return the specifications in what was typed: several in one text, with blanks between.

    One that begins with `trax:` is a command with its own blanks, and a text of its own.
    """
    texts = (text.split() if not text.startswith("trax:") else [text] for text in arguments)
    return [one for several in texts for one in several]


def parse(text: str) -> SpecLike:
    """Return the tracker of `name` or `name:field=value,field=value`: a Spec, for TRACKERS.

    `name:preset=paper` is the tracker as its paper prints it, `name:preset=authors` as the
    released code runs it, and `name:weights=real` has weights that were trained on real videos;
    further fields override the preset's and the weights', wherever they stand. For
    `module:Class` and names that packages register see `own`, for `trax:command` see `trax`.

    Raises ValueError for an unknown tracker, preset, set of weights, field or ill-typed value;
    the message lists the known ones, or says what a former name is called now.
    """
    module, _, rest = text.partition(":")
    if module not in TRACKERS:
        return _parse_other(text)
    config_class = importlib.import_module(TRACKERS[module]).Config
    fields = get_type_hints(config_class)
    preset: dict[str, Any] = {}
    weights: dict[str, str] = {}
    changes = {}
    for item in filter(None, rest.split(",")):
        name, equals, value = item.partition("=")
        if name == "preset" and equals:
            preset = presets.settings(module, value, departures(module))
            continue
        if name == "weights" and equals:
            weights = _of_set(module, config_class, value)
            continue
        if not equals or name not in fields:
            renamed = RENAMED.get(name)
            cure = f"; {name} is now called {renamed}" if renamed in fields else ""
            raise ValueError(
                f"parse: expected field=value with a field among {', '.join(fields)}, "
                f"got {item!r} in {text!r}{cure}"
            )
        changes[name] = own.typed(value, fields[name], text)
    return Spec(text, module, config_class(**preset | weights | changes))


def _of_set(module: str, config_class: type[ConfigLike], name: str) -> dict[str, str]:
    """Return the fields whose weights a set has too: in the set real, x is x-real.

    A backbone may be that of another set; what was trained on it, not.
    """
    known = registry()
    fields = {field.name: field.default for field in dataclasses.fields(config_class)}
    named = {field: f"{fields[field]}-{name}" for field in WEIGHTS if field in fields}
    found = {field: weights for field, weights in named.items() if weights in known}
    if not found or set(named) - set(found) - {"backbone"}:
        raise ValueError(
            f"parse: expected a set of weights of {module}, such as real, got {name!r}; the "
            f"registry has not all of {', '.join(named.values()) or 'its, as it takes none'}. "
            "`python -m trackerlib weights list` names all weights"
        )
    return found


def departures(name: str) -> tuple[presets.Departure, ...]:
    """Return in which fields a tracker, its paper and its authors' code differ; () for no paper's.

    name  of TRACKERS
    """
    return getattr(importlib.import_module(TRACKERS[name]), "DEPARTURES", ())


class Measured(NamedTuple):
    """How accurate a tracker is, and how fast.

    tracker    its specification
    auc        area under the success curve, 0 to 1, the mean over targets and seeds
    precision  share of frames with a centre error of 20 pixels or less, 0 to 1, likewise
    fps        frames per second, the first one apart; one thread of the machine in `table`'s file
    """

    tracker: str
    auc: float
    precision: float
    fps: float


def table() -> list[Measured]:
    """Return what was measured of every tracker, the most accurate first.

    All are of the same targets of OTB, with the defaults of `parse`: data/trackers.json, whose
    section in data/README.md says how it was made. Times of your own machine:
    `trackerlib.tracking.choice.choose` measures them.
    """
    rows = json.loads(shipped("trackers.json").read_text())["rows"]
    return sorted((Measured(**row) for row in rows), key=lambda row: -row.auc)


def _parse_other(text: str) -> SpecLike:
    """Return the specification of a tracker that is none of the library's."""
    if text.partition(":")[0] == trax.NAME:
        return trax.parse_trax(text)
    if own.is_own(text):
        return own.parse_own(text)
    registered = "".join(f", {name}" for name in sorted(own.installed()))
    raise ValueError(
        f"parse: expected a tracker among {', '.join(names())}{registered}, got "
        f"{text.partition(':')[0]!r} in {text!r}; a class of your own is {own.EXAMPLE}, a TraX "
        f"program {trax.EXAMPLE}"
    )


@lru_cache
def _code_hash(module: str) -> str:
    """Hash of a module and of all that it imports from the library, and these in turn."""
    pending, seen = [module], {}
    while pending:
        name = pending.pop()
        path = LIBRARY.parent.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in seen or not path.is_file():
            continue
        tree = ast.parse(path.read_text())
        seen[name] = ast.unparse(tree)  # comments and layout are gone
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                pending += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                # `from trackerlib.ops import hog`: the package, and a module of it or a name.
                pending += [node.module] + [f"{node.module}.{a.name}" for a in node.names]
    library = {name: text for name, text in seen.items() if name.startswith("trackerlib")}
    return hashlib.sha256(repr(sorted(library.items())).encode()).hexdigest()[:16]
