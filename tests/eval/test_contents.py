"""The hash that tells frames apart: every byte counts, and large sequences are read once."""

import json
import os
import shutil

import numpy as np
import pytest
from fake_tracker import BOX

from trackerlib.data.sequence import ImageFiles, Sequence
from trackerlib.data.video import VideoFile
from trackerlib.eval import contents
from trackerlib.eval.contents import contents_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKERLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder, sizes=(7, 8, 9)):
    """Frames of several sizes, as compressed images have."""
    folder.mkdir()
    paths = [folder / f"{number:04d}.jpg" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(size))
    return paths


def sequence(paths):
    boxes = np.tile(BOX, (len(paths), 1))
    return Sequence("made", ImageFiles(tuple(paths)), boxes, np.arange(len(paths)))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_byte_changed_in_place_is_another_hash(tmp_path, index):
    paths = files(tmp_path / "a")
    before = contents_of(sequence(paths))
    content = bytearray(paths[index].read_bytes())
    content[3] ^= 1
    paths[index].write_bytes(content)
    assert contents_of(sequence(paths)) != before


def test_a_copy_has_the_same_hash(tmp_path):
    paths = files(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copies = [tmp_path / "b" / path.name for path in paths]
    assert contents_of(sequence(copies)) == contents_of(sequence(paths))
    assert contents_of(sequence(copies[::-1])) != contents_of(sequence(paths))


def test_a_file_that_is_missing_or_unreadable_counts_as_such(tmp_path):
    paths = files(tmp_path / "a")
    whole = contents_of(sequence(paths))
    paths[1].unlink()
    missing = contents_of(sequence(paths))
    paths[1].mkdir()
    assert missing == contents_of(sequence(paths)) != whole


def test_a_video_counts_byte_by_byte(tmp_path):
    path = tmp_path / "clip.avi"
    path.write_bytes(b"one")
    video = Sequence("clip", VideoFile(path, 3), np.tile(BOX, (3, 1)), np.arange(3))
    before = contents_of(video)
    path.write_bytes(b"two")
    assert contents_of(video) != before


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A sequence that counts as large and as long unchanged; the files that are read."""
    paths, reads = files(tmp_path / "a"), []
    read = contents.hash_file
    monkeypatch.setattr(contents, "LARGE", 0)
    monkeypatch.setattr(contents, "is_settled", lambda _status: True)
    monkeypatch.setattr(contents, "hash_file", lambda path: (reads.append(path), read(path))[1])
    return paths, reads


def test_a_large_sequence_is_read_once(large, cache):
    paths, reads = large
    first = contents_of(sequence(paths))
    assert contents_of(sequence(paths)) == first and reads == paths
    assert len(list((cache / "frames").iterdir())) == 1


def test_a_large_sequence_that_changed_is_read_again_even_with_its_former_time(large):
    paths, reads = large
    before, status = contents_of(sequence(paths)), paths[2].stat()
    paths[2].write_bytes(b"x" * status.st_size)
    os.utime(paths[2], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert contents_of(sequence(paths)) != before and len(reads) == 6


@pytest.mark.parametrize("content", [b"", b"[]", b'{"state": 1}', b"\xff"])
def test_a_damaged_cache_is_made_again(large, cache, content):
    paths, _ = large
    first = contents_of(sequence(paths))
    (record,) = (cache / "frames").iterdir()
    record.write_bytes(content)
    assert contents_of(sequence(paths)) == first == json.loads(record.read_text())["contents"]


def test_a_cache_that_cannot_be_written_is_done_without(large, cache):
    cache.write_text("a file")
    assert contents_of(sequence(large[0]))


def test_files_that_have_just_changed_are_always_read(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(contents, "LARGE", 0)
    contents_of(sequence(files(tmp_path / "a")))
    assert not cache.exists()
