"""What a papermill template accepts, checked before anything runs."""

from collections.abc import Mapping
from types import GenericAlias, ModuleType
from typing import Any, get_args, get_origin

NOTEBOOK = {"In", "Out", "exit", "quit", "open", "get_ipython"}  # IPython's own names


def check_parameters(namespace: Mapping[str, Any], **types: type | GenericAlias) -> None:
    """Stop unless the notebook's variables are the known parameters, with the right types.

    namespace  the notebook's `globals()`, when it holds nothing but parameters and imports
    types      the type of each parameter: `data=str`, `seeds=list[int]`

    Papermill itself only warns about a parameter that it does not know.
    Raises ValueError that lists the known parameters.
    """
    given = {
        name: value
        for name, value in namespace.items()
        if not (name.startswith("_") or name in NOTEBOOK)
        and not (callable(value) or isinstance(value, ModuleType))
    }
    known = ", ".join(f"{name} ({_spelled(kind)})" for name, kind in types.items())
    for name, value in given.items():
        if name not in types:
            raise ValueError(f"unknown parameter {name!r}; the known ones are {known}")
        if not _is_a(value, types[name]):
            raise ValueError(
                f"parameter {name!r}: expected {_spelled(types[name])}, got {value!r} "
                f"({type(value).__name__}); the known ones are {known}"
            )


def _is_a(value, kind) -> bool:
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return isinstance(value, list) and all(_is_a(item, inner) for item in value)
    return type(value) is kind  # True is no int here


def _spelled(kind) -> str:
    return str(kind) if get_origin(kind) else kind.__name__
