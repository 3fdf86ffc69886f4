"""Files that hold named arrays, as tools write them, and what a file is by its first bytes.

No file can run code: pickles are read by torch's unpickler for weights, which knows tensors,
containers, and what is listed here: numbers and arrays of NumPy, settings, dates and paths,
which checkpoints hold beside their tensors.
"""

import argparse
import datetime
import pickle
import re
import struct
import types
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

__all__ = ["DAMAGE", "is_named", "kind_of", "load", "unreadable"]

DAMAGE = (  # what the readers raise for bytes that they did not expect
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
MAX_UNPACKED = 1 << 33  # bytes that an archive may declare; a thousandth of it may be on the disk
SAFETENSORS, NPZ, TORCH = "safetensors", "an .npz of NumPy", "a file of torch.save"
BEGINNINGS = {  # of files: what they are
    b"MATLAB 7.3": "a MATLAB file of version 7.3",
    b"MATLAB 5.0": "a MATLAB file",
    b"\x89HDF": "HDF5, such as Keras writes",
    b"\x93NUMPY": "one array of NumPy",
    b"\x80": f"{TORCH} or pickle",
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"BZh": "a bzip2 archive: unpack it",
    b"\xfd7zXZ": "an xz archive: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"version https://git-lfs": "a pointer of Git LFS, not the file: run `git lfs pull`",
    b"<": "a web page, not the file: download it in a browser",
}


def _plain_dict(_default: type | None = None) -> dict:
    """A dict, for a defaultdict: torch's unpickler fills no other kind of it."""
    return {}


NEWER_PICKLES = b"\x80\x03", b"\x80\x04", b"\x80\x05"  # protocols; torch.save writes 2
BUILTINS = bool, bytes, dict, float, int, list, set, str, tuple
HARMLESS: list[Any] = [  # what a pickle may ask for besides tensors; a name where it may vary
    np.dtype,
    np.ndarray,
    *(kind for kind in vars(np.dtypes).values() if isinstance(kind, type)),
    *(  # where NumPy 2 and NumPy 1 have what makes their numbers and arrays
        (made.__reduce__()[0], f"numpy.{place}.multiarray.{name}")
        for made, name in ((np.float64(0), "scalar"), (np.zeros(0), "_reconstruct"))
        for place in ("_core", "core")
    ),
    *(  # paths of either system, on any
        (kind, f"{place}.{name}")
        for kind in (PurePosixPath, PureWindowsPath)
        for place in ("pathlib", "pathlib._local")
        for name in (kind.__name__, kind.__name__.removeprefix("Pure"))
    ),
    *((kind, f"builtins.{kind.__name__}") for kind in BUILTINS),
    argparse.Namespace,
    types.SimpleNamespace,
    (_plain_dict, "collections.defaultdict"),
    datetime.date,
    datetime.datetime,
    datetime.timedelta,
]


def load(path: Path) -> dict[str, Any]:
    """Return what a file of torch.save, a safetensors or an .npz file holds, by name.

    Raises ValueError for a file that is damaged, of another kind, without names, an archive of
    more than MAX_UNPACKED bytes, or that asks for code, which is not run.
    """
    kind = kind_of(path)
    _check_unpacked(path)
    if kind == SAFETENSORS:
        state: Any = _safetensors(path)
    elif kind == NPZ:
        state = _npz(path)
    elif kind and not kind.startswith(TORCH):
        raise unreadable(path, "a pickle of tensors alone", f"it is {kind}")
    else:
        state = _unpickled(path)
    if not is_named(state):
        raise unreadable(path, "a pickle of named tensors", f"it is a {type(state).__name__}")
    return state


def kind_of(path: Path) -> str | None:
    """Return what a file is, by its first bytes; None if they say nothing."""
    with path.open("rb") as file:
        first = file.read(64)
    if first[8:9] == b"{":  # after the length of the header
        return SAFETENSORS
    if first.startswith(b"PK"):
        return _kind_of_zip(path)
    known = [kind for beginning, kind in BEGINNINGS.items() if first.startswith(beginning)]
    return known[0] if known else None if first else "empty: copy it again"


def _kind_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.split("/")[-1] for name in archive.namelist()]
    except DAMAGE:
        return None
    if "constants.pkl" in names:
        return "TorchScript: save torch.jit.load(FILE).state_dict() with torch.save"
    if "data.pkl" in names:
        return TORCH
    return NPZ if all(name.endswith(".npy") for name in names) else "a zip archive: unpack it"


def _check_unpacked(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (*DAMAGE, OSError):
        return  # no archive, or one that its reader will refuse
    if size > MAX_UNPACKED:
        raise ValueError(
            f"read: expected at most {MAX_UNPACKED:,} bytes of tensors in {path}, whose entries "
            f"declare {size:,}; get it again from its authors"
        )


def is_named(state: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether something is a dict whose keys are names."""
    return isinstance(state, dict) and all(isinstance(name, str) for name in state)


def unreadable(path: Path, expected: str, reason: object) -> ValueError:
    """Return the error about a file that is not what it should be."""
    return ValueError(
        f"read: expected {expected} in {path}, which is damaged or another kind of file "
        f"({reason}); get it again from its authors"
    )


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise unreadable(path, SAFETENSORS, error) from error


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (*DAMAGE, OSError) as error:
        raise unreadable(path, "arrays of NumPy", error) from error


def _unpickled(path: Path) -> Any:
    try:
        # Given a path, torch takes the end of the name for what the file is.
        with torch.serialization.safe_globals(HARMLESS), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if not asked:
            reason = type(error).__name__
            with path.open("rb") as file:
                is_newer = file.read(2) in NEWER_PICKLES
            if is_newer:
                reason += "; of a pickle that torch.save did not write, save arrays: numpy.savez"
            raise unreadable(path, "a pickle of tensors alone", reason) from error
        raise ValueError(
            f"read: expected a pickle of tensors alone in {path}, but it asks for {asked[1]}, "
            "which was not run; where you trust the file and have its code, save the tensors "
            "alone: torch.save(network.state_dict(), FILE)"
        ) from error
