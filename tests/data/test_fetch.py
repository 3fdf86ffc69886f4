"""trackerlib/data/fetch.py against a host on this machine: resume, limits, hostile archives."""

import errno
import io
import shutil
import stat
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from faults import FAULTS, disturbed
from made import write_sequence

from trackerlib.data import fetch as fetching
from trackerlib.data import manifest
from trackerlib.data.fetch import download, fetch, unpack


class Host:
    """Files by name, served with byte ranges; `breaks` closes the line after so many bytes."""

    def __init__(self):
        self.files, self.ranges, self.breaks, self.declares = {}, [], None, True
        self.moved = {}  # name -> where it is now
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                host.respond(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def respond(self, request):
        if moved := self.moved.get(request.path.strip("/")):
            request.send_response(302)
            request.send_header("Location", moved)
            request.end_headers()
            return
        content = self.files.get(request.path.strip("/"))
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if content is None or start >= len(content):
            request.send_error(404 if content is None else 416)
            return
        request.send_response(206 if wanted else 200)
        if self.declares:
            request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        request.wfile.write(content[start : start + self.breaks if self.breaks else None])


@pytest.fixture
def host():
    host = Host()
    thread = threading.Thread(target=host.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield host
    host.server.shutdown()
    host.server.server_close()
    thread.join()


def zipped(*folders, **entries) -> bytes:
    """An archive of folders, and of further entries by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder.parent))
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def long_zip(tmp_path, tiny_manifest) -> bytes:
    """The archive of Long as the benchmark packs it, with what a Mac adds."""
    folder = write_sequence(tmp_path / "host" / "Long", tiny_manifest["Long"], start=3)
    return zipped(folder, **{"__MACOSX/Long/._img": "x"})


@pytest.fixture
def pair_zip(tmp_path, tiny_manifest) -> bytes:
    """The archive of Pair, a video of two targets."""
    for target in (1, 2):
        text, name = tiny_manifest[f"Pair-{target}"], f"groundtruth_rect.{target}.txt"
        write_sequence(tmp_path / "host" / "Pair", text, name=name)
    return zipped(tmp_path / "host" / "Pair")


def test_a_sequence_is_put_in_place(tmp_path, host, long_zip):
    host.files["Long.zip"] = long_zip
    root = tmp_path / "otb"
    assert fetch(root, ["long"], host.address) == [root / "Long"]
    assert manifest.check(root, [manifest.load()["Long"]]) == []
    assert [path.name for path in root.iterdir()] == ["Long"]
    fetch(root, ["Long"], host.address)
    assert len(host.ranges) == 1, "what is there is not fetched again"


def test_two_targets_are_one_download(tmp_path, host, pair_zip):
    host.files["Pair.zip"] = pair_zip
    root = tmp_path / "otb"
    assert fetch(root, ["Pair.1", "Pair-2"], host.address) == [root / "Pair"]
    assert len(host.ranges) == 1


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path, host, long_zip, monkeypatch):
    monkeypatch.setattr("trackerlib.data.fetch.BLOCK_BYTES", 256)
    host.files["Long.zip"], host.breaks = long_zip, 1000
    root = tmp_path / "otb"
    with pytest.raises(ConnectionError, match="Run again to resume"):
        fetch(root, ["Long"], host.address)
    assert (root / "Long.zip.part").read_bytes() == long_zip[:768]
    host.breaks = None
    fetch(root, ["Long"], host.address)
    assert host.ranges == [None, "bytes=768-"]
    assert manifest.check(root, [manifest.load()["Long"]]) == []


def test_a_leftover_that_is_longer_than_the_file_is_dropped(tmp_path, host):
    host.files["a.zip"] = b"new"
    (tmp_path / "a.zip.part").write_bytes(b"something else")
    download(f"{host.address}/a.zip", tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"new"


def test_a_host_out_of_reach_says_what_to_put_where(tmp_path, host, long_zip):
    root = tmp_path / "otb"
    with pytest.raises(ConnectionError, match=r"404.*put it at .*Long.zip and run again"):
        fetch(root, ["Long"], host.address)
    (root / "Long.zip").write_bytes(long_zip)
    gone = "http://127.0.0.1:9"  # the discard port: nobody listens
    fetch(root, ["Long"], gone)
    assert manifest.check(root, [manifest.load()["Long"]]) == []
    with pytest.raises(ConnectionError, match=r"Pair.zip cannot be fetched.*put it at"):
        fetch(root, ["Pair-1"], gone)


def test_what_is_not_the_benchmarks_is_not_put_in_place(tmp_path, host, long_zip):
    changed = write_sequence(tmp_path / "host" / "Long", "9,9,9,9\n" * 45, start=3)
    host.files["Long.zip"] = zipped(changed)
    root = tmp_path / "otb"
    with pytest.raises(ValueError, match=r"Long.zip is not the benchmark's.*rows 1 to 20"):
        fetch(root, ["Long"], host.address)
    assert [path.name for path in root.iterdir()] == ["Long.zip"]


def test_a_folder_that_is_there_is_never_replaced(tmp_path, host, long_zip):
    host.files["Long.zip"] = long_zip
    mine = write_sequence(tmp_path / "otb" / "Long", "9,9,9,9\n" * 45, start=3)
    with pytest.raises(ValueError, match=r"move it away and fetch again: Long: "):
        fetch(tmp_path / "otb", ["Long"], host.address)
    assert (mine / "groundtruth_rect.txt").read_text().startswith("9,9,9,9")
    assert host.ranges == []


def test_a_folder_of_ones_own_stands_beside_what_is_fetched(tmp_path, host, long_zip):
    host.files["Long.zip"] = long_zip
    write_sequence(tmp_path / "otb" / "LONG", "9,9,9,9\n" * 30)
    if (tmp_path / "otb" / "Long").exists():
        pytest.skip("capitals make no difference in this file system")
    assert fetch(tmp_path / "otb", ["Long"], host.address) == [tmp_path / "otb" / "Long"]


def test_unknown_names(tmp_path, tiny_manifest):
    with pytest.raises(ValueError, match=r"targets of OTB-100.*got 'Mine'"):
        fetch(tmp_path, ["Mine"])


@pytest.mark.parametrize("declares", [True, False])
def test_the_limit_holds_whether_or_not_the_host_declares_a_size(tmp_path, host, declares):
    host.files["a.zip"], host.declares = bytes(5000), declares
    with pytest.raises(ValueError, match=r"at most 4,000 bytes, got 5,000 or more: .*a.zip"):
        download(f"{host.address}/a.zip", tmp_path / "a.zip", limit=4000)
    assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.zip.part").exists() is not declares, "a declared size stops it at once"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil"])
def test_entries_that_climb_out(tmp_path, name):
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped(**{"Long/fine": "x", name: "x"}))
    into = tmp_path / "deep" / "into"
    into.mkdir(parents=True)
    with pytest.raises(ValueError, match=r"a.zip is refused: its entry .*evil"):
        unpack(archive, into)
    assert list(into.iterdir()) == [] and list(tmp_path.rglob("evil")) == []


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("Long/img")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(ValueError, match="entry 'Long/img'"):
        unpack(tmp_path / "a.zip", tmp_path)


def test_bombs_are_refused_by_what_they_declare(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped(zeros=bytes(1_000_000)))
    assert archive.stat().st_size < 2000
    with pytest.raises(ValueError, match=r"at most 10,000 bytes, got 1,000,000 .*a.zip, unpacked"):
        unpack(archive, tmp_path, limit=10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("damage", ["cut", "flip", "text"])
def test_damaged_archives(tmp_path, damage):
    content = bytearray(zipped(noise=np.random.default_rng(0).bytes(3000)))
    if damage == "flip":
        content[1500] ^= 0xFF
    archive = tmp_path / "a.zip"
    archive.write_bytes({"cut": content[:2000], "text": b"404", "flip": content}[damage])
    with pytest.raises(ValueError, match=r"a.zip is damaged \(.*delete it"):
        unpack(archive, tmp_path)


@pytest.mark.parametrize(
    ("at", "value", "said"), [(0, 1, "encrypted, password"), (2, 99, "compression method")]
)
def test_archives_that_python_cannot_unpack(tmp_path, at, value, said):
    content = bytearray(zipped(fine="x"))
    for header in (content.index(b"PK\3\4") + 6, content.index(b"PK\1\2") + 8):
        content[header + at] = value  # the flags, then the method
    archive = tmp_path / "a.zip"
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a.zip cannot be unpacked \(.*{said}"):
        unpack(archive, tmp_path)


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path, host, monkeypatch):
    host.files["a.zip"] = zipped(noise=bytes(5000))
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=10))
    with pytest.raises(OSError, match="bytes are needed, 10 are free") as raised:
        download(f"{host.address}/a.zip", tmp_path / "a.zip")
    assert raised.value.errno == errno.ENOSPC and raised.value.filename == str(tmp_path)
    (tmp_path / "b.zip").write_bytes(host.files["a.zip"])
    with pytest.raises(OSError, match="5,000 bytes are needed"):
        unpack(tmp_path / "b.zip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_disk_that_fills_up_in_mid_download_is_named(tmp_path, host):
    host.files["a.zip"] = zipped(noise=bytes(5000))
    (tmp_path / "a.zip.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"a\.zip\.part") as raised:
        download(f"{host.address}/a.zip", tmp_path / "a.zip")
    assert raised.value.errno == errno.ENOSPC and not (tmp_path / "a.zip").exists()


def test_http_from_elsewhere_is_refused_before_a_connection(tmp_path):
    for url in ("http://a.invalid/x.zip", "http://127.0.0.1@a.invalid/x.zip", "file:///x.zip"):
        with pytest.raises(ConnectionError, match=r"cannot be fetched \(expected https, got '"):
            download(url, tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_from_https_to_http_is_refused(host, monkeypatch):
    """As _session sees it: each place that a redirect leads to asks for an adapter."""
    import requests

    session = fetching._session(plain=False)
    assert session.get_adapter("https://a.invalid/x").send
    with pytest.raises(requests.RequestException, match="expected https, got 'http://"):
        session.get_adapter(host.address)


def test_redirects_are_followed_five_times(tmp_path, host):
    host.files["last"] = b"here"
    host.moved = {f"{n}": f"{host.address}/{n + 1}" for n in range(4)}
    host.moved["4"] = f"{host.address}/last"
    download(f"{host.address}/0", tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"here"
    host.moved["more"] = f"{host.address}/0"
    with pytest.raises(ConnectionError, match="Exceeded 5 redirects"):
        download(f"{host.address}/more", tmp_path / "b.zip")
    host.moved["round"] = f"{host.address}/round"
    with pytest.raises(ConnectionError, match="Exceeded 5 redirects"):
        download(f"{host.address}/round", tmp_path / "b.zip")


def test_a_redirect_to_a_file_is_refused(tmp_path, host):
    host.moved["a.zip"] = (tmp_path / "mine").as_uri()
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConnectionError, match="cannot be fetched"):
        download(f"{host.address}/a.zip", tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_ENTRIES", 3)
    (tmp_path / "a.zip").write_bytes(zipped(a="", b="", c="", d=""))
    with pytest.raises(ValueError, match=r"at most 3 entries, got 4 in .*a.zip; delete it"):
        unpack(tmp_path / "a.zip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("kind", FAULTS)
def test_whatever_stops_it_on_the_disk_the_next_gives_the_same(kind, tmp_path, host, pair_zip):
    host.files["Pair.zip"] = pair_zip

    def whole_or_absent(root):
        if (root / "Pair").exists():
            assert not manifest.check(root, [manifest.load()[f"Pair-{n}"] for n in (1, 2)])

    steps = disturbed(
        kind, tmp_path, lambda root: fetch(root, ["Pair-1"], host.address), whole_or_absent
    )
    assert steps > 10  # a download, 3 frames and 2 annotations
