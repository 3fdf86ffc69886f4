"""The page on which the first box is drawn: by requests as it sends them, and in a browser."""

import base64
import json
import re
import threading
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from trackerlib.tracking import drawing, loopback
from trackerlib.tracking.drawing import draw_boxes

FRAME = np.full((48, 64, 3), (200, 40, 90), np.uint8)


class Drawing(threading.Thread):
    """draw_boxes as the command calls it, in a thread beside the test."""

    def __init__(self, **options):
        super().__init__(daemon=True)
        self.said, self.options = list[str](), options
        self.boxes = self.error = None
        self.begun = threading.Event()
        self.start()
        assert self.begun.wait(20)
        self.address = re.search(r"http://\S+", self.said[0])[0]

    def run(self):
        try:
            self.boxes = draw_boxes(FRAME, say=self.say, **self.options)
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            self.error = error
            self.begun.set()

    def say(self, line):
        self.said.append(line)
        self.begun.set()


@pytest.fixture
def attended(monkeypatch):
    """A terminal, and no browser."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(drawing, "has_browser", lambda: False)
    monkeypatch.setattr(loopback, "has_browser", lambda: False)


def get(address, **headers):
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.read().decode()


def post(address, body):
    with urllib.request.urlopen(f"{address}boxes", data=body.encode(), timeout=20) as reply:
        return reply.read().decode()


def refused(function, *arguments, **named):
    with pytest.raises(urllib.error.HTTPError) as error:
        function(*arguments, **named)
    return error.value.code, error.value.read().decode()


def test_the_page_shows_the_frame_and_sends_boxes(attended):
    page = Drawing()
    text = get(page.address)
    data = json.loads(re.search(r"const data = (.*);\n", text)[1])
    assert (data["width"], data["height"], data["live"]) == (64, 48, False)
    image = base64.b64decode(data["image"].partition(",")[2])
    shown = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert abs(shown.astype(int) - FRAME).max() < 8
    assert not re.findall(r"""(?:src|href)=["']?https?:""", text)  # nothing from elsewhere
    assert "can be closed" in post(page.address, "[[20, 14, 16, 12], [1, 2, 3.5, 4]]")
    page.join(20)
    np.testing.assert_array_equal(page.boxes, [[20, 14, 16, 12], [1, 2, 3.5, 4]])
    assert page.said[-1] == "drawn: --box 20,14,16,12 --box 1,2,3.5,4"
    with pytest.raises(urllib.error.URLError):  # the page is gone
        get(page.address)


def test_boxes_that_cannot_be_meant_are_told_on_the_page(attended):
    page = Drawing()
    for body, message in (
        ("[[40, 30, -20, -10]]", "it is drawn backwards, give 20,20,20,10"),
        ("[[1, 2, 0, 4]]", "with a width and height above 0"),
        ("[[64, 0, 5, 5]]", "expected boxes that overlap the 64x48 frame"),
        ("[]", "expected four finite numbers"),
        ("[[1, 2, NaN, 3]]", "expected four finite numbers"),
        ("{", "Expecting property name"),
    ):
        code, text = refused(post, page.address, body)
        assert code == 400 and message in text
    post(page.address, "[[1, 2, 3, 4]]")
    page.join(20)
    assert page.boxes.tolist() == [[1, 2, 3, 4]]


def test_others_get_nothing(attended):
    page = Drawing()
    port = re.search(r":(\d+)/", page.address)[1]
    assert refused(get, f"http://127.0.0.1:{port}/")[0] == 404
    assert refused(post, f"http://127.0.0.1:{port}/guessed/", "[[1, 2, 3, 4]]")[0] == 404
    assert refused(get, f"{page.address}draw.html")[0] == 404
    # A page of elsewhere that had its name lead here.
    assert refused(get, page.address, Host=f"example.com:{port}")[0] == 404
    assert refused(post, page.address, "[" + " " * (1 << 17) + "]")[0] == 413
    assert "Draw the target" in get(page.address, Host="localhost:9999")  # through a tunnel
    post(page.address, "[[1, 2, 3, 4]]")
    page.join(20)


def test_another_frame_of_what_is_live(attended):
    page = Drawing(another=lambda: np.zeros((10, 20, 3), np.uint8))
    assert '"live": true' in get(page.address)
    assert '"width": 20, "height": 10' in get(f"{page.address}another")
    assert refused(post, page.address, "[[30, 5, 5, 5]]")[0] == 400
    post(page.address, "[[3, 5, 5, 5]]")
    page.join(20)


def test_without_a_terminal_or_a_browser_it_is_an_error(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    monkeypatch.setattr(drawing, "has_browser", lambda: False)
    with pytest.raises(ValueError, match=r"give --box X,Y,W,H, .*: without a terminal or a"):
        draw_boxes(FRAME)


def test_a_browser_that_opens_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    monkeypatch.setattr(drawing, "has_browser", lambda: True)
    monkeypatch.setattr(drawing, "open_browser", lambda address: None)
    monkeypatch.setattr(drawing, "UNSEEN", 0.1)
    with pytest.raises(ValueError, match=r"give --box X,Y,W,H.*: no browser opened http://127"):
        draw_boxes(FRAME, say=lambda line: None)


def test_an_interrupt_says_how_to_give_the_box(attended, monkeypatch):
    def interrupted(server):
        raise KeyboardInterrupt

    monkeypatch.setattr(loopback.Loopback, "handle_request", interrupted)
    said = []
    with pytest.raises(KeyboardInterrupt):
        draw_boxes(FRAME, say=said.append)
    assert "no box was drawn" in said[-1] and "give --box X,Y,W,H" in said[-1]
    assert "ssh -L" in said[0]


def test_a_browser_needs_a_display(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.get", lambda: object())
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not loopback.has_browser()
    monkeypatch.setenv("DISPLAY", ":0")
    assert loopback.has_browser()
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")
    assert not loopback.has_browser()


def test_boxes_are_drawn_with_mouse_finger_and_keys(attended, browser):
    page = Drawing()
    browser.open(page.address)
    left, top, width, height = browser.value(
        "(({left, top, width, height}) => [left, top, width, height])"
        "(document.querySelector('svg').getBoundingClientRect())"
    )

    def at(x, y):
        return left + x * width / 64, top + y * height / 48

    browser.drag(at(10, 10), at(30, 26))  # a first box
    browser.drag(at(20, 18), at(24, 20))  # moved by (4, 2)
    browser.drag(at(34, 28), at(36, 31))  # its corner
    browser.touch_drag(at(60, 46), at(50, 40))  # a second one, backwards, with a finger
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp"):
        browser.press(key)
    shown = browser.value("document.getElementById('boxes').textContent")
    assert shown == "--box 14,12,22,19 --box 48,39,10,6"
    browser.press("Enter")
    page.join(20)
    assert page.boxes.tolist() == [[14, 12, 22, 19], [48, 39, 10, 6]]
