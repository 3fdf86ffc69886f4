"""Runs that ship with the project, so that a page says the same on every processor.

A tracker that learns online follows the last bits of its responses, and last bits are the
processor's: a score of 0.404 here is 0.393 elsewhere. What a page shows of such runs is therefore
recorded once, under data/results, and the page is tested against the record. The environment
variable TRACKERLIB_RECORDED says what to do:

    read     take what is recorded instead of computing it
    write    compute it, and record it
    (none)   compute it: a reader's runs are live

A record is a compressed .npz of numbers and text; no pickle is written or read.
"""

import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from trackerlib.eval.store import Result, Store, Track, Unit
from trackerlib.paths import draft_of, shipped

__all__ = ["counted", "keep", "mode", "other", "recorded", "replay"]

VARIABLE = "TRACKERLIB_RECORDED"
NAME = re.compile(r"[\w-]+/[\w-]+")
NOT_IDENTITY = ("label", "code", "device")  # of a unit's fields: a record outlives its code


def mode() -> str:
    """Return "read", "write", or "" for live runs. Raises ValueError for any other value."""
    found = os.environ.get(VARIABLE, "")
    if found not in ("", "read", "write"):
        raise ValueError(
            f"recorded: expected {VARIABLE} to be read, write or not set, got {found!r}"
        )
    return found


def recorded(
    name: str, function: Callable[..., Mapping[str, Any]], *arguments: Any, **named: Any
) -> dict[str, np.ndarray]:
    """Return function(*arguments, **named) as arrays, from data/results/book where asked to.

    name       "folder/slug", the record's file without its suffix
    function   returns a mapping of names to what NumPy makes arrays of numbers or text of

    Raises ValueError for another name or value, and for a record that cannot be read, and
    FileNotFoundError where a record is to be read and there is none.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"recorded: expected a name of the form folder/slug, got {name!r}")
    asked, path = mode(), _path(f"book/{name}")
    if asked == "read":
        return _load(path)
    arrays = _as_arrays(name, function(*arguments, **named))
    if asked == "write":
        _save(path, arrays)
    return arrays


def counted(unit: Unit, store: Store) -> Result | None:
    """Return a unit's result, None where it is still to be run.

    A live run does not count a replayed result.
    """
    result = store.read(unit)
    replayed = result is not None and mode() != "read" and "recorded" in result.environment
    return None if replayed else result


def replay(unit: Unit, store: Store) -> bool:
    """Write a unit's record to the store -> whether there is one and it was asked for.

    The processor's name then ends in "(recorded)", so that no table of speeds passes the
    record's seconds off as this machine's. A record of other frames or another first box is
    none. Raises ValueError for a record that cannot be read.
    """
    path = _path(unit.stem)
    if mode() != "read" or not path.is_file():
        return False
    record = _load(path)
    if _unlike(record, unit):
        return False
    environment = json.loads(str(record["environment"]))
    environment["device_name"] += " (recorded)"
    track = Track(record["boxes"], record["seconds"], tuple(map(str, record["warnings"])))
    store.write(unit, track, environment | {"recorded": True})
    return True


def other(unit: Unit) -> str:
    """Return a line on a unit's record that was asked for and is of something else, or ""."""
    path = _path(unit.stem)
    if mode() != "read" or not path.is_file():
        return ""
    fields = _unlike(_load(path), unit)
    return f"{path}: a record of other {', '.join(fields)}, not taken" if fields else ""


def keep(unit: Unit, store: Store) -> None:
    """Record what the store holds of a unit, where that was asked for; a crash is not recorded."""
    result = store.read(unit) if mode() == "write" else None
    if result is None:
        return
    environment = {key: value for key, value in result.environment.items() if key != "host"}
    arrays = {
        "boxes": result.track.boxes,  # (n, 4)
        "seconds": result.track.seconds,  # (n,)
        "warnings": np.array(result.track.warnings, dtype=np.str_),
        "environment": np.array(json.dumps(environment)),
        "unit": np.array(json.dumps(_identity(unit))),
    }
    _save(_path(unit.stem), arrays)


def _identity(unit: Unit) -> dict:
    """Return what a record must share with the unit that it stands for, as JSON has it."""
    fields = {key: value for key, value in asdict(unit).items() if key not in NOT_IDENTITY}
    return json.loads(json.dumps(fields))


def _unlike(record: Mapping[str, np.ndarray], unit: Unit) -> list[str]:
    """Return the fields in which a record differs from the unit that it would stand for."""
    found, wanted = json.loads(str(record["unit"])), _identity(unit)
    return [field for field in wanted if found.get(field) != wanted[field]]


def _path(stem: str) -> Path:
    """Return a record's file, in the project's data folder whether it is there or not."""
    return shipped("") / "results" / f"{stem}.npz"


def _as_arrays(name: str, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(values, Mapping):
        raise ValueError(
            f"recorded: expected {name} to be a mapping of names to arrays, got {type(values)}"
        )
    arrays = {key: np.asarray(value) for key, value in values.items()}
    for key, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(
                f"recorded: expected {key} of {name} to be numbers or text of one shape, "
                f"got {type(values[key])}; give it as an array"
            )
    return arrays


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft_of(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _load(path: Path) -> dict[str, np.ndarray]:
    cure = "run make record NB=... with the notebook that asks for it"
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"recorded: expected a record in {path}, there is none; {cure}"
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"recorded: {path} cannot be read ({error}); {cure}") from error
