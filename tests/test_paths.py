"""Files that are whole or not there, and hashes that follow what a file holds."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from trackerlib.data import open_dataset
from trackerlib.data.fetch import fetch
from trackerlib.data.video import read_video
from trackerlib.eval.store import Store
from trackerlib.paths import (
    cache_dir,
    disk_cure,
    draft_of,
    expanded,
    hash_bytes,
    hash_file,
    remove_drafts,
)
from trackerlib.weights import add, registry


def test_a_draft_takes_the_place_of_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with draft_of(path) as draft:
        draft.write_text("after")
        assert path.read_text() == "before" and draft.parent == path.parent
    assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]


def test_an_unfinished_draft_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyError), draft_of(path) as draft:
        draft.write_text("aft")
        raise KeyError
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_drafts_of_killed_processes_are_removed_and_no_others(tmp_path):
    kept = [tmp_path / name for name in ("[a].txt", ".[b].txt.draft-1", ".a.txt.draft-1")]
    for path in [*kept, tmp_path / ".[a].txt.draft-1"]:
        path.touch()
    remove_drafts(tmp_path / "[a].txt")
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_hashes_are_those_of_everyone(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert hash_file(path) == hash_bytes(b"hello\n") == hashlib.sha256(b"hello\n").hexdigest()
    assert hash_file(path, "git_blob") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("age", [0, 3600])
def test_a_changed_file_has_another_hash(tmp_path, age):
    path, found = tmp_path / "a", []
    for shift, content in enumerate((b"first", b"other")):
        path.write_bytes(content)
        if age:  # long settled, and changed at another time
            os.utime(path, (1e9 + shift, 1e9 + shift))
        found.append(hash_file(path))
    assert found == [hash_bytes(b"first"), hash_bytes(b"other")]


def test_a_changed_file_with_its_former_time_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.setattr("trackerlib.paths.SETTLED", -1e18)
    path = tmp_path / "a"
    path.write_bytes(b"first")
    os.utime(path, (1e9, 1e9))
    before = hash_file(path)
    path.write_bytes(b"other")
    os.utime(path, (1e9, 1e9))
    assert hash_file(path) != before


def test_a_draft_has_the_suffix_that_a_writer_wants(tmp_path):
    with draft_of(tmp_path / "a.mp4", ".mp4") as draft:
        draft.write_text("film")
        assert draft.suffix == ".mp4" and draft.name.startswith(".a.mp4.draft-")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    (tmp_path / ".a.mp4.draft-1.mp4").touch()
    remove_drafts(tmp_path / "a.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link", tmp_path / "there" / "target"
    target.write_text("before")
    link.symlink_to(target)
    with draft_of(link) as draft:
        draft.write_text("after")
        assert draft.parent == target.parent
    assert link.is_symlink() and target.read_text() == "after"


@pytest.mark.parametrize("name", ["/dev/null", "link", "/dev/stdout"])
def test_a_device_is_written_to_and_not_replaced(tmp_path, name):
    if not Path("/dev/null").is_char_device():
        pytest.skip("needs devices of Unix")
    (tmp_path / "link").symlink_to("/dev/null")
    path = tmp_path / name  # an absolute name stays itself
    with draft_of(path) as draft:
        assert draft == path
    assert Path("/dev/null").is_char_device() and (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, "the disk is full: free"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EACCES, "not yours to write"),
        (errno.EPIPE, ""),
    ],
)
def test_what_the_disk_refuses_has_a_cure(code, cure):
    found = disk_cure(OSError(code, os.strerror(code)))
    assert cure in found and bool(found) == bool(cure)
    assert disk_cure(OSError("of no number")) == ""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and another folder to work in."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def test_home_is_expanded_and_nothing_else(home):
    assert expanded("~/a") == expanded(Path("~/a")) == home / "a" and expanded("~") == home
    for name in ("a", "a/~b", "/a", ""):
        assert expanded(name) == Path(name)
    Path("~there").touch()
    for name in ("./~a", "./~/a", "~there"):
        assert expanded(name) == expanded(expanded(name)) == Path(name).absolute()
    with pytest.raises(ValueError, match=r"the name of a user .* ~nobody-of-this-name/x"):
        expanded("~nobody-of-this-name/x")


@pytest.mark.parametrize("value", ["", " ", "\t", None])
def test_a_cache_that_is_not_named_is_in_the_home_folder(home, monkeypatch, value):
    monkeypatch.delenv("TRACKERLIB_CACHE", raising=False)
    monkeypatch.delenv("TRACKERLIB_WEIGHTS", raising=False)
    if value is not None:
        monkeypatch.setenv("TRACKERLIB_CACHE", value)
        monkeypatch.setenv("TRACKERLIB_WEIGHTS", value)
    assert cache_dir() == home / ".cache" / "trackerlib"
    assert registry.folder() == cache_dir() / "weights"


def test_every_path_that_a_user_gives_may_begin_at_home(home, monkeypatch):
    monkeypatch.setenv("TRACKERLIB_CACHE", "~/cache")
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", "~/weights")
    assert (cache_dir(), registry.folder()) == (home / "cache", home / "weights")
    assert Store("~/store").root == home / "store"
    for use in (
        lambda: open_dataset("~/data"),
        lambda: read_video("~/data", None),
        lambda: add("~/data"),
    ):
        with pytest.raises(OSError, match=str(home / "data")):
            use()
    with pytest.raises(ValueError, match="expected targets of OTB-100"):
        fetch("~/data", ["Nobody"])
    assert not list(Path().iterdir())
