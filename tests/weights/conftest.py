"""A registry of made files, and a host that serves them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trackerlib.weights import registry


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where weights are put."""
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def table(tmp_path, monkeypatch, folder):
    """Write a registry in the place of the one that ships."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(registry, "shipped", lambda name: tmp_path / "data" / name)

    def write(*entries):
        (tmp_path / "data" / "weights.json").write_text(json.dumps({"weights": entries}))

    return write


class Host:
    """Files by name, with byte ranges; `breaks` closes the line after so many bytes."""

    def __init__(self):
        self.files, self.ranges, self.breaks = {}, [], None
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                host.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request):
        content = self.files[request.path.strip("/")]
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        rest = content[int(wanted[6:-1]) if wanted else 0 :]  # bytes=768-
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        request.wfile.write(rest[: self.breaks])


@pytest.fixture
def host():
    host = Host()
    thread = threading.Thread(target=host.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield host
    host.server.shutdown()
    host.server.server_close()
    thread.join()
