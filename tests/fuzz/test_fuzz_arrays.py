"""Frames, boxes, RoIs, specifications and results of any content: a defined outcome."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.io import savemat

from trackerlib import boxes as B
from trackerlib.eval.layouts import read_runs
from trackerlib.ops import adaptive_roi_align, roi_align, roi_pool
from trackerlib.trackers import TRACKERS, Spec, parse

ANY = st.floats(width=32) | st.sampled_from([1e30, -1e30, 0.0, 5.0])
KINDS = st.sampled_from(["uint8", "int16", "float32", "float64", "bool", "complex64", "object"])
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@given(st.lists(ANY, max_size=5) | st.text(max_size=3) | st.none())
def test_a_first_box_is_finite_and_overlaps_the_frame(box):
    frame = np.zeros((12, 20, 3), np.uint8)
    try:
        start = B.first_box(box, frame)
    except ValueError as error:
        assert "expected" in str(error)
        return
    assert start.shape == (4,) and start.dtype == np.float64 and np.isfinite(start).all()
    assert B.box_iou(start, np.array([0, 0, 20, 12.0])) > 0


@given(SHAPES, KINDS)
@example((4, 4, 3), "uint8")
def test_frames_of_any_shape_and_kind(shape, kind):
    tracker = parse("identity").build()
    frame = np.zeros(shape, kind)
    is_frame = len(shape) == 3 and shape[2] == 3 and frame.size and kind == "uint8"
    if is_frame:
        tracker.init(frame, [0, 0, 1, 1])
        assert np.isfinite(tracker.update(frame)).all()
    else:
        with pytest.raises(ValueError, match="expected a frame"):
            tracker.init(frame, [0, 0, 1, 1])


SIDES = st.integers(1, 40)


@given(SIDES, SIDES, st.tuples(*[st.floats(-60, 60)] * 2), st.tuples(*[st.floats(1, 90)] * 2))
def test_kcf_on_frames_of_any_size(height, width, corner, size):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    tracker = parse("kcf").build()
    try:
        tracker.init(frame, np.array([*corner, *size]))
    except ValueError as error:
        assert "first_box: expected" in str(error)
        return
    box = tracker.update(rng.integers(0, 256, frame.shape, dtype=np.uint8))
    assert box.shape == (4,) and np.isfinite(box).all() and (box[2:] > 0).all()


ROIS = arrays.arrays(np.float32, st.tuples(st.integers(0, 3), st.just(5)), elements=ANY)


@pytest.mark.parametrize(
    "pool",
    [
        lambda maps, rois: roi_align(maps, rois, 2, 0.5),
        lambda maps, rois: roi_align(maps, rois, 2, 0.5, sampling_ratio=2),
        lambda maps, rois: roi_pool(maps, rois, 2, 0.5),
        lambda maps, rois: adaptive_roi_align(maps, rois, 2, 0.5),
    ],
    ids=["roi_align", "roi_align of 4 points", "roi_pool", "adaptive_roi_align"],
)
def test_rois_of_any_numbers(pool):
    maps = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))

    @given(ROIS)
    def pooled(rois):
        try:
            bins = pool(maps, torch.from_numpy(rois))
        except ValueError as error:
            assert "expected" in str(error)
        else:
            assert bins.shape == (len(rois), 3, 2, 2) and bins.isfinite().all()

    pooled()


VALUES = st.one_of(st.text(max_size=8), st.floats().map(str), st.integers().map(str))


@given(st.sampled_from(sorted(TRACKERS)), st.data())
def test_specifications_of_any_values(name, data):
    known = [field.name for field in dataclasses.fields(parse(name).config)]
    fields = st.sampled_from([*known, "preset", "weights", "", "x"])
    items = st.lists(st.builds("{}={}".format, fields, VALUES), max_size=3)
    text = f"{name}:{','.join(data.draw(items))}"
    try:
        spec = parse(text)
    except ValueError as error:
        assert "expected" in str(error)
    else:
        assert isinstance(spec, Spec) and spec.label == text


CELLS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["rect", "ivtAff", ""]),
        "res": st.sampled_from([np.ones((3, 4)), np.ones(4), np.array("text"), np.nan]),
        "startFrame": st.sampled_from([1.0, "x", np.inf, np.ones(2)]),
        "annoBegin": st.sampled_from([1.0, np.nan]),
    },
)
RESULTS = st.lists(CELLS, max_size=2) | st.sampled_from([1.0, "text", np.ones((2, 2))])


@given(RESULTS, st.sampled_from(["results", "other"]), st.text("0123x.", max_size=3))
def test_results_of_otbs_toolkit(tmp_path_factory, content, name, seed):
    folder = tmp_path_factory.mktemp("mat")
    if isinstance(content, list):
        cells = np.empty((1, len(content)), dtype=object)
        for index, cell in enumerate(content):
            cells[0, index] = cell or 0.0
        content = cells
    savemat(folder / f"david_kcf.seed{seed}.mat", {name: content})
    for run in read_runs(folder, "otb-mat", ["david"]):
        if run.boxes is None:
            assert "expected" in run.problem
        else:
            assert run.boxes.shape[1:] == (4,) and not run.problem
