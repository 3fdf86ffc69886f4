"""Fetch OTB sequences from the benchmark's own host.

A sequence is downloaded with resume, unpacked beside its place, compared with
the manifest, and only then moved there. No folder that exists is ever replaced.
"""

import errno
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trackerlib.data import manifest
from trackerlib.data.manifest import Entry, check_target, find, locate
from trackerlib.paths import expanded

if TYPE_CHECKING:
    import requests

__all__ = ["download", "fetch", "unpack"]

HOST = "http://cvlab.hanyang.ac.kr/tracker_benchmark/seq"
ARCHIVED = "https://web.archive.org/web/20221118171918id_/" + HOST  # a copy, should HOST be gone
LIMIT = 1 << 30  # bytes of an archive, and of what it unpacks to
BLOCK_BYTES = 1 << 16  # of a download; an interruption loses at most one
TIMEOUT = 30  # seconds without a byte
MAX_REDIRECTS = 5
MAX_ENTRIES = 100_000  # of an archive; OTB's longest has 3,872 frames
LOOPBACK = "127.0.0.1", "localhost"  # this machine itself


def fetch(root: str | Path, names: list[str], host: str = HOST, limit: int = LIMIT) -> list[Path]:
    """Put the videos of the named targets into a folder, and return theirs.

    names  targets of OTB-100, as any toolkit spells them
    host   address of the folder that holds <Video>.zip
    limit  bytes that an archive may have, packed and unpacked

    An archive <root>/<Video>.zip that is already there is used instead of a download,
    and is removed once its sequence is in place.
    The benchmark's host speaks http alone: what comes could be changed on the way, and its
    manifest has hashes of the annotations but not of the images.
    Raises ValueError for an unknown name, an archive over the limit, unsafe or
    damaged, and for a sequence that is not the benchmark's; ConnectionError if the
    host cannot be reached, with what to do by hand; OSError if the disk is full.
    """
    root = expanded(root)
    root.mkdir(parents=True, exist_ok=True)
    videos = list(dict.fromkeys(video for name in names for video in _videos(name)))
    return [_fetch_video(root, video, host, limit) for video in videos]


def _videos(name: str) -> list[str]:
    entries = find(name)
    if not entries:
        raise ValueError(f"fetch: expected targets of OTB-100, such as Jogging-1, got {name!r}")
    return [entry.folder for entry in entries]


def _fetch_video(root: Path, video: str, host: str, limit: int) -> Path:
    entries = [entry for entry in manifest.load().values() if entry.folder == video]
    folder = locate(root, entries[0])
    if not folder and (root / video).exists():  # one's own, where capitals make no difference
        folder = root / video
    archive = root / f"{video}.zip"
    if folder:
        _verify(folder, entries, f"{folder} is there but not the benchmark's; move it away")
        archive.unlink(missing_ok=True)  # of a run that was killed just before it did
        return folder
    if not archive.is_file():
        by_hand = (
            f"download {archive.name} elsewhere (a copy may be at {ARCHIVED}/{archive.name}), "
            f"put it at {archive} and run again: it will be checked and unpacked"
        )
        download(f"{host}/{archive.name}", archive, limit, by_hand, plain=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as staging:
        unpack(archive, Path(staging), limit)
        unpacked = locate(Path(staging), entries[0]) or Path(staging, video)
        _verify(unpacked, entries, f"{archive} is not the benchmark's; delete it")
        unpacked.rename(root / video)
    archive.unlink()
    return root / video


def _verify(folder: Path, entries: list[Entry], cure: str) -> None:
    problems = [line for entry in entries for line in check_target(folder, entry)]
    if problems:
        raise ValueError(f"fetch: {cure} and fetch again: " + "; ".join(problems))


def download(
    url: str, path: Path, limit: int = LIMIT, by_hand: str = "", *, plain: bool = False
) -> None:
    """Download a file; what an interrupted download left in <path>.part is not fetched again.

    by_hand  what to do instead, for the message if there is no connection
    plain    whether http will do; else https alone, redirects included, but on this machine

    Raises ConnectionError if the host cannot be reached, stops halfway or redirects more than
    MAX_REDIRECTS times or to http, ValueError if the file has more than `limit` bytes, OSError if
    the disk is full.
    """
    import requests

    part = path.with_name(path.name + ".part")
    try:
        with _session(plain or urlsplit(url).hostname in LOOPBACK) as session:
            _transfer(session, url, part, limit)
    except requests.RequestException as error:
        raise ConnectionError(
            f"download: {url} cannot be fetched ({error}). Run again to resume"
            + (f", or {by_hand}" if by_hand else "")
        ) from error
    except OSError as error:
        error.filename = error.filename or str(part)  # a write does not say where
        raise
    part.rename(path)


def _session(plain: bool) -> "requests.Session":
    import requests

    class Session(requests.Session):
        def get_adapter(self, url: str) -> requests.adapters.BaseAdapter:
            if not plain and urlsplit(url).scheme != "https":  # of each redirect, too
                raise requests.exceptions.InvalidSchema(f"expected https, got {url!r}")
            return super().get_adapter(url)

    session = Session()
    session.max_redirects = MAX_REDIRECTS
    return session


def _transfer(session: "requests.Session", url: str, part: Path, limit: int) -> None:
    import requests
    from tqdm.auto import tqdm

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # it is no beginning of this file
            return _transfer(session, url, part, limit)
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            have = 0
        rest = int(response.headers.get("Content-Length", 0))
        _check_size(url, have + rest, limit)
        _check_space(part.parent, rest)
        total = have + rest if rest else None
        bar = tqdm(desc=part.stem, total=total, initial=have, unit="B", unit_scale=True)
        with part.open("ab" if have else "wb") as file, bar:
            for block in response.iter_content(BLOCK_BYTES):
                _check_size(url, file.tell() + len(block), limit)
                file.write(block)
                bar.update(len(block))


def unpack(archive: Path, into: Path, limit: int = LIMIT) -> None:
    """Unpack a zip archive into a folder, never outside it.

    Raises ValueError, before anything is written, if an entry is a link or its name
    leaves the folder, or if the archive declares more than `limit` bytes or MAX_ENTRIES; also if
    it is damaged, encrypted or compressed in a way unknown here. OSError if the
    disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = zipped.infolist()
            for entry in entries:
                _check_entry(archive, entry)
            size = sum(entry.file_size for entry in entries)
            _check_size(f"{archive}, unpacked", size, limit)
            if len(entries) > MAX_ENTRIES:
                raise ValueError(
                    f"unpack: expected at most {MAX_ENTRIES:,} entries, got {len(entries):,} in "
                    f"{archive}; delete it"
                )
            _check_space(into, size)
            zipped.extractall(into)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"unpack: {archive} is damaged ({error}); delete it") from error
    except RuntimeError as error:  # a password is needed, or another compression method
        raise ValueError(f"unpack: {archive} cannot be unpacked ({error}); delete it") from error


def _check_entry(archive: Path, entry: zipfile.ZipInfo) -> None:
    path = PureWindowsPath(entry.filename)  # takes / and \ alike
    if path.anchor or ".." in path.parts or stat.S_ISLNK(entry.external_attr >> 16):
        raise ValueError(
            f"unpack: {archive} is refused: its entry {entry.filename!r} would reach outside "
            "the folder it is unpacked to; delete the archive"
        )


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(f"fetch: expected at most {limit:,} bytes, got {size:,} or more: {what}")


def _check_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        message = f"{size:,} bytes are needed, {free:,} are free"
        raise OSError(errno.ENOSPC, message, str(folder))
