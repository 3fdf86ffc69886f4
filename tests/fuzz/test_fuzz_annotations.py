"""Annotations of any content: sequences of the stated shape, or an error in words."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trackerlib.data import cvat, label_studio, mot, via, video_folder
from trackerlib.data.rows import parse_rows
from trackerlib.data.sequence import Sequence
from trackerlib.data.targets import between_keys

LENGTH, WIDTH, HEIGHT = 4, 32, 24
NUMBERS = st.one_of(
    st.integers(-3, 9),
    st.sampled_from([10**18, -(10**18), 10**400, 2**63]),
    st.floats(),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=6))
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
TEXTS = st.text(max_size=12) | JSON.map(str)
DEEP = "[" * 100_000  # more than Python's parser descends


def either(usual, share=0.8):
    """What a format has, most often, else anything."""
    return st.floats(0, 1).flatmap(lambda drawn: usual if drawn < share else JSON)


def fields(**usual):
    """A dict with these keys, of which some may lack or hold anything."""
    return st.fixed_dictionaries({}, optional={key: either(one) for key, one in usual.items()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video of four frames, street.avi, and the same as images in street/img1/."""
    root = tmp_path_factory.mktemp("street")
    writer = cv2.VideoWriter(
        str(root / "street.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (WIDTH, HEIGHT)
    )
    (root / "mot" / "img1").mkdir(parents=True)
    (root / "mot" / "gt").mkdir()
    for number in range(1, LENGTH + 1):
        frame = np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8)
        writer.write(frame)
        cv2.imwrite(str(root / "mot" / "img1" / f"{number:06d}.png"), frame)
    writer.release()
    return root


def defined(read, *arguments):
    """Read, and check that what comes is sequences or an error that says something."""
    try:
        sequences = read(*arguments)
    except (ValueError, FileNotFoundError) as error:
        assert len(str(error)) > 20, "words"
        return
    assert sequences and all(isinstance(sequence, Sequence) for sequence in sequences)
    for sequence in sequences:
        assert sequence.boxes.shape == (len(sequence), 4)
        assert 1 <= len(sequence) <= LENGTH
        assert not np.isinf(sequence.boxes).any()


def every(module, root):
    """All sequences of a folder, read one video after the other."""
    return [one for read in module.videos(root).values() for one in read()]


PER_CENT = st.floats(0, 100)
KEY = fields(
    frame=st.integers(1, LENGTH),
    x=PER_CENT,
    y=PER_CENT,
    width=PER_CENT,
    height=PER_CENT,
    rotation=st.integers(0, 90),
    enabled=st.booleans(),
)
TRACKED = fields(labels=st.lists(either(st.just("car")), max_size=2), sequence=st.lists(KEY))
RESULT = fields(type=st.just("videorectangle"), value=TRACKED)
TASK = fields(
    data=fields(video=st.just("/data/upload/1/street.avi")),
    annotations=st.lists(fields(result=st.lists(either(RESULT)))),
    file_upload=st.just("street.avi"),
)


@given(either(st.lists(either(TASK))))
def test_label_studio(folder, content):
    path = folder / "export.json"
    path.write_text(json.dumps(content))
    try:
        for task in label_studio._tasks(path):
            defined(label_studio.read, path, task, "street")
        label_studio.videos(folder)
    finally:
        path.unlink()


SHAPE = st.one_of(
    fields(name=st.just("rect"), x=NUMBERS, y=NUMBERS, width=NUMBERS, height=NUMBERS),
    fields(
        name=st.just("polygon"),
        all_points_x=st.lists(NUMBERS, min_size=3, max_size=4),
        all_points_y=st.lists(NUMBERS, min_size=3, max_size=4),
    ),
)
REGION = fields(shape_attributes=SHAPE, region_attributes=fields(track=st.integers(1, 2)))
IMAGE = fields(filename=st.just("000001.png"), regions=st.lists(either(REGION), max_size=3))
RECTANGLE = st.tuples(st.just(2), NUMBERS, NUMBERS, NUMBERS, NUMBERS).map(list)
PROJECT = fields(
    project=JSON,
    metadata=st.dictionaries(
        st.text(max_size=2),
        fields(
            vid=st.just("1"),
            z=st.lists(NUMBERS, max_size=2),
            xy=RECTANGLE,
            av=fields(**{"1": st.just("0")}),
        ),
        max_size=3,
    ),
    view=fields(**{"1": fields(fid_list=st.just(["1"]))}),
    file=fields(**{"1": fields(fname=st.just("street.avi"))}),
)


@given(st.one_of(st.dictionaries(st.text(max_size=3), either(IMAGE), max_size=3), PROJECT, JSON))
def test_via(folder, content):
    path = folder / "street.json"
    path.write_text(json.dumps(content))
    try:
        for read in via.videos(folder).values():
            defined(read)
    finally:
        path.unlink()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["street.avi", ""]), *[st.text(max_size=12) | JSON.map(str)] * 2
        ),
        max_size=3,
    )
)
@example([("street.avi", "x" * 140_000, "{}")])
def test_via_tables(folder, rows):
    path = folder / "street.csv"
    lines = [",".join(f'"{cell}"' for cell in row) for row in rows]
    header = "filename,region_shape_attributes,region_attributes"
    path.write_text("\n".join([header, *lines]))
    try:
        for read in via.videos(folder).values():
            defined(read)
    finally:
        path.unlink()


@pytest.mark.parametrize("module", [label_studio, via])
def test_json_deeper_than_any_parser_goes_is_no_annotation(folder, module):
    path = folder / "deep.json"
    path.write_text(DEEP)
    try:
        assert module.videos(folder) == {}
    finally:
        path.unlink()


SAID = st.one_of(NUMBERS.map(str), st.sampled_from(["", "x", "nan", "-inf", "1e999", "1,2"]))
BOX = st.builds(
    '<box frame="{}" outside="{}" occluded="{}" xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>'.format,
    st.integers(0, LENGTH - 1) | SAID,
    st.sampled_from("01"),
    st.sampled_from("01"),
    *[st.integers(0, 20) | SAID] * 4,
)
POLYGON = st.builds('<polygon frame="{}" points="{}"/>'.format, st.integers(0, 3), SAID)
OTHER = st.sampled_from(['<mask frame="0"/>', "<box/>", "<!-- -->", "<box", "&amp;", "&x;"])


@given(st.lists(st.lists(st.one_of(BOX, BOX, POLYGON, OTHER), max_size=3), max_size=3))
def test_cvat(folder, tracks):
    text = "".join(
        f'<track id="{i}" label="car">{"".join(t)}</track>' for i, t in enumerate(tracks)
    )
    path = folder / "street.xml"
    path.write_text(f"<annotations><version>1.1</version>{text}</annotations>")
    try:
        defined(cvat.read, path)
    finally:
        path.unlink()


CELL = st.one_of(st.integers(1, LENGTH).map(str), SAID)


@given(st.lists(st.lists(CELL, min_size=5, max_size=10), max_size=5), st.sampled_from([6, 9, 0]))
def test_mot(folder, rows, width):
    path = folder / "mot" / "gt" / "gt.txt"
    path.write_text("\n".join(",".join((row * 2)[:width] if width else row) for row in rows))
    defined(mot.read, path)


@given(st.text(max_size=40) | st.just("[Sequence]\nimDir=%(nothing)s") | st.just("[Sequence"))
def test_the_settings_of_mot(folder, text):
    (folder / "mot" / "gt" / "gt.txt").write_text("1,1,2,2,5,5\n2,1,3,2,5,5\n")
    path = folder / "mot" / "seqinfo.ini"
    path.write_text(text)
    try:
        defined(mot.read, folder / "mot" / "gt" / "gt.txt")
    finally:
        path.unlink()


@given(st.lists(st.lists(CELL, max_size=7), max_size=5))
@example([["1", "2", "2", "5", '"' + "x" * 140_000]])
@example([["inf", "2", "2", "5", "5"]])
def test_tables_of_videos(folder, rows):
    path = folder / "street.csv"
    path.write_text("\n".join(["frame,x,y,w,h,visibility,target", *map(",".join, rows)]))
    try:
        defined(video_folder.read, folder / "street.avi", {"1": path})
    finally:
        path.unlink()


@given(st.binary(max_size=200))
def test_tables_of_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    assert isinstance(video_folder._columns(path), list)


@given(st.binary(max_size=80), st.sampled_from([(4,), (4, 8), (1, 2, 3)]))
def test_rows_of_any_bytes(content, widths):
    try:
        rows = parse_rows(content.decode("utf-8-sig", "replace"), widths, "made.txt")
    except ValueError as error:
        assert str(error).startswith("made.txt")
    else:
        assert rows.ndim == 2 and rows.shape[1] in widths and not np.isinf(rows).any()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({0: [1, 2, 3, 4], 10**12: [1, 2, 3, 4]}, "some of frame 1000000000001"),  # 32 TB of boxes
        ({-1: [1, 2, 3, 4], 2: [1, 2, 3, 4]}, r"the 4 frames of the video, got some of frame 0"),
        ({0: [1, 2, np.inf, 4]}, "finite boxes, got .* in frame 1"),
        ({0: [1, 2, 3, 4], 3: [1, np.nan, 3, 4]}, "finite boxes, got .* in frame 4"),
    ],
)
def test_key_frames_that_the_video_has_not_are_refused(keys, said):
    boxes = {index: np.array(box, dtype=np.float64) for index, box in keys.items()}
    with pytest.raises(ValueError, match=said):
        between_keys("car", boxes, LENGTH)
