"""The first box, drawn with the mouse: a page on the loopback address shows the first frame.

OpenCV's headless packages have no windows, and a machine that is reached over ssh has no display;
a browser is there, or reached through a tunnel.
"""

import base64
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from trackerlib.data.annotated_video import COLOURS
from trackerlib.data.sequence import FrameError
from trackerlib.tracking.boxes import boxes_text, checked_boxes
from trackerlib.tracking.loopback import Answer, Loopback, has_browser, open_browser

__all__ = ["DRAW", "NO_BOX", "draw_boxes", "drawing_data"]

HERE = Path(__file__).parent
DRAW = HERE / "draw.js"  # the page's, and the notebook's, picture to draw on
UNSEEN = 120.0  # seconds that a page waits to be opened, where nobody is at a terminal
QUALITY = 92  # of the frame as JPEG, 0 to 100
NO_BOX = (
    "track: expected a box of the target; give --box X,Y,W,H, in pixels of the first frame, once "
    "for every target"
)


def draw_boxes(
    frame: np.ndarray,
    another: Callable[[], np.ndarray] | None = None,
    say: Callable[[str], object] = print,
) -> np.ndarray:
    """Have a user draw one box or several on a frame, in a browser -> (N, 4) x, y, w, h.

    frame    (H, W, 3) uint8 RGB
    another  returns the next frame of what is live, if the user asks for it
    say      is called with the page's address, and with what was drawn

    The page is gone once it has sent the boxes. Raises ValueError where nobody can draw: no
    terminal, and no browser, or one that does not open the page.
    """
    is_attended = sys.stdin is not None and sys.stdin.isatty()
    if not is_attended and not has_browser():
        raise ValueError(f"{NO_BOX}: without a terminal or a browser, nobody can draw it")
    page = _Page(frame, another)
    routes = {"GET ": page.show, "GET another": page.next, "POST boxes": page.take}
    with Loopback(routes) as server:
        say(_invitation(server))
        open_browser(server.address)
        try:
            boxes = page.wait(server, math.inf if is_attended else UNSEEN)
        except KeyboardInterrupt:
            say(f"no box was drawn. {NO_BOX}")
            raise
    say(f"drawn: {boxes_text(boxes)}")
    return boxes


def drawing_data(frame: np.ndarray) -> dict[str, object]:
    """Return what draw.js shows of a frame (H, W, 3) uint8 RGB, as plain values."""
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return {
        "image": f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}",
        "width": frame.shape[1],
        "height": frame.shape[0],
        "colours": [f"rgb{colour}" for colour in COLOURS],
    }


class _Page:
    """The page, and the boxes that it sends."""

    def __init__(self, frame: np.ndarray, another: Callable[[], np.ndarray] | None) -> None:
        self.frame, self.another = frame, another
        self.boxes: np.ndarray | None = None
        self.was_seen = False

    def wait(self, server: Loopback, patience: float) -> np.ndarray:
        """Answer requests until there are boxes; wait so many seconds for the page to be seen."""
        server.timeout = 1.0
        end = time.monotonic() + patience
        while self.boxes is None:
            server.handle_request()
            if not self.was_seen and time.monotonic() > end:
                raise ValueError(f"{NO_BOX}: no browser opened {server.address}")
        return self.boxes

    def show(self, _: bytes) -> Answer:
        self.was_seen = True
        data = drawing_data(self.frame) | {"live": self.another is not None}
        # JSON in a script: "</script>" would end it.
        text = json.dumps(data).replace("<", "\\u003c")
        page = (HERE / "draw.html").read_text(encoding="utf-8")
        script = DRAW.read_text(encoding="utf-8").replace("export function", "function")
        page = page.replace("$DRAW", script).replace("$DATA", text)
        return Answer([page.encode()], "text/html; charset=utf-8")

    def next(self, body: bytes) -> Answer:
        if self.another:
            try:
                self.frame = self.another()
            except FrameError as error:
                return Answer([str(error).encode()], status=409)
        return self.show(body)

    def take(self, body: bytes) -> Answer:
        try:
            self.boxes = self._inside(json.loads(body))
        except ValueError as error:  # of JSON, too
            return Answer([str(error).encode()], status=400)
        return Answer([b"Tracking has begun: this page can be closed."])

    def _inside(self, given: object) -> np.ndarray:
        """Return boxes (N, 4) that overlap the frame."""
        boxes = checked_boxes(given)  # type: ignore[arg-type]
        size = self.frame.shape[1::-1]
        if ((boxes[:, :2] >= size) | (boxes[:, :2] + boxes[:, 2:] <= 0)).any():
            raise ValueError(
                f"draw_boxes: expected boxes that overlap the {size[0]}x{size[1]} frame, got "
                f"{boxes.tolist()}"
            )
        return boxes


def _invitation(server: Loopback) -> str:
    port = server.server_port
    tunnel = (
        ""
        if has_browser()
        else (
            f" (from another machine: ssh -L {port}:127.0.0.1:{port} HOST, then the same address)"
        )
    )
    return (
        f"draw the target in a browser: {server.address}{tunnel}\n"
        "or stop here with Ctrl-C and give --box X,Y,W,H"
    )
