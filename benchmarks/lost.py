"""What trackers' evidence of a lost target is worth: writes data/lost.json, which calibrates them.

    python -m benchmarks.lost --clips FOLDER --trackers rtmdnet kcf --json data/lost.json

The clips are held-out ones, on which no weights that ship were trained. Each is tracked as it is,
and once with losses made: a patch of another clip covers the target for 6 frames, 6 frames of
another clip are cut in, and 3 are grey. A frame is lost where the target is not there, or the
box's IoU with it is below LOST_IOU. A logistic regression of the evidence gives the score;
memory and threshold are those with the highest recall at a precision of WANTED, or where none
has it, the highest F1. Precision and recall are of clips left out in turn: all three are fitted
on the others. Tracked runs are kept in --runs; those that are there are not made again.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from trackerlib.boxes import box_iou
from trackerlib.data import Sequence, open_dataset
from trackerlib.paths import draft_of
from trackerlib.trackers import parse
from trackerlib.trackers.lost import LOST_IOU, MAX_LOG_ODDS, NO_TARGET
from trackerlib.train.clips import HELD_OUT

ABOUT = (
    "benchmarks/lost.py, on {} held-out clips, as they are and with made losses; precision and "
    "recall of clips left out in turn"
)
WANTED = 0.9  # precision of the flag where it is fitted: clips left out have less, about 0.85
COVERED, CUT, BLANK = 6, 6, 3  # frames of each made loss
GREY = 128
MEMORIES = (0.0, 0.3, 0.5, 0.7)
Frames = list[np.ndarray]


class Table(NamedTuple):
    """The frames of all runs, one after the other.

    evidence  (n, k), 0 in frames that have none
    is_blank  (n,) whether there was none: the search window was flat
    lost      (n,) whether the target is
    run       (n,) which run a frame is of; the two of one clip follow each other
    """

    evidence: np.ndarray
    is_blank: np.ndarray
    lost: np.ndarray
    run: np.ndarray

    def of(self, frames: np.ndarray) -> "Table":
        """Return those where `frames` (n,) is true."""
        return Table(*(column[frames] for column in self))


def broken(clip: Sequence, other: Sequence) -> tuple[Frames, np.ndarray]:
    """Return the frames of a clip with losses made, and the boxes (T, 4), NaN where it is lost."""
    frames, boxes = (
        [frame.copy() for frame in clip.read() if isinstance(frame, np.ndarray)],
        clip.boxes.copy(),
    )
    size, count = frames[0].shape[1::-1], len(frames)
    foreign = [cv2.resize(other.frames[i], size, interpolation=cv2.INTER_AREA) for i in range(CUT)]
    for i in range(count // 4, count // 4 + COVERED):
        if np.isfinite(boxes[i]).all():
            x, y, w, h = boxes[i]
            rows = slice(max(0, int(y - h / 5)), int(y + 1.2 * h) + 1)
            columns = slice(max(0, int(x - w / 5)), int(x + 1.2 * w) + 1)
            frames[i][rows, columns] = foreign[i % CUT][rows, columns]
        boxes[i] = np.nan
    for i in range(3 * count // 4, 3 * count // 4 + BLANK):
        frames[i][:], boxes[i] = GREY, np.nan
    frames[count // 2 : count // 2] = foreign
    return frames, np.insert(boxes, [count // 2] * CUT, np.nan, axis=0)


def runs(clips: list[Sequence]) -> Iterator[tuple[str, Frames, np.ndarray]]:
    """Yield a name, frames and boxes (T, 4): every clip with made losses, and as it is."""
    for i, clip in enumerate(clips):
        yield f"{clip.name}, broken", *broken(clip, clips[(i + 1) % len(clips)])
        yield clip.name, [clip.frames[k] for k in range(len(clip))], clip.boxes


def tracked(name: str, frames: Frames, boxes: np.ndarray) -> list[dict[str, Any]]:
    """Return, for every frame but the first, IoU (None without a target) and evidence."""
    tracker: Any = parse(name).build()
    tracker.init(frames[0], boxes[0])
    rows = []
    for frame, box in zip(frames[1:], boxes[1:], strict=True):
        found = torch.from_numpy(tracker.update(frame))
        there = np.isfinite(box).all()
        iou = float(box_iou(found[None], torch.from_numpy(box))[0]) if there else None
        rows.append({"iou": iou, "evidence": tracker.watch.evidence})
    return rows


def collected(name: str, clips: list[Sequence], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return run -> its rows; make those that the folder lacks."""
    file = folder / f"{name.replace(':', '-')}.json"
    found = json.loads(file.read_text()) if file.is_file() else {}
    for run, frames, boxes in runs(clips):
        if run not in found:
            found[run] = tracked(name, frames, boxes)
            folder.mkdir(parents=True, exist_ok=True)
            with draft_of(file) as draft:
                draft.write_text(json.dumps(found))
            print(f"{name}: {len(found)} of {2 * len(clips)} runs", flush=True)
    return found


def as_table(found: dict[str, list[dict[str, Any]]]) -> tuple[list[str], Table]:
    """Return the kinds of evidence, and the table of all runs."""
    rows = [(run, row) for run, of_run in enumerate(found.values()) for row in of_run]
    names = next(list(row["evidence"]) for _, row in rows if row["evidence"])
    evidence = [[row["evidence"].get(name, 0.0) for name in names] for _, row in rows]
    lost = [row["iou"] is None or row["iou"] < LOST_IOU for _, row in rows]
    return names, Table(
        np.array(evidence),
        np.array([not row["evidence"] for _, row in rows]),
        np.array(lost),
        np.array([run for run, _ in rows]),
    )


def fitted(table: Table) -> tuple[np.ndarray, float, float, float]:
    """Return weights (k,), bias, memory, threshold."""
    seen = table.of(~table.is_blank)
    deviation = seen.evidence.std(0).clip(min=1e-9)
    model = LogisticRegression(C=10).fit(seen.evidence / deviation, ~seen.lost)
    weights, bias = model.coef_[0] / deviation, float(model.intercept_[0])
    best = (-1.0, -1.0, 0.0, 0.0)
    for memory in MEMORIES:
        scores = scored(table, weights, bias, memory)
        for threshold in np.linspace(0.02, 0.98, 97):
            precision, recall = rates(scores < threshold, table.lost)
            f1 = 2 * precision * recall / max(precision + recall, 1e-9)
            best = max(best, (recall if precision >= WANTED else -1.0, f1, memory, threshold))
    return weights, bias, best[2], round(float(best[3]), 2)


def scored(table: Table, weights: np.ndarray, bias: float, memory: float) -> np.ndarray:
    """Return the score (n,) of every frame, as `trackers.lost.Watch` computes it."""
    now = (table.evidence @ weights + bias).clip(-MAX_LOG_ODDS, MAX_LOG_ODDS)
    for i in range(len(now)):
        if table.is_blank[i]:
            now[i] = NO_TARGET
        elif i and table.run[i] == table.run[i - 1]:
            now[i] = memory * now[i - 1] + (1 - memory) * now[i]
    return 1 / (1 + np.exp(-now))


def rates(flags: np.ndarray, lost: np.ndarray) -> tuple[float, float]:
    """Return precision (1 where nothing is flagged) and recall of flags (n,)."""
    right = float((flags & lost).sum())
    return (right / flags.sum() if flags.any() else 1.0), right / max(float(lost.sum()), 1.0)


def measured(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a tracker's calibration, with its precision and recall on clips left out in turn."""
    names, table = as_table(found)
    clips, says = table.run // 2, "found" in names
    # OpenCV's trackers say themselves when they are lost: only their scores are fitted.
    flags = table.evidence[:, names.index("found")] == 0 if says else np.zeros(len(clips), bool)
    for clip in np.unique(clips) if not says else ():
        rest, left_out = table.of(clips != clip), clips == clip
        weights, bias, memory, threshold = fitted(rest)
        flags[left_out] = scored(table.of(left_out), weights, bias, memory) < threshold
    precision, recall = rates(flags, table.lost)
    weights, bias, memory, threshold = fitted(table)
    return {
        "weights": dict(zip(names, np.round(weights, 4).tolist(), strict=True)),
        "bias": round(bias, 4),
        "memory": memory,
        "threshold": 0.0 if says else threshold,
        "precision": round(precision, 3) if flags.any() else None,
        "recall": round(recall, 3),
        "clips": len(np.unique(clips)),
        "frames": len(flags),
        "lost": int(table.lost.sum()),
    }


def main() -> None:
    """Track what is not there yet, and write the calibrations of the trackers that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", required=True, help="folder that has the held-out clips")
    parser.add_argument("--held-out", default=",".join(HELD_OUT["eighth"]), help="their names")
    parser.add_argument("--trackers", nargs="+", required=True, metavar="TRACKER")
    parser.add_argument("--runs", type=Path, default="build/lost", help="folder of tracked runs")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    arguments = parser.parse_args()
    clips = list(open_dataset(arguments.clips, arguments.held_out).sequences)
    for name in arguments.trackers:
        row = measured(collected(name, clips, arguments.runs))
        print(f"{name}: precision {row['precision']}, recall {row['recall']}", flush=True)
        file = json.loads(arguments.json.read_text()) if arguments.json.is_file() else {}
        known = file.get("trackers", {}) | {name: row}
        file = {"about": ABOUT.format(len(clips)), "trackers": dict(sorted(known.items()))}
        arguments.json.write_text(json.dumps(file, indent=1) + "\n")


if __name__ == "__main__":
    main()
