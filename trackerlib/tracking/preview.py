"""A live view of tracking: frames as they are tracked, on a page on the loopback address."""

import threading
import time
from collections.abc import Iterator
from collections.abc import Sequence as Ordered
from socketserver import ThreadingMixIn

import cv2
import numpy as np

from trackerlib.data.annotated_video import Marked, drawn
from trackerlib.tracking.loopback import Answer, Loopback

__all__ = ["Preview", "as_jpeg"]

QUALITY = 80  # of the pictures as JPEG, 0 to 100
MAX_FPS = 20.0  # that are encoded: what a viewer sees may lag behind the tracker, not slow it
IDLE = 0.3  # seconds without another frame, after which the latest is sent again
MAX_SIDE = 1280  # pixels of a picture; larger frames are shown smaller
BOUNDARY = b"--frame\r\n"
PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Tracking</title>
<style>
  body { margin: 0; background: #222; display: grid; place-items: center; min-height: 100vh }
  img { max-width: 100vw; max-height: 100vh; min-width: min(640px, 100vw) }
</style>
<img src="stream" alt="the latest frame with the tracked boxes">
</html>
"""


class Preview:
    """A page that shows the latest frame with its boxes, at `address`, until it is closed.

    `show` costs a tracker nothing to speak of: pictures are made in the viewer's thread, and
    only where there is one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._latest: tuple[np.ndarray, tuple[Marked, ...]] | None = None
        self._count, self._closed = 0, False
        self._server = _Threaded({"GET ": _page, "GET stream": self._stream})
        self.address = self._server.address
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def show(self, image: np.ndarray, targets: Ordered[Marked]) -> None:
        """Show a frame (H, W, 3) uint8 RGB with its targets; it must not be changed afterwards."""
        with self._changed:
            self._latest = image, tuple(targets)
            self._count += 1
            self._changed.notify_all()

    def close(self) -> None:
        """End the page; a viewer keeps the last frame."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def _stream(self, _: bytes) -> Answer:
        return Answer(self._parts(), "multipart/x-mixed-replace; boundary=frame")

    def _parts(self) -> Iterator[bytes]:
        yield BOUNDARY
        seen, part, is_shown = 0, b"", True
        while True:
            found = self._next(seen, None if is_shown else IDLE)
            if found is not None:
                seen, image, targets = found
                picture = as_jpeg(drawn(image, targets))
                part = b"Content-Type: image/jpeg\r\n\r\n" + picture + b"\r\n" + BOUNDARY
            elif is_shown:
                return
            # Chromium shows a picture when the next one comes: the latest is sent again.
            is_shown = found is None
            yield part
            time.sleep(1 / MAX_FPS)

    def _next(
        self, seen: int, patience: float | None
    ) -> tuple[int, np.ndarray, tuple[Marked, ...]] | None:
        """Return the count of frames and the latest, once it is another than the `seen`-th.

        None where none comes any more, or within `patience` seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._count > seen or self._closed, patience)
            if self._latest is None or self._count == seen:
                return None
            return self._count, *self._latest


class _Threaded(ThreadingMixIn, Loopback):
    """Several viewers at once, none of which is waited for."""

    daemon_threads = True
    block_on_close = False


def _page(_: bytes) -> Answer:
    return Answer([PAGE], "text/html; charset=utf-8")


def as_jpeg(image: np.ndarray) -> bytes:
    """Return a picture (H, W, 3) uint8 RGB as JPEG, MAX_SIDE pixels a side at most."""
    longest = max(image.shape[:2])
    if longest > MAX_SIDE:
        scale = MAX_SIDE / longest
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return encoded.tobytes()
