"""Trackers of one's own: a class with two methods, in any module that Python can import.

    init(frame, box)   frame (H, W, 3) uint8 RGB, box (4,) x, y, w, h
    update(frame)      -> box, four numbers

    mypackage.mymodule:MyTracker              the class MyTracker of a module
    mypackage.mymodule:MyTracker:gain=2       with an argument of its constructor
    mytracker                                 what a package registers under that name

A package registers a class in its pyproject.toml:

    [project.entry-points."trackerlib.trackers"]
    mytracker = "mypackage.mymodule:MyTracker"

A constructor with an argument `seed` or `device` is given the run's. A tracker is known by all
its settings, by the code of its module and of what that imports from the same package (or, outside
site-packages, the same folder), and by the files that its settings name, such as weights. Once
that code has changed, it is imported afresh.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args, get_type_hints

from trackerlib.trackers.protocols import TrackerLike

__all__ = ["EXAMPLE", "GROUP", "OwnSpec", "installed", "is_own", "parse_own", "typed"]

GROUP = "trackerlib.trackers"  # of entry points
GIVEN = ("device", "seed")  # what a run gives a constructor that takes it
METHODS = ("init", "update")
PLAIN = (str, int, float, bool, type(None))  # what JSON holds
EXAMPLE = "mypackage.mymodule:MyTracker"
_imported: dict[str, tuple[Path, str]] = {}  # module -> its folder and code when imported


@dataclass(frozen=True)
class OwnSpec:
    """A class of one's own and its arguments, ready to be built on any machine.

    label      as it was written; names the tracker in tables
    target     module and class: `mypackage.mymodule:MyTracker`
    folder     from which the module is imported, in other processes too
    arguments  for the constructor, without device and seed
    defaults   of the arguments that are not given, as plain values
    """

    label: str
    target: str
    folder: str
    arguments: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """Return the whole configuration as plain values."""
        return {**self.defaults, **self.arguments, "tracker": self.target}

    def build(self, device: str = "cpu", seed: int = 0) -> TrackerLike:
        """Return a fresh tracker. Raises ValueError if its module cannot be imported."""
        found = _class(self.target, Path(self.folder), self.label)
        taken = set(_parameters(found)) & set(GIVEN)
        run = {"device": device, "seed": seed}
        return found(**self.arguments | {name: run[name] for name in taken})

    def code(self) -> str:
        """Return a hash of the code that the tracker runs, and of the files that settings name."""
        files = [Path(value) for value in self.settings().values() if isinstance(value, str)]
        content = [_file_hash(path)[:8] for path in files if path.is_file()]
        return "-".join([_code(self.target.partition(":")[0], Path(self.folder)), *content])


def installed() -> dict[str, EntryPoint]:
    """Return what installed packages register in the group `trackerlib.trackers`, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def is_own(text: str) -> bool:
    """Return whether a specification is `module:Class...` or the name of an entry point."""
    name, _, rest = text.partition(":")
    return name in installed() or (bool(rest) and rest.partition(":")[0].isidentifier())


def parse_own(text: str) -> OwnSpec:
    """Return the specification of `module:Class`, or of an entry point, with its settings.

    Raises ValueError if there is no such module or class, if the class has not both methods, or
    for settings that its constructor does not take.
    """
    name, _, rest = text.partition(":")
    if point := installed().get(name):
        target, settings = point.value.partition(" ")[0], rest
    else:
        chosen, _, settings = rest.partition(":")
        target = f"{name}:{chosen}"
    folder = _folder(target.partition(":")[0], text)
    parameters = _parameters(_class(target, folder, text))
    arguments = _arguments(settings, parameters, text)
    others = {k: p.default for k, p in parameters.items() if k not in {*arguments, *GIVEN}}
    lacking = [k for k, default in others.items() if default is inspect.Parameter.empty]
    if lacking:
        raise ValueError(
            f"parse: expected a value for {', '.join(lacking)}, which {target} has no default "
            f"for, got {text!r}; write {target}:{lacking[0]}=..."
        )
    defaults = {k: v if isinstance(v, PLAIN) else repr(v) for k, v in others.items()}
    return OwnSpec(text, target, str(folder), arguments, defaults)


def typed(value: str, kind: Any, text: str) -> Any:
    """Return a setting's value as a type, or as the first of a union such as `float | None`.

    Raises ValueError for what is none, with the whole specification.
    """
    kind = next(iter(get_args(kind)), kind)
    words = {"true": True, "false": False}
    try:
        return words[value.lower()] if kind is bool else kind(value)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"parse: expected a value of type {kind.__name__}, got {value!r} in {text!r}"
        ) from error


def _arguments(
    settings: str, parameters: dict[str, inspect.Parameter], text: str
) -> dict[str, Any]:
    """Return the values of `name=value,name=value`, each as the constructor takes it."""
    known = [name for name in parameters if name not in GIVEN]
    found = {}
    for item in filter(None, settings.split(",")):
        name, equals, value = item.partition("=")
        if not equals or name not in known:
            takes = f"an argument among {', '.join(known)}" if known else "none, as it takes none"
            raise ValueError(f"parse: expected name=value with {takes}, got {item!r} in {text!r}")
        found[name] = _value(value, parameters[name], text)
    return found


def _value(value: str, parameter: inspect.Parameter, text: str) -> Any:
    """Return a value of the type of an annotation or default, else what Python reads in it."""
    kind = parameter.annotation
    if kind is parameter.empty and isinstance(parameter.default, PLAIN[:4]):
        kind = type(parameter.default)
    if next(iter(get_args(kind)), kind) in PLAIN[:4]:
        return typed(value, kind, text)
    try:
        read = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return read if isinstance(read, PLAIN) else value


def _parameters(found: type) -> dict[str, inspect.Parameter]:
    """Return what a constructor can be given by name, with the types that its hints name."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(found).parameters
    try:
        hints = get_type_hints(found.__init__)  # type: ignore[misc]
    except (NameError, TypeError):  # of names that are there for type checkers alone
        hints = {}
    return {
        name: one.replace(annotation=hints.get(name, one.annotation))
        for name, one in parameters.items()
        if one.kind in named
    }


def _folder(module: str, text: str) -> Path:
    """Return the folder from which a module is imported; the working folder is one."""
    if os.getcwd() not in map(os.path.abspath, sys.path):
        sys.path.append(os.getcwd())
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(module)  # which imports the package that it is in
    except Exception as error:
        lacking = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
        if module != "__main__" and not (lacking and module.startswith(lacking)):
            raise _unimportable(module, text, error) from error
        spec = None
    if spec is None:
        raise ValueError(
            f"parse: expected a module that Python can import, found no {module} for {text!r}; "
            "run this in the folder that it is in, add that to PYTHONPATH, or install the package"
        )
    if not spec.origin or not Path(spec.origin).is_file():
        raise ValueError(
            f"parse: expected a module with a file, whose code can be known, got {module} in "
            f"{text!r}; write {EXAMPLE}"
        )
    depth = len(module.split(".")) - (Path(spec.origin).stem != "__init__")
    return Path(spec.origin).resolve().parents[depth]


def _class(target: str, folder: Path, text: str) -> type:
    """Import a class, from just that folder, afresh where its code has changed since."""
    name, _, attribute = target.partition(":")
    module = _module(name, folder, text)
    found = getattr(module, attribute, None)
    lacking = [method for method in METHODS if not callable(getattr(found, method, None))]
    if not inspect.isclass(found) or lacking:
        kind = f"one without {' and '.join(lacking)}" if inspect.isclass(found) else repr(found)
        got = "none of that name" if found is None else kind
        others = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and all(hasattr(value, method) for method in METHODS)
        ]
        there = f"; {name} has {', '.join(others)}" if others else ""
        raise ValueError(
            f"parse: expected a class {attribute} with the methods init(frame, box) and "
            f"update(frame) in {name}, got {got}{there}"
        )
    return found


def _module(name: str, folder: Path, text: str) -> Any:
    """Import a module; raise ValueError that says why it cannot be."""
    current = folder, _code(name, folder)
    if str(folder) not in sys.path or _imported.get(name, current)[0] != folder:
        sys.path.insert(0, str(folder))  # before another one that has such a module
    if _imported.get(name, current) != current:
        sources, top = _sources(name, folder), name.partition(".")[0]
        for part in list(sys.modules):
            package = part.partition(".")[0]
            if package != "trackerlib" and (package == top or part in sources):
                del sys.modules[part]
        importlib.invalidate_caches()
    _imported[name] = current
    try:
        return importlib.import_module(name)
    except Exception as error:
        sys.modules.pop(name, None)
        raise _unimportable(name, text, error) from error


def _unimportable(name: str, text: str, error: Exception) -> ValueError:
    return ValueError(
        f"parse: {name} in {text!r} cannot be imported: {type(error).__name__}: {error}"
    )


def _code(module: str, folder: Path) -> str:
    """Return a hash of a module's code, comments apart, and of all of its own that it imports."""
    sources = sorted(_sources(module, folder).items())
    return hashlib.sha256(repr(sources).encode()).hexdigest()[:16]


def _sources(module: str, folder: Path) -> dict[str, str]:
    """Return the code of a module and of what it imports of its own, or of this library."""
    pending, found = [module], dict[str, str]()
    while pending:
        name = pending.pop()
        path = _file(name, module, folder)
        if path is None or name in found:
            continue
        if path.suffix != ".py":
            found[name] = _file_hash(path)
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):  # which importing it tells
            found[name] = _file_hash(path)
            continue
        found[name] = ast.unparse(tree)
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        pending += _imports(tree, package)
        pending += filter(None, [name.rpartition(".")[0]])  # its package is imported first
    return found


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that code may import, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level else []
            parts = parts[: len(parts) - node.level + 1] if node.level else parts
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _file(name: str, module: str, folder: Path) -> Path | None:
    """Return the file of a module that is one's own or this library's; None for others."""
    top = name.partition(".")[0]
    if top == "trackerlib":
        folder = Path(__file__).resolve().parents[2]
    elif top != module.partition(".")[0] and _is_shared(folder):
        return None
    path = folder.joinpath(*name.split("."))
    choices = [path / "__init__.py", path.with_name(f"{path.name}.py")]
    choices += sorted(path.parent.glob(f"{path.name}.*.so")) if path.parent.is_dir() else []
    choices += sorted(path.parent.glob(f"{path.name}.*.pyd")) if path.parent.is_dir() else []
    return next((one for one in choices if one.is_file()), None)


@cache
def _is_shared(folder: Path) -> bool:
    """Return whether all packages of an environment, or Python itself, are in a folder."""
    paths = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    return folder in paths or folder.name in ("site-packages", "dist-packages")


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
