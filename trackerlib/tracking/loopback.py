"""Pages on the loopback address, for this machine's user: a random token is in the address."""

import http.server
import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

__all__ = ["Answer", "Loopback", "has_browser", "open_browser"]

MAX_BODY = 1 << 16  # bytes that a page may send: some hundred boxes
PATIENCE = 2.0  # seconds; a browser opens connections ahead of time, on which it says nothing
HOSTS = "127.0.0.1", "localhost"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address has the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Answer(NamedTuple):
    """What a request gets: chunks of bytes, of a kind (MIME type)."""

    chunks: Iterable[bytes]
    kind: str = "text/plain; charset=utf-8"
    status: int = 200


Route = Callable[[bytes], Answer]  # of the request's body


class Loopback(http.server.HTTPServer):
    """A server at 127.0.0.1, on a port that is free, which answers one request after the other.

    routes   "GET " and "POST boxes" and the like -> what answers it; all else is not found
    address  of its page, token included

    `handle_request` waits for one request, `timeout` seconds at most.
    """

    def __init__(self, routes: Mapping[str, Route]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes = routes
        self.token = secrets.token_urlsafe(16)
        self.address = f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def route(self, method: str, path: str, host: str) -> Route | None:
        """Return what answers a request, None where there is no such page.

        host  by which the browser knows this server, whatever its port: a tunnel (ssh -L) has one
              of its own. Another name is that of a page from elsewhere, which had it lead here
        """
        token, _, rest = path.removeprefix("/").partition("/")
        is_known = secrets.compare_digest(token.encode(), self.token.encode())
        is_ours = host.rpartition(":")[0] in HOSTS
        return self.routes.get(f"{method} {rest}") if is_known and is_ours else None

    def handle_error(self, request: object, client_address: object) -> None:
        """Go on where a browser has left; print what else went wrong."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Loopback
    timeout = PATIENCE

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.send_error(413)
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        route = self.server.route(self.command, self.path, self.headers.get("Host", ""))
        if route is None:
            self.send_error(404)
            return
        answer = route(body)
        self.send_response(answer.status)
        for name, value in ({"Content-Type": answer.kind} | HEADERS).items():
            self.send_header(name, value)
        self.end_headers()
        for chunk in answer.chunks:
            self.wfile.write(chunk)

    def log_message(self, *_: object) -> None:
        """Print nothing: the terminal shows how the tracking goes."""


def has_browser() -> bool:
    """Return whether this machine has a display, and a browser to show a page on it."""
    if sys.platform in ("darwin", "win32"):
        has_display = "SSH_CONNECTION" not in os.environ
    else:
        has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    with suppress(webbrowser.Error):
        return has_display and webbrowser.get() is not None
    return False


def open_browser(address: str) -> None:
    """Show a page in the user's browser, where there is a display; do not wait for it."""
    if has_browser():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
