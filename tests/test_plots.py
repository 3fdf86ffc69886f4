"""Figures: what is drawn where, and a player that stands alone."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from trackerlib import plots
from trackerlib.eval.metrics import VOT, score

FRAME = np.full((48, 64, 3), 90, np.uint8)


def test_boxes_are_drawn_in_pixels_and_labelled():
    ax = Figure().subplots()
    plots.draw(ax, FRAME, {"truth": np.array([10.0, 5, 20, 8]), "kcf": np.array([0.0, 0, 4, 4])})
    truth, kcf = ax.patches
    assert truth.get_bbox().bounds == (10, 5, 20, 8) and kcf.get_bbox().bounds == (0, 0, 4, 4)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["truth", "kcf"]
    assert ax.get_xlabel() == "x (pixels)"


def test_annotating_leaves_the_frame_alone_and_passes_over_lost_boxes():
    box = np.array([10.0, 5, 20, 8])
    drawn = plots.annotate(FRAME, {"truth": box, "lost": np.full(4, np.nan)})
    assert (FRAME == 90).all()
    np.testing.assert_array_equal(drawn[5, 20], [0, 158, 115])
    np.testing.assert_array_equal(drawn[9, 20], [90, 90, 90])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int64", "float16"])
def test_boxes_of_any_type_are_drawn_alike(dtype):
    wide = np.full((300, 300, 3), 90, np.uint8)
    real = np.array([100.0, 90, 120, 125])
    whole = real.astype(dtype)
    np.testing.assert_array_equal(
        plots.annotate(wide, {"a": whole}), plots.annotate(wide, {"a": real})
    )
    ax = Figure().subplots()
    plots.draw(ax, wide, {"a": whole})
    assert ax.patches[0].get_bbox().extents.tolist() == [100, 90, 220, 215]


def test_a_plot_of_other_conventions_has_their_thresholds_and_area():
    truth = np.tile([10.0, 10, 20, 20], (50, 1))
    found = score(truth + np.linspace(0, 8, 50)[:, None] * [1, 0, 0, 0], truth, VOT)
    ax = Figure().subplots()
    plots.success_plot(ax, {"kcf": found.success}, VOT)
    area = float(ax.get_legend().get_texts()[0].get_text().partition("[")[2].rstrip("]"))
    assert area == pytest.approx(found.auc, abs=0.005)  # half a step of the thresholds
    assert found.success.mean() < area
    assert len(ax.lines[0].get_xdata()) == 100


def test_legends_give_the_numbers_that_tables_give():
    success, precision = np.linspace(1, 0, 21), np.linspace(0, 1, 51)
    left, right = Figure().subplots(1, 2)
    plots.success_plot(left, {"kcf": success})
    plots.precision_plot(right, {"kcf": precision})
    assert left.get_legend().get_texts()[0].get_text() == "kcf [0.500]"
    assert right.get_legend().get_texts()[0].get_text() == "kcf [0.400]"
    np.testing.assert_allclose(left.lines[0].get_xdata(), np.arange(21) / 20)


def test_drift_is_drawn_at_the_middle_of_each_part_beside_the_true_size():
    ax = Figure().subplots()
    curves = {"kcf": np.linspace(1, 0.55, 10), "fdn": np.array([1, np.nan, 2.0])}
    plots.drift_plot(ax, curves)
    truth, kcf, fdn = ax.lines
    assert list(truth.get_ydata()) == [1, 1]
    np.testing.assert_allclose(kcf.get_xdata(), np.arange(0.05, 1, 0.1))
    np.testing.assert_allclose(fdn.get_xdata(), [1 / 6, 3 / 6, 5 / 6])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "kcf [0.550]",
        "fdn [2.000]",
    ]
    assert ax.get_ylim() == pytest.approx((0, 2.2))
    plots.drift_plot(flat := Figure().subplots(), {"kcf": np.ones(10)})
    assert flat.get_ylim() == (0, 1.5) and flat.get_xlim() == (0, 1)
    colours = {line.get_color() for line in ax.lines[1:]}
    assert colours == set(plots.COLOURS[:2])


def test_a_player_stands_alone_and_is_the_same_in_every_run():
    page = plots.player([FRAME, FRAME + 9], ["first", "</script><b>second"], "two").data
    assert page == plots.player([FRAME, FRAME + 9], ["first", "</script><b>second"], "two").data
    assert page.count("/9j/") == 2 and "http" not in page  # two JPEGs, nothing from elsewhere
    assert page.count("</script>") == 1 and 'max="1"' in page


@pytest.mark.parametrize(("images", "captions"), [([], []), ([FRAME], ["a", "b"])])
def test_a_player_wants_a_caption_per_image(images, captions):
    with pytest.raises(ValueError, match="one caption per image"):
        plots.player(images, captions, "two")


def test_a_player_is_known_by_its_name_whatever_it_shows():
    pages = [plots.player([image], ["a"], "kcf-ride").data for image in (FRAME, FRAME + 9)]
    assert pages[0] != pages[1]
    for page in pages:
        assert page.count('<figure id="player-kcf-ride"') == 1
        assert page.count('getElementById("player-kcf-ride")') == 1


@pytest.mark.parametrize("name", ["", "kcf ride", "kcf_ride", 'a"b', "höhe", "ride\n"])
def test_a_player_wants_a_slug(name):
    with pytest.raises(ValueError, match="player: expected a name of letters, digits and hyphens"):
        plots.player([FRAME], ["a"], name)
