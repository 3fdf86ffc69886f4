"""trackerlib/data/manifest.py: the table of OTB-100 and what a check of a folder says."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from made import frame, write_image, write_sequence

from trackerlib.data import manifest
from trackerlib.data.rows import parse_rows
from trackerlib.paths import shipped

ABOUT = {
    "about": "The 100 targets of OTB-100; trackerlib/data/manifest.py names the fields.",
    "attributes_from": "the benchmark's Python release; the MATLAB release has others for a few",
}


def entry(name, facts, splits) -> manifest.Entry:
    """A line of the manifest from a target's published ground truth and facts."""
    rows = np.array(facts["gt"], dtype=np.float64)
    sha256, blocks = manifest.checksums(rows)
    return manifest.Entry(
        name=name,
        folder=facts["dir"],
        target=facts["target"],
        start=facts["start"],
        frames=facts["frames"],
        digits=facts["digits"],
        image_size=facts["image_size"],
        attributes=facts["attributes"],
        initial_omits=facts.get("init_omit", []),
        eval_start=facts.get("eval_start"),
        splits=[split for split in manifest.SPLITS if name in splits[split]],
        first_box=facts["gt"][0],
        sha256=sha256,
        blocks=blocks,
    )


def table(annotations) -> str:
    """The text of data/otb100.json."""
    facts, splits = annotations["sequences"], annotations["splits"]
    lines = [json.dumps(asdict(entry(name, facts[name], splits))) for name in sorted(facts)]
    head = "".join(f"{json.dumps(key)}: {json.dumps(text)},\n" for key, text in ABOUT.items())
    return "{" + head + '"targets": [\n' + ",\n".join(lines) + "\n]}\n"


def test_the_table_is_what_the_annotations_give(shared):
    annotations = json.loads((shared / "annotations" / "otb100.json").read_text())
    assert shipped("otb100.json").read_text() == table(annotations)


def test_the_benchmark_is_whole():
    entries = manifest.load()
    assert len(entries) == 100 and sum(entry.frames for entry in entries.values()) == 59040
    counts = [sum(split in e.splits for e in entries.values()) for split in manifest.SPLITS]
    assert counts == [51, 50, 100]
    assert all(len(e.blocks) == -(-e.frames // manifest.BLOCK) for e in entries.values())
    assert entries["David"].numbers == range(300, 771)
    assert entries["Board"].image(7) == "00007.jpg"
    assert shipped("otb100.json").stat().st_size < 150_000


@pytest.mark.parametrize(
    ("spelt", "meant"),
    [
        ("Jogging.1", ["Jogging-1"]),
        ("jogging_2", ["Jogging-2"]),
        ("Skating2", ["Skating2-1", "Skating2-2"]),
        ("Human4", ["Human4-2"]),
        ("faceocc1", ["FaceOcc1"]),
        ("BasketBall", ["Basketball"]),
        ("Basket", []),
    ],
)
def test_names_as_other_toolkits_spell_them(spelt, meant):
    assert [entry.name for entry in manifest.find(spelt)] == meant


def test_checksums_ignore_how_numbers_are_written():
    whole = np.array([[1, 2, 3, 4], [5, 6, 7, 8.5]])
    text = "1.0\t2 3,4\r\n5 6.000 7,8.50"
    assert manifest.checksums(parse_rows(text, (4,), "made")) == manifest.checksums(whole)
    whole[1, 3] += 0.01
    assert manifest.checksums(parse_rows(text, (4,), "made")) != manifest.checksums(whole)


@pytest.fixture
def whole(tmp_path, tiny_manifest):
    write_sequence(tmp_path / "Long", tiny_manifest["Long"], start=3)
    for target in (1, 2):
        text, name = tiny_manifest[f"Pair-{target}"], f"groundtruth_rect.{target}.txt"
        write_sequence(tmp_path / "Pair", text, name=name)
    return tmp_path


def test_a_whole_benchmark_has_no_problems(whole):
    write_sequence(whole / "Long", "", frames=60)  # images beyond the range do no harm
    rows = "".join(f"{i + 1}\t2\t20\t10\r\n" for i in range(45))
    (whole / "Long" / "groundtruth_rect.txt").write_text(rows)
    assert manifest.check(whole) == []


def test_missing_folders(whole):
    (whole / "Long").rename(whole / "Short")
    assert manifest.check(whole) == [f"Long: no folder {whole / 'Long'}"]


def test_a_folder_of_ones_own_is_not_said_to_be_absent(whole):
    (whole / "Long" / "groundtruth_rect.txt").write_text("9,9,9,9\n" * 45)
    (said,) = manifest.check(whole)
    assert "ground truth is not the benchmark's" in said and str(whole / "Long") in said


def test_missing_images_are_named(whole):
    for number in (3, 5, 6, 7, 47):
        (whole / "Long" / "img" / f"{number:04d}.jpg").unlink()
    assert manifest.check(whole) == [
        f"Long: {whole / 'Long' / 'img'}: 5 of 45 images missing: "
        "0003.jpg, 0005.jpg to 0007.jpg, 0047.jpg"
    ]


def test_images_of_another_size_or_none(whole):
    path = write_image(whole / "Long" / "img" / "0003.jpg", frame(3, size=(24, 32)))
    (problem,) = manifest.check(whole)
    assert problem == f"Long: {path}: expected 64x48 pixels, got 32x24"
    path.write_bytes(b"")
    assert "not a readable image (0 bytes)" in manifest.check(whole)[0]


def test_rows_that_differ_are_located(whole, tiny_manifest):
    lines = tiny_manifest["Long"].splitlines(keepends=True)
    lines[19], lines[44] = "1,1,1,1\n", "2,2,2,2\n"
    path = whole / "Long" / "groundtruth_rect.txt"
    path.write_text("".join(lines))
    said = "not the benchmark's ground truth in rows 1 to 20, 41 to 45"
    assert manifest.check(whole) == [f"Long: {path}: {said}"]
    path.write_text("".join(lines[:30]))
    assert manifest.check(whole) == [f"Long: {path}: expected 45 rows, got 30"]
    path.write_text("junk")
    assert "row 1: expected 4 numbers" in manifest.check(whole)[0]
    path.unlink()
    assert str(path) in manifest.check(whole)[0]


def test_the_real_sequences_are_the_benchmarks(shared):
    there = [e for e in manifest.load().values() if manifest.locate(shared / "otb", e)]
    assert len(there) == 20
    assert manifest.check(shared / "otb", there) == []
    assert len(manifest.check(shared / "otb")) == 80
