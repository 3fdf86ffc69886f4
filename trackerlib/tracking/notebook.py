"""Tracking in a notebook: upload a video, draw the boxes, watch, download.

[1] anywidget, which shows `draw.js` in JupyterLab, VS Code and Colab alike.
"""

import base64
import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from IPython.display import HTML, display
from ipywidgets import Image
from numpy.typing import ArrayLike

from trackerlib.data.annotated_video import drawn
from trackerlib.eval.video import Result
from trackerlib.tracking.drawing import DRAW, drawing_data
from trackerlib.tracking.preview import as_jpeg

__all__ = ["BoxDrawing", "downloads", "uploaded", "watched"]

RENDER = """
export default {
  render({ model, el }) {
    drawing(el, { ...model.get("frame"), boxes: model.get("boxes") }, (boxes) => {
      model.set("boxes", boxes);
      model.save_changes();
    });
  },
};
"""


class BoxDrawing(anywidget.AnyWidget):
    """A frame to draw boxes on.

    boxes  [[x, y, w, h], ...], pixels of the frame, as they are drawn now
    """

    _esm = DRAW.read_text(encoding="utf-8") + RENDER
    frame = traitlets.Dict().tag(sync=True)
    boxes: Any = traitlets.List().tag(sync=True)

    def __init__(self, frame: np.ndarray, boxes: ArrayLike = ()) -> None:
        """Show a frame (H, W, 3) uint8 RGB, with boxes (N, 4) to begin with."""
        super().__init__(frame=drawing_data(frame), boxes=np.asarray(boxes).tolist())


def uploaded(upload: Any, folder: Path) -> Path | None:
    """Write what an `ipywidgets.FileUpload` has into a folder -> the file, None if nothing."""
    value = upload.value
    if isinstance(value, dict):  # ipywidgets 7, which Colab has: content by name
        value = [{"name": name, **file} for name, file in value.items()]
    for file in value:
        path = folder / Path(file["name"].replace("\\", "/")).name
        path.write_bytes(file["content"])
        return path
    return None


def watched(results: Iterable[Result], targets: int = 1) -> Iterator[Result]:
    """Pass on the results of `track`, and show each frame with its boxes below the cell."""
    picture, frame = Image(format="jpeg"), list[Result]()
    display(picture)
    for result in results:
        frame.append(result)
        if len(frame) == targets:
            if result.image is not None:
                picture.value = as_jpeg(drawn(result.image, frame))
            frame = []
        yield result


def downloads(*paths: Path) -> HTML:
    """Return links that download files, whose content is inside of the page."""
    links = []
    for path in paths:
        data = base64.b64encode(path.read_bytes()).decode()
        name = html.escape(path.name)
        links.append(
            f'<a download="{name}" href="data:application/octet-stream;base64,{data}">{name}</a>'
        )
    return HTML("<p>" + " ".join(links) + "</p>")
