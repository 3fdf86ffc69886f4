"""Draws the moving picture of the book's first page: several trackers on one sequence.

    python -m benchmarks.race

writes book/static/race.webm, its first picture race.jpg, and card.png, which messengers show
beside a link. TRACKERLIB_RECORDED=read takes the recorded boxes (`eval/recorded.py`).
"""

import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trackerlib import trackers
from trackerlib.boxes import box_iou
from trackerlib.data import open_dataset
from trackerlib.data.sequence import Sequence
from trackerlib.data.video_writer import VideoWriter
from trackerlib.eval.recorded import recorded
from trackerlib.plots import annotate

STATIC = Path(__file__).resolve().parents[1] / "book" / "static"
SEQUENCE, FPS, SEED = "Peekaboo", 15, 0
RUNNERS = {
    "KCF": "kcf",
    "MSDAT": "msdat:mode=float32",
    "FDN": "fdn:mode=float32",
    "RT-MDNet": "rtmdnet:mode=float32",
    "DeepTrack": "deeptrack",
}
ZOOM, PANEL = 2, 132  # pixels per pixel of a frame; pixels of the panel below
GROUND, INK = "#16181d", "#f2f2f2"  # a ground of its own serves light and dark pages
PALETTE = dict(zip(RUNNERS, ("#D55E00", "#56B4E9", "#E69F00", "#CC79A7", "#F0E442"), strict=True))
CARD = (1200, 630)  # pixels, as messengers ask for


def boxes_of(tracker: str, sequence: Sequence) -> Mapping[str, Any]:
    """Track a sequence -> "boxes" (T, 4), x, y, w, h in pixels."""
    runner = trackers.parse(tracker).build(device="cpu", seed=SEED)
    runner.init(sequence.frames[0], sequence.boxes[0].copy())
    later = [runner.update(sequence.frames[i]) for i in range(1, len(sequence.boxes))]
    return {"boxes": np.array([sequence.boxes[0], *later])}


def drawn(frame: np.ndarray, boxes: dict[str, np.ndarray]) -> np.ndarray:
    """Return a frame (H, W, 3), enlarged, with each tracker's box (4,); the truth is green."""
    size = frame.shape[1] * ZOOM, frame.shape[0] * ZOOM
    image = cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC)
    image = annotate(image, {"truth": boxes["truth"] * ZOOM})
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    for name, box in boxes.items():
        if name != "truth" and np.isfinite(box).all():
            x, y, w, h = np.asarray(box) * ZOOM
            pen.rectangle((x, y, x + w, y + h), outline=PALETTE[name], width=3)
    return np.asarray(picture)


def panel(width: int, ious: dict[str, np.ndarray], now: int) -> np.ndarray:
    """Return the panel (PANEL, width, 3): each tracker's IoU up to frame `now` as a strip.

    ious  (T,) per tracker; the strip is as bright as the IoU is high
    """
    picture = Image.new("RGB", (width, PANEL), GROUND)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=17)
    row, left = (PANEL - 10) / len(ious), 104
    for index, (name, values) in enumerate(ious.items()):
        top = 6 + index * row
        pen.text((12, top + 1), name, fill=PALETTE[name], font=font)
        step = (width - left - 60) / len(values)
        for frame in range(now + 1):
            height = max(1.0, values[frame] * (row - 6))
            x = left + frame * step
            bottom = top + row - 4
            pen.rectangle((x, bottom - height, x + step, bottom), fill=PALETTE[name])
        pen.text((width - 48, top + 1), f"{values[now]:.2f}", fill=INK, font=font)
    return np.asarray(picture)


def pictures(sequence: Sequence, runs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return the pictures of the clip, one per frame, (H, W, 3) uint8."""
    ious = {name: box_iou(boxes, sequence.boxes) for name, boxes in runs.items()}
    made = []
    for index in range(len(sequence.boxes)):
        frame = sequence.frames[index]
        boxes = {"truth": sequence.boxes[index], **{n: b[index] for n, b in runs.items()}}
        image = drawn(frame, boxes)
        made.append(np.vstack([image, panel(image.shape[1], ious, index)]))
    return made


def card(picture: np.ndarray) -> Image.Image:
    """Return the card: a picture of the race beside the book's title."""
    made = Image.new("RGB", CARD, GROUND)
    shown = Image.fromarray(picture)
    shown.thumbnail((660, 630))
    made.paste(shown, (CARD[0] - shown.width, (CARD[1] - shown.height) // 2))
    pen = ImageDraw.Draw(made)
    title, text = ImageFont.load_default(size=72), ImageFont.load_default(size=30)
    pen.text((48, 120), "Deep visual\ntracking,\nrebuilt", fill=INK, font=title, spacing=18)
    pen.text((48, 470), "Five papers, step by step,\nin notebooks that run", fill=INK, font=text)
    return made


def main() -> int:
    """Track, draw, write -> 0."""
    found = {one.name: one for one in open_dataset("embedded").sequences}
    sequence = found[SEQUENCE]
    runs = {
        name: recorded(f"race/{name.lower()}", boxes_of, text, sequence)["boxes"]
        for name, text in RUNNERS.items()
    }
    made = pictures(sequence, runs)
    height, width = made[0].shape[:2]
    writer = VideoWriter(STATIC / "race.webm", (width, height), Fraction(1000), FPS)
    for index, picture in enumerate(made):
        writer.write(picture, index / FPS)
    writer.close()
    best = made[round(0.7 * len(made))]
    Image.fromarray(best).save(STATIC / "race.jpg", quality=80)
    card(best).save(STATIC / "card.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
