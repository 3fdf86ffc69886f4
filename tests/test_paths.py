"""Files that are whole or not there, and hashes that follow what a file holds."""

import hashlib
import os

import pytest

from trackerlib.paths import draft_of, hash_bytes, hash_file, remove_drafts


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
