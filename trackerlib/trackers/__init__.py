"""Trackers by name, with their configuration.

A tracker is a module of this package that holds a frozen dataclass `Config`
and a class `Tracker(config, device, seed)` with two methods:

    init(frame, box)   frame (H, W, 3) uint8 RGB, box (4,) x, y, w, h
    update(frame)      -> box (4,) float64

A specification names a module and what differs from its defaults:
`kcf`, `kcf:kernel=linear`, `kcf:features=gray,sigma=0.2`.
"""

import ast
import dataclasses
import hashlib
import importlib
import pkgutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from trackerlib.nets.registry import registry

LIBRARY = Path(__file__).resolve().parents[1]
WEIGHTS = "trunk", "adaptation", "head"  # fields of a Config that name weights in the registry


class TrackerLike(Protocol):
    """What evaluation knows of a tracker."""

    def init(self, frame: np.ndarray, box: np.ndarray) -> None:
        """Learn the target: frame (H, W, 3) uint8 RGB, box (4,) x, y, w, h.

        Raises ValueError for a box that it cannot learn.
        """

    def update(self, frame: np.ndarray) -> np.ndarray:
        """Find the target in the next frame (H, W, 3) -> box (4,) float64."""


def names() -> list[str]:
    """The modules of this package: one tracker each. A subpackage holds what they share."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


@dataclass(frozen=True)
class Spec:
    """A tracker and its configuration, ready to be built on any machine."""

    label: str  # as it was written; names the tracker in tables
    module: str
    config: Any  # the module's Config

    def settings(self) -> dict:
        """The whole configuration as plain values."""
        return {"tracker": self.module, **dataclasses.asdict(self.config)}

    def build(self, device: str = "cpu", seed: int = 0) -> TrackerLike:
        """A fresh tracker."""
        module = importlib.import_module(f"{__name__}.{self.module}")
        return module.Tracker(self.config, device=device, seed=seed)

    def code(self) -> str:
        """Hash of the library's code that the tracker runs, comments apart, and of its weights."""
        code = _code_hash(f"trackerlib.trackers.{self.module}")
        known, settings = registry(), self.settings()
        entries = [known.get(settings.get(field)) for field in WEIGHTS]
        return "-".join([code, *((e.sha256 or e.git_blob)[:8] for e in entries if e)])


def parse(text: str) -> Spec:
    """`module` or `module:field=value,field=value` -> Spec.

    Raises ValueError for an unknown module, field or ill-typed value; the
    message lists the known ones.
    """
    module, _, rest = text.partition(":")
    if module not in names():
        raise ValueError(
            f"parse: expected a tracker among {', '.join(names())}, got {module!r} in {text!r}"
        )
    config_class = importlib.import_module(f"{__name__}.{module}").Config
    fields = {field.name: field.type for field in dataclasses.fields(config_class)}
    changes = {}
    for item in filter(None, rest.split(",")):
        name, equals, value = item.partition("=")
        if not equals or name not in fields:
            raise ValueError(
                f"parse: expected field=value with a field among {', '.join(fields)}, "
                f"got {item!r} in {text!r}"
            )
        changes[name] = _typed(value, fields[name], text)
    return Spec(text, module, config_class(**changes))


def _typed(value: str, kind: type, text: str):
    kind = next(iter(get_args(kind)), kind)  # `float | None` reads as float
    words = {"true": True, "false": False}
    try:
        return words[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"parse: expected a value of type {kind.__name__}, got {value!r} in {text!r}"
        ) from error


@lru_cache
def _code_hash(module: str) -> str:
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
                pending += [node.module] + [f"{node.module}.{a.name}" for a in node.names]
    library = {name: text for name, text in seen.items() if name.startswith("trackerlib")}
    return hashlib.sha256(repr(sorted(library.items())).encode()).hexdigest()[:16]
