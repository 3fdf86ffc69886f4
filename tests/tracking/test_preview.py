"""The live view: pictures of the latest frame, and none that the tracker waits for."""

import urllib.error
import urllib.request
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from trackerlib.tracking.preview import Preview

TARGET = SimpleNamespace(box=np.array([10.0, 10, 20, 20]), score=0.5, lost=True, target=1)


def grey(level, size=(48, 64)):
    return np.full((*size, 3), level, np.uint8)


@pytest.fixture
def preview():
    page = Preview()
    yield page
    page.close()


def picture(stream):
    """The next JPEG of a stream of parts."""
    lines = iter(stream.readline, b"")
    assert next(line for line in lines if line.startswith(b"Content-Type: image/jpeg"))
    assert stream.readline() == b"\r\n"
    data = b""
    while not data.endswith(b"\r\n--frame\r\n"):
        data += stream.readline()
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_a_viewer_gets_the_latest_frame_with_its_boxes(preview):
    preview.show(grey(10), [TARGET])
    preview.show(grey(200), [TARGET])
    with urllib.request.urlopen(f"{preview.address}stream", timeout=20) as stream:
        image = picture(stream).astype(int)
        assert abs(image[40, 50] - 200).max() < 8
        assert image[20, 10, 1] > image[20, 10, 0] + 40  # the green edge
        preview.show(grey(60, (4000, 3000)), [TARGET])
        while (shape := picture(stream).shape) == (48, 64, 3):  # the former one again
            pass
        assert shape == (1280, 960, 3)
        preview.close()
        stream.read()  # it ends
    preview.close = lambda: None


def test_the_page_shows_the_stream_and_others_get_nothing(preview):
    with urllib.request.urlopen(preview.address, timeout=20) as page:
        assert b'<img src="stream"' in page.read()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(preview.address.rsplit("/", 2)[0] + "/stream", timeout=20)


def test_a_browser_shows_it(preview, browser):
    preview.show(grey(10), [TARGET])
    browser.open(preview.address)
    browser.wait("document.images[0].naturalWidth === 64")
    preview.show(grey(10, (60, 80)), [TARGET])
    browser.wait("document.images[0].naturalWidth === 80")
