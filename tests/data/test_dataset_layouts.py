"""Folders of LaSOT, GOT-10k and VOT in their real layouts, small and made."""

import numpy as np
import pytest
from made import frame, write_image, write_sequence

from trackerlib.data import open_dataset

RECTANGLES = "".join(f"{10 + 2 * i}.0000,5.0000,20.0000,10.0000\n" for i in range(6))
POLYGONS = "".join(f"{9 + i},5,30,8,28,20,{10 + i},18\n" for i in range(6))


def write(folder, rows=RECTANGLES, images=".", count=6, name="{:08d}.jpg"):
    """A sequence with a groundtruth.txt, its images beside or in a folder."""
    for number in range(1, count + 1):
        write_image(folder / images / name.format(number), frame(number))
    (folder / "groundtruth.txt").write_text(rows)
    return folder


def names(dataset):
    return [sequence.name for sequence in dataset.sequences]


@pytest.mark.parametrize("nested", [True, False])
def test_lasot(tmp_path, nested):
    for name in ("bird-1", "bird-12", "car-3"):
        folder = tmp_path / name.partition("-")[0] / name if nested else tmp_path / name
        write(folder, images="img")
        (folder / "full_occlusion.txt").write_text("0,0,1,0,0,0\n")
        (folder / "out_of_view.txt").write_text("0,0,0,0,1,0")
        (folder / "nlp.txt").write_text("a bird")
    dataset = open_dataset(tmp_path)
    assert names(dataset) == ["bird-1", "bird-12", "car-3"] and not dataset.problems
    (chosen,) = open_dataset(tmp_path, "bird-12").sequences
    np.testing.assert_array_equal(chosen.boxes[1], [12, 5, 20, 10])  # as it stands
    np.testing.assert_array_equal(chosen.visibility, [1, 1, 0, 1, 0, 1])
    assert chosen.warnings == () and len(list(chosen.read())) == 6
    with pytest.raises(ValueError, match=r"got 'bird-2'; of other formats there are bird-1, "):
        open_dataset(tmp_path, "bird-2")


def test_labels_of_lasot_are_one_per_frame(tmp_path):
    folder = write(tmp_path / "bird-1", images="img")
    (folder / "out_of_view.txt").write_text("0,0,1")
    with pytest.raises(FileNotFoundError, match=r"out_of_view.txt: expected 6 rows.*got 3"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("subset", ["", "val"])
def test_got10k(tmp_path, subset):
    for number in (1, 2):
        folder = write(tmp_path / subset / f"GOT-10k_Val_{number:06d}")
        (folder / "absence.label").write_text("0\n0\n1\n0\n0\n0\n")
        (folder / "cover.label").write_text("8\n4\n8\n0\n8\n8\n")
        (folder / "meta_info.ini").write_text("[METAINFO]\nanno_fps: 10Hz\n")
    (tmp_path / subset / "list.txt").write_text("GOT-10k_Val_000001\n")
    dataset = open_dataset(tmp_path)
    assert names(dataset) == ["GOT-10k_Val_000001", "GOT-10k_Val_000002"]
    sequence = dataset.sequences[1]
    np.testing.assert_array_equal(sequence.boxes[0], [10, 5, 20, 10])
    np.testing.assert_array_equal(sequence.visibility, [1, 0.5, 0, 0, 1, 1])
    np.testing.assert_allclose(sequence.frames[5], frame(6), atol=2)


def test_got10ks_test_set_knows_the_first_box_alone(tmp_path):
    write(tmp_path / "GOT-10k_Test_000001", "10,5,20,10\n")
    (sequence,) = open_dataset(tmp_path).sequences
    assert len(sequence) == 6 and np.isnan(sequence.boxes[1:]).all()
    np.testing.assert_array_equal(sequence.boxes[0], [10, 5, 20, 10])
    said = "GOT-10k_Test_000001: groundtruth.txt: no positive box in frames 2 to 6"
    assert sequence.warnings == (said,)


@pytest.mark.parametrize("images", [".", "color"])
def test_vot(tmp_path, images):
    write(tmp_path / "bag", POLYGONS, images)
    write(tmp_path / "Car1", RECTANGLES, images)  # a name of OTB's, in another format
    if images == "color":
        write_image(tmp_path / "bag" / "depth" / "00000001.png", frame(1))
    dataset = open_dataset(tmp_path)
    assert names(dataset) == ["Car1", "bag"] and not dataset.problems
    np.testing.assert_array_equal(dataset.sequences[1].boxes[2], [11, 5, 19, 15])
    np.testing.assert_array_equal(dataset.sequences[0].boxes[0], [10, 5, 20, 10])
    with pytest.raises(FileNotFoundError, match=r"split 'otb100'.*: left out: no folder"):
        open_dataset(tmp_path, "otb100")


def test_masks_of_vot_are_refused_in_words(tmp_path):
    write(tmp_path / "agility", "m366,180,17,30,2,6,9\n" * 6, "color")
    with pytest.raises(FileNotFoundError, match="rectangles or polygons, got masks"):
        open_dataset(tmp_path)


def test_formats_side_by_side(tmp_path):
    write(tmp_path / "bird-1", images="img")
    write(tmp_path / "GOT-10k_Val_000001")
    write(tmp_path / "bag", POLYGONS)
    write_sequence(tmp_path / "Mine", "1,2,20,10\n" * 3)
    assert names(open_dataset(tmp_path)) == ["Mine", "GOT-10k_Val_000001", "bag", "bird-1"]
    assert names(open_dataset(tmp_path, "bag,Mine")) == ["Mine", "bag"]
    write_sequence(tmp_path / "both", "1,2,20,10\n" * 3)
    (tmp_path / "both" / "groundtruth.txt").write_text("1,2,20,10\n" * 3)
    assert names(open_dataset(tmp_path, "both")) == ["both"]


def test_one_name_in_two_folders(tmp_path):
    for subset in ("train", "val"):
        write(tmp_path / subset / "bag")
    with pytest.raises(
        ValueError, match=r"one sequence of the name bag, got it from train/ and val"
    ):
        open_dataset(tmp_path)


def test_a_sequence_in_place_of_the_folder_of_sequences(tmp_path):
    write(tmp_path / "bag")
    with pytest.raises(FileNotFoundError, match=r"bag is one sequence; give the folder"):
        open_dataset(tmp_path / "bag")


@pytest.mark.parametrize("kind", ["lasot", "got10k", "vot"])
def test_gaps_and_other_counts_of_rows(tmp_path, kind):
    folder = tmp_path / {"lasot": "bird-1", "got10k": "GOT-10k_Val_000001", "vot": "bag"}[kind]
    images = "img" if kind == "lasot" else "."
    write(folder, images=images)
    (folder / images / "00000003.jpg").unlink()
    assert len(open_dataset(tmp_path).sequences[0]) == 6
    (folder / "groundtruth.txt").write_text(RECTANGLES[: 5 * len(RECTANGLES) // 6])
    (sequence,) = open_dataset(tmp_path).sequences
    assert sequence.frame_numbers.tolist() == [1, 2, 4, 5, 6]
    assert "there is none numbered 3" in sequence.warnings[0]
    (folder / "groundtruth.txt").write_text(RECTANGLES * 2)
    with pytest.raises(FileNotFoundError, match=r"expected 6 rows.* or 5, one .*got 12"):
        open_dataset(tmp_path)
