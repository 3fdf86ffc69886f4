"""What a papermill template accepts, checked before anything runs."""

import ast
from collections.abc import Mapping
from types import GenericAlias
from typing import Any, get_args, get_origin

__all__ = ["check_parameters"]

Kind = type | GenericAlias | tuple[str, ...]

INJECTED = "# Parameters"  # how papermill begins the cell that it puts in


def check_parameters(namespace: Mapping[str, Any], **types: Kind) -> None:
    """Stop unless what papermill injected are known parameters, and all have the right types.

    namespace  the notebook's `globals()`
    types      the type of each parameter: `data=str`, `seeds=list[int]`; or a tuple of the
               texts that it can be: `protocol=("ope", "tre")`

    Papermill itself only warns about a parameter that it does not know.
    Raises ValueError that lists the known parameters.
    """
    known = ", ".join(f"{name} ({_spelled(kind)})" for name, kind in types.items())
    for name in _injected(namespace.get("In", [])):
        if name not in types:
            raise ValueError(f"unknown parameter {name!r}; the known ones are {known}")
    for name, kind in types.items():
        if not _is_a(namespace[name], kind):
            raise ValueError(
                f"parameter {name!r}: expected {_spelled(kind)}, got {namespace[name]!r} "
                f"({type(namespace[name]).__name__}); the known ones are {known}"
            )


def _injected(cells: list[str]) -> list[str]:
    """Return the names that papermill's own cell assigns, among the executed cells."""
    bodies = (ast.parse(cell).body for cell in cells if cell.startswith(INJECTED))
    assignments = (node for body in bodies for node in body if isinstance(node, ast.Assign))
    targets = (target for node in assignments for target in node.targets)
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _is_a(value: object, kind: Kind) -> bool:
    if isinstance(kind, tuple):
        return value in kind
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return isinstance(value, list) and all(_is_a(item, inner) for item in value)
    return type(value) is kind  # True is no int here


def _spelled(kind: Kind) -> str:
    if isinstance(kind, tuple):
        return "one of " + ", ".join(kind)
    return kind.__name__ if isinstance(kind, type) and not get_origin(kind) else str(kind)
