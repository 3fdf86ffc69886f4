"""trackerlib/weights/registry.py: the table that ships, the user's own, and bad lines in them."""

import dataclasses
import json

import made_weights as made
import pytest
import torch

from trackerlib.paths import hash_file
from trackerlib.weights import registry
from trackerlib.weights.formats import FORMATS
from trackerlib.weights.store import NETWORKS


@pytest.fixture
def good(tmp_path):
    """Some file."""
    (tmp_path / "a").write_bytes(b"numbers")
    return tmp_path / "a"


def test_the_table_that_ships_is_whole(folder):
    for entry in registry.registry().values():
        format = FORMATS[entry.format]
        assert format.network in (None, entry.network)
        assert {**format.config, **entry.config} == entry.config
        NETWORKS[entry.network].config(**entry.config)
        assert entry.origin and entry.licence and entry.trained_on and entry.benchmark_seen
        assert not entry.bundled or registry.locate(entry).stat().st_size <= 6_000_000


def test_git_knows_files_by_the_same_id(tmp_path):
    (tmp_path / "a").write_bytes(b"hello\n")  # the id that `git hash-object` prints
    assert hash_file(tmp_path / "a", "git_blob") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": None},
        {"sha256": ""},
        {"sha256": "dcbb"},
        {"sha256": "X" * 64},
        {"git_blob": "12"},
    ],
)
def test_an_entry_without_a_hash(good, table, change):
    table(made.entry(good) | change)
    with pytest.raises(ValueError, match=r"data/weights.json cannot be used: .*a hash for 'made'"):
        registry.registry()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be used: Expecting"),
        ('{"entries": []}', "cannot be used: 'weights'"),
        ('{"weights": [{"name": "a"}]}', "missing .* required positional arguments: 'file'"),
    ],
)
def test_an_ill_formed_table(folder, table, text, told):
    folder.mkdir()
    (folder / "weights.json").write_text(text)
    with pytest.raises(ValueError, match=f"weights/weights.json .*{told}"):
        registry.registry()


def test_a_name_that_ships_means_what_ships(folder):
    folder.mkdir()
    registry.record(dataclasses.replace(registry.registry()["vggm"], file="mine", bundled=False))
    found = registry.registry()
    assert found["vggm"].bundled and next(iter(found)) == "vggm"


@pytest.mark.parametrize("file", ["../a", "/etc/a", "a/b", "", ".."])
def test_files_stay_in_their_folder(good, file):
    with pytest.raises(ValueError, match="the bare name of a file for 'made'"):
        registry.Entry(**made.entry(good, file=file))


def test_the_folder_is_in_the_cache_unless_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TRACKERLIB_CACHE", str(tmp_path))
    monkeypatch.delenv("TRACKERLIB_WEIGHTS", raising=False)
    assert registry.folder() == tmp_path / "weights"


def test_a_file_states_what_it_was_trained_on(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    sets = [{"name": "UAV123", "terms": "research use", "clips": ["bike1"], "held_out": []}]
    fields = {"licence": "research use", "data_sets": sets}
    metadata = {"trackerlib": json.dumps({**fields, "steps": 9}), "format": "pt"}
    save_file({"w": torch.ones(1)}, path, metadata)
    assert registry.stated(path) == fields
    for wrong in ('{"overlaps": "David"}', '{"licence": 3}', "David", "3"):
        save_file({"w": torch.ones(1)}, path, {"trackerlib": wrong})
        with pytest.raises(ValueError, match=r"lists for data_sets.*write the file again"):
            registry.stated(path)
    for content in (b"", b"numbers", b"\x05\0\0\0\0\0\0\0{no}!"):
        path.write_bytes(content)
        assert registry.stated(path) == {}
