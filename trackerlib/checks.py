"""Checks of what callers pass: each raises an error that says what was expected and what came."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch


def in_range(config: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for a field of a Config that is neither None nor in its range.

    ranges  field -> least and greatest value, both inclusive
    """
    for field, (low, high) in ranges.items():
        value = getattr(config, field)
        if value is not None and not low <= value <= high:
            raise ValueError(
                f"{_name(config)}: expected {field} from {low:g} to {high:g}, got {value}"
            )


def among(config: Any, choices: Mapping[str, Collection[str]]) -> None:
    """Raise ValueError for a field of a Config that is none of its choices."""
    for field, known in choices.items():
        value = getattr(config, field)
        if value not in known:
            raise ValueError(
                f"{_name(config)}: expected {field} among {', '.join(known)}, got {value!r}"
            )


def initialised(tracker: Any) -> None:
    """Raise RuntimeError for a tracker that has no target yet."""
    if not hasattr(tracker, "box"):
        raise RuntimeError(
            f"{_name(tracker)}.update: expected a tracker that has its target; "
            "call init(frame, box) first"
        )


def first_frame(tracker: Any, frame: Any) -> np.ndarray:
    """Return the frame (H, W, 3) that a tracker is initialised on, checked.

    It is the frame itself, or a copy where torch would refuse its memory: a view such as
    frame[..., ::-1], or one that is read-only. The tracker remembers its size, and has no
    target until `init` gives it one. Raises TypeError for what is no array and ValueError
    for an array that is no frame, with what makes a frame of it.
    """
    frame = _usable(frame, f"{_name(tracker)}.init")
    vars(tracker).pop("box", None)  # of an earlier target, for which an init that fails is no init
    tracker.frame_shape = frame.shape
    return frame


def next_frame(tracker: Any, frame: Any) -> np.ndarray:
    """Return a later frame, checked as by `first_frame`.

    Raises RuntimeError for a tracker that has no target yet, what `first_frame` raises,
    and ValueError for a frame of another size than the first one.
    """
    initialised(tracker)
    frame = _usable(frame, f"{_name(tracker)}.update")
    if frame.shape != tracker.frame_shape:
        (height, width, _), (h, w, _) = tracker.frame_shape, frame.shape
        raise ValueError(
            f"{_name(tracker)}.update: expected a frame of {width}x{height} pixels, as the first "
            f"one, got {w}x{h}; resize it: cv2.resize(frame, ({width}, {height}))"
        )
    return frame


def _usable(frame: Any, function: str) -> np.ndarray:
    is_array = isinstance(frame, np.ndarray)
    if is_array and frame.dtype == np.uint8 and frame.shape[2:] == (3,) and frame.size:
        return np.require(frame, requirements=("C_CONTIGUOUS", "WRITEABLE"))
    error = ValueError if isinstance(frame, np.ndarray | torch.Tensor) else TypeError
    raise error(
        f"{function}: expected a frame (H, W, 3) uint8 RGB, got {_described(frame)}; "
        f"{_cure(frame)}"
    )


def _described(thing: Any) -> str:
    if isinstance(thing, np.ndarray | torch.Tensor):
        kind = "a tensor" if isinstance(thing, torch.Tensor) else "an array"
        return f"{kind} {tuple(thing.shape)} of {str(thing.dtype).removeprefix('torch.')}"
    return "None" if thing is None else f"a {type(thing).__name__}"


def _cure(frame: Any) -> str:
    """What to do with something that is no frame: Python that makes one of it, if any can."""
    if frame is None:
        return (
            "OpenCV returns None for what it cannot read: check its path; a video may have ended"
        )
    if isinstance(frame, torch.Tensor):
        return _cure_of_tensor(frame)
    if isinstance(frame, np.ndarray):
        return _cure_of_array(frame)
    makers = {  # by the name of a class: PIL.Image.Image has subclasses for each file format
        "Image": 'np.array(frame.convert("RGB"))',
        "UMat": "frame.get()",
        "str": "cv2.cvtColor(cv2.imread(frame), cv2.COLOR_BGR2RGB)",
        "Path": "cv2.cvtColor(cv2.imread(str(frame)), cv2.COLOR_BGR2RGB)",
        "tuple": "frame[1], if it is what cv2.VideoCapture.read returned",
        "list": "np.array(frame, dtype=np.uint8)",
    }
    classes = [kind.__name__ for kind in type(frame).__mro__]
    known = [makers[name] for name in classes if name in makers]
    return f"take {known[0]}" if known else "read it as an array of NumPy"


def _cure_of_tensor(tensor: torch.Tensor) -> str:
    if tensor.is_floating_point():  # NumPy knows no bfloat16
        array = tensor.detach().float().cpu().numpy()
        return _cure_of_array(array, "frame.detach().float().cpu().numpy()")
    return _cure_of_array(tensor.cpu().numpy(), "frame.cpu().numpy()")


def _cure_of_array(frame: np.ndarray, code: str = "frame") -> str:
    """Python that makes a frame of an array, step by step where several things are wrong.

    code  what stands for the array
    """
    if not frame.size:
        return "it has no pixels: check what it was cut out of"
    if frame.ndim == 4 and len(frame) == 1:  # a batch of one
        code, frame = f"{code}[0]", frame[0]
    if frame.ndim == 3 and frame.shape[2] > 4 >= frame.shape[0]:
        code, frame = f"{code}.transpose(1, 2, 0)", frame.transpose(1, 2, 0)
    if frame.ndim not in (2, 3) or frame.shape[2:] > (4,) or frame.dtype.kind not in "biuf":
        return "its axes have to be rows, columns and the colours red, green, blue"
    code = _as_bytes(code, frame)
    channels = frame.shape[2] if frame.ndim == 3 else 1
    if channels == 2:  # grey and opacity
        code, channels = f"{code}[..., 0]", 1
    if channels == 1:
        code = f"cv2.cvtColor({code}, cv2.COLOR_GRAY2RGB)"
    return f"take {code}[..., :3]" if channels == 4 else f"take {code}"


def _as_bytes(code: str, frame: np.ndarray) -> str:
    """Python that turns the numbers of an array, which `code` stands for, into 0 to 255."""
    if frame.dtype == np.uint8:
        return code
    if frame.dtype == bool:
        return f"(255 * {code}.astype(np.uint8))"
    low, high = float(frame.min()), float(frame.max())
    if not (low >= 0 and high <= 65535):  # nor if they are no numbers
        return f"{code}.clip(0, 255).astype(np.uint8), once its pixels are 0 to 255"
    if frame.dtype.kind == "f" and high <= 1:
        return f"(255 * {code}).round().astype(np.uint8)"
    return f"({code} // 257).astype(np.uint8)" if high > 255 else f"{code}.astype(np.uint8)"


def _name(thing: Any) -> str:
    """The paper's module and the class: trackers.dlst.tracker's Config is "dlst.Config"."""
    parts = [part for part in type(thing).__module__.split(".") if part not in _ROOMS]
    return f"{parts[-1]}.{type(thing).__name__}"


_ROOMS = "tracker", "config"  # files of a paper's folder whose name says nothing of the paper
