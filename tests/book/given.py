"""Constants that a chapter's prose may name without printing them, each with its source.

Chapter -> number as written, with its unit -> the value in the library (None where it has none),
and what it is.
"""

from trackerlib.analysis.linear_probe import TARGET_SIDE
from trackerlib.nets import vggm
from trackerlib.trackers import deeptrack, dlst, hcf, kcf, mdnet
from trackerlib.trackers.deeptrack.cues import PATCH_SIDE
from trackerlib.trackers.fdn import SHORT
from trackerlib.trackers.mdnet.features import CROP_SIDE

_HCF = hcf.Config()
_DEEPTRACK = deeptrack.Config()
_DLST = dlst.Config()
_ONLINE = mdnet.OnlineConfig()
_STRIDE = vggm.VGGM().taps["conv3"].stride
_DENSE_STRIDE = vggm.VGGM(vggm.Config(dense=True)).taps["conv3"].stride
_PRODUCTS = (  # positions, filters and numbers of each filter, conv1 to conv3
    51**2 * 96 * 7**2 * 3 + 11**2 * 256 * 5**2 * 96 + 3**2 * 512 * 3**2 * 256
)
_BATCH = _ONLINE.batch_positives + _ONLINE.batch_negatives

GIVEN: dict[str, dict[str, tuple[float | None, str]]] = {
    "01_boxes": {
        "6 pixels": (2 * 3, "2 columns times 3 rows"),
        "95 %": (None, "level of the bootstrap's interval, a choice"),
        "four times": (2**2, "videos that halve an interval of 1 / sqrt(n)"),
    },
    "02_correlation_filters": {
        "100 pixels": (kcf.Config().large, "sqrt(w * h) from which on KCF halves the images"),
        "8 pixels": (2 * kcf.PUBLISHED["hog"]["cell"], "twice KCF's cell"),
        "20 pixels": (None, "the benchmark's threshold of precision"),
    },
    "03_backbones": {
        "64 pixels": (TARGET_SIDE, "of a target in the probe's frames"),
        "21.5": (13.5 + 1 * 8, "the sum that stands before it in the table"),
        "2,304": (9 * 256, "3 x 3 bins of conv2's channels"),
        "4,608": (9 * 512, "3 x 3 bins of conv3's channels"),
        "21 pixels": (TARGET_SIDE // 3, "a third of a target's side"),
        "107 pixels": (CROP_SIDE, "of a crop"),
        "four times": ((16 / 8) ** 2, "map positions at stride 8 for those at stride 16"),
    },
    "04_msdat": {
        "2.8 times": (1 + _HCF.padding, "HCF's search window, in targets"),
        "224": (_HCF.side, "pixels of the network's input"),
        "224 pixels": (_HCF.side, "the same"),
        "4 pixels": (_HCF.cell, "pixels of a map cell"),
        "40 ms": (None, "exercise 1 assumes a network of 40 ms"),
        "20 ms": (None, "exercise 1 assumes a filter of 20 ms"),
        "60 %": (None, "exercise 1 assumes that one pass suffices in 60 % of the frames"),
    },
    "05_mdnet": {
        "1,024": (_ONLINE.mining_pool, "negatives that the hardest are taken from"),
        "107": (CROP_SIDE, "pixels of a crop"),
        "ten times": (_ONLINE.fc6_factor, "learning rate of fc6, in those of the others"),
        "0.12": (round(_PRODUCTS / 1e9, 2), "billion multiplications of a crop"),
        "250": (_ONLINE.positives + _ONLINE.negatives, "boxes kept of a frame"),
        "128": (_BATCH, "boxes of a mini-batch"),
    },
    "06_fdn": {
        "16 pixels": (_STRIDE, "of a cell of conv3's map"),
        "600 pixels": (SHORT, "of a frame's short side"),
        "1,000": (None, "exercise 1 assumes a frame of 1,000 x 562 pixels"),
        "562 pixels": (None, "the same"),
    },
    "07_rtmdnet": {
        "four times": (_BATCH / _ONLINE.batch_positives, "boxes of a mini-batch per positive"),
        "0.02": (None, "AUC between seeds, README of the authors' code"),
        "0.03": (None, "the same"),
    },
    "08_dlst": {
        "1.05": (_DLST.scale, "base of the candidates' scale"),
    },
    "09_deeptrack": {
        "32 pixels": (PATCH_SIDE, "of a patch"),
        "0.001": (_DEEPTRACK.first_tolerance, "loss that ends the first training"),
        "0.005": (_DEEPTRACK.tolerance, "epsilon"),
        "1,500": (_DEEPTRACK.particles, "boxes drawn per frame"),
    },
    "10_kernels": {
        "8 pixels": (_DENSE_STRIDE, "of a cell of the dense map"),
        "320": (None, "columns of the benchmark's frames"),
        "240 pixels": (None, "rows of the benchmark's frames"),
        "0.75": (0.5 + (0 + 0.5) / 2, "first of two points in a bin from 0.5 to 1.5"),
        "1.25": (0.5 + (1 + 0.5) / 2, "second of them"),
        "1,200": (30 * 40, "cells of the map"),
        "2,304": (256 * 9, "bins of 256 candidates"),
        "31 times": (round(256 * 9 * 16 / (30 * 40)), "rows asked for, by cell of the map"),
        "32 MB": (4 * 8, "mallopt(3): M_MMAP_THRESHOLD is at most 4 MB times the size of a long"),
        "4,800": (30 * 40 * 4, "bytes of a channel"),
    },
}
