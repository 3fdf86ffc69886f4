"""A real browser for pages, where there is one: Chromium, by its DevTools protocol."""

import itertools
import json
import re
import shutil
import subprocess
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KEYS = {"Enter": 13, "ArrowLeft": 37, "ArrowUp": 38}


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, command, profile):
        self.process = subprocess.Popen(
            [
                *(command, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--remote-debugging-port=0", "--remote-allow-origins=*"),
                *("--window-size=1000,800", f"--user-data-dir={profile}", "about:blank"),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = iter(self.process.stderr.readline, "")
        address = next(filter(None, (re.search(r"ws://\S+", line) for line in lines)))[0]
        websocket = pytest.importorskip("websocket", reason="needs websocket-client")
        self.socket = websocket.create_connection(address, timeout=120)
        self.numbers, self.session = itertools.count(1), None
        made = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        self.session = attached["sessionId"]

    def call(self, method, **parameters):
        message = {"id": next(self.numbers), "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        self.socket.send(json.dumps(message))
        while True:
            reply = json.loads(self.socket.recv())
            if reply.get("id") == message["id"]:
                assert "error" not in reply, reply
                return reply["result"]

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState !== 'loading'")  # a stream of pictures never is complete

    def wait(self, expression, seconds=60):
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, expression
            time.sleep(0.1)

    def value(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def drag(self, start, end):
        for kind, (x, y) in (("Pressed", start), ("Moved", end), ("Released", end)):
            named = {"x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", buttons=1, **named)

    def touch_drag(self, start, end):
        for kind, points in (("Start", [start]), ("Move", [end]), ("End", [])):
            points = [{"x": x, "y": y} for x, y in points]
            self.call("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=points)

    def press(self, key):
        for kind in ("rawKeyDown", "keyUp"):
            named = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
            self.call("Input.dispatchKeyEvent", type=kind, **named)

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    command = next(filter(None, map(shutil.which, NAMES)), None)
    if not command:
        pytest.skip("needs Chromium, under one of the names " + ", ".join(NAMES))
    page = Browser(command, tmp_path_factory.mktemp("profile"))
    yield page
    page.close()
