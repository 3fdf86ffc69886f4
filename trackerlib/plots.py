"""Figures that two or more chapters use."""

import base64
import html
import itertools
import json
import re
from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from trackerlib.boxes import xywh_to_xyxy
from trackerlib.eval.metrics import OTB, PRECISION_THRESHOLDS, Conventions

__all__ = ["COLOURS", "annotate", "draw", "drift_plot", "player", "precision_plot", "success_plot"]

# Okabe and Ito's palette, which readers with any colour vision can distinguish.
COLOURS = ("#009E73", "#D55E00", "#0072B2", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
Corner = Literal["lower left", "lower right"]
SLUG = re.compile(r"[A-Za-z0-9-]+")


def draw(ax: Axes, frame: np.ndarray, boxes: dict[str, np.ndarray], title: str = "") -> None:
    """Show a frame (H, W, 3) with labelled boxes (4,) x, y, w, h; the first is green."""
    height, width = frame.shape[:2]
    ax.imshow(frame, extent=(0, width, height, 0))
    for colour, (label, box) in zip(_cycle(), boxes.items(), strict=False):
        x, y, w, h = np.asarray(box, np.float64)
        ax.add_patch(Rectangle((x, y), w, h, fill=False, color=colour, linewidth=2, label=label))
    if boxes:
        ax.legend(loc="upper right", fontsize=8)
    ax.set(title=title, xlabel="x (pixels)", ylabel="y (pixels)")


def annotate(frame: np.ndarray, boxes: dict[str, np.ndarray]) -> np.ndarray:
    """Return a copy of a frame (H, W, 3) uint8 with boxes (4,) drawn in, coloured as in `draw`.

    A box that is not finite is left out.
    """
    image = frame.copy()
    for colour, box in zip(_cycle(), boxes.values(), strict=False):
        if not np.isfinite(box).all():
            continue
        x, y, right, bottom = np.rint(xywh_to_xyxy(np.asarray(box)))
        rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        corners = (int(x), int(y)), (int(right), int(bottom))
        cv2.rectangle(image, *corners, rgb, 2, cv2.LINE_AA)
    return image


def success_plot(ax: Axes, curves: dict[str, np.ndarray], conventions: Conventions = OTB) -> None:
    """Plot success (S,) against the IoU threshold; the legend gives each curve's AUC.

    conventions  those of the scores. Where AUC is the exact area, the legend has the area
                 below the line that is drawn.
    """
    x, exact = np.array(conventions.thresholds), conventions.area == "exact"
    for style, (label, curve) in zip(_styles(), curves.items(), strict=False):
        area = np.trapezoid(curve, x) if exact else np.mean(curve)
        ax.plot(x, curve, style[1], color=style[0], label=f"{label} [{area:.3f}]")
    _finish(ax, "IoU threshold (1)", "success rate (1)", (0, 1), "lower left")


def precision_plot(ax: Axes, curves: dict[str, np.ndarray]) -> None:
    """Plot precision (51,) against 0 to 50 px; the legend gives each curve's value at 20 px."""
    for style, (label, curve) in zip(_styles(), curves.items(), strict=False):
        label = f"{label} [{curve[20]:.3f}]"
        ax.plot(PRECISION_THRESHOLDS, curve, style[1], color=style[0], label=label)
    _finish(ax, "centre error threshold (pixels)", "precision (1)", (0, 50), "lower right")


def drift_plot(ax: Axes, curves: dict[str, np.ndarray]) -> None:
    """Plot scale (P,) along a sequence, at the middle of each of P parts of its length.

    curves  label -> scales, as `analysis.scale_drift` has them; NaN leaves a gap

    The grey line is the true size; the legend gives each curve's value in the last part.
    """
    ax.axhline(1, color="grey", linewidth=1)
    for colour, (label, curve) in zip(_cycle(), curves.items(), strict=False):
        x = (np.arange(len(curve)) + 0.5) / len(curve)
        ax.plot(x, curve, color=colour, marker=".", label=f"{label} [{curve[-1]:.3f}]")
    highest = max((np.nanmax(curve, initial=0) for curve in curves.values()), default=0)
    _finish(ax, "part of the sequence (1)", "scale (1)", (0, 1), "lower left")
    ax.set_ylim(0, max(1.5, 1.1 * highest))


def player(images: list[np.ndarray], captions: list[str], name: str, quality: int = 80) -> HTML:
    """Return a flip book of images with a slider and a play button.

    images    (H, W, 3) uint8 RGB
    captions  one per image
    name      unique on its page, of letters, digits and hyphens, such as kcf-ride; the
              figure's id is player-<name>, whatever it shows
    quality   of the JPEGs, 0 to 100

    It needs neither a kernel nor a network: the images are inside, as JPEG.
    Raises ValueError unless there is one caption per image, and for another name.
    """
    if not SLUG.fullmatch(name):
        raise ValueError(
            f"player: expected a name of letters, digits and hyphens, got {name!r}; "
            "give one such as kcf-ride"
        )
    if len(images) != len(captions) or not images:
        raise ValueError(
            f"player: expected one caption per image, got {len(images)} images "
            f"and {len(captions)} captions"
        )
    width = images[0].shape[1]
    frames = json.dumps([_jpeg(image, quality) for image in images])
    return HTML(
        PLAYER.replace("$ID", f"player-{name}")
        .replace("$WIDTH", str(width))
        .replace("$LAST", str(len(images) - 1))
        .replace("$FIRST_CAPTION", html.escape(captions[0]))
        .replace("$FRAMES", frames)
        .replace("$CAPTIONS", json.dumps(captions).replace("<", "\\u003c"))
    )


PLAYER = """
<figure id="$ID" style="max-width:$WIDTHpx;margin:1em 0">
  <img alt="$FIRST_CAPTION" style="width:100%;display:block">
  <div style="display:flex;gap:.5em;align-items:center">
    <button type="button" aria-label="play or pause">&#9654;</button>
    <input type="range" min="0" max="$LAST" value="0" style="flex:1" aria-label="frame">
  </div>
  <figcaption>$FIRST_CAPTION</figcaption>
</figure>
<script>
(function () {
  const frames = $FRAMES, captions = $CAPTIONS;
  const root = document.getElementById("$ID");
  const [image, button, slider, caption] =
    ["img", "button", "input", "figcaption"].map((tag) => root.querySelector(tag));
  let timer = null;
  function show() {
    image.src = "data:image/jpeg;base64," + frames[slider.value];
    image.alt = caption.textContent = captions[slider.value];
  }
  function stop() { clearInterval(timer); timer = null; button.innerHTML = "&#9654;"; }
  function step() { slider.value = (+slider.value + 1) % frames.length; show(); }
  button.onclick = function () {
    if (timer) { stop(); return; }
    timer = setInterval(step, 200); button.innerHTML = "&#10074;&#10074;";
  };
  slider.oninput = function () { stop(); show(); };
  show();
})();
</script>
"""


def _cycle() -> Iterator[str]:
    return itertools.cycle(COLOURS)


def _styles() -> Iterator[tuple[str, str]]:
    """Yield colours and line styles: solid for the first of COLOURS, dashed where they recur."""
    for line in itertools.cycle(("-", "--", ":")):
        yield from ((colour, line) for colour in COLOURS)


def _finish(ax: Axes, xlabel: str, ylabel: str, xlim: tuple[float, float], corner: Corner) -> None:
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=xlim, ylim=(0, 1))
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc=corner)


def _jpeg(image: np.ndarray, quality: int) -> str:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return base64.b64encode(encoded.tobytes()).decode()
