"""Constants that a chapter's prose may name without printing them, each with its source.

Chapter -> number as written, with its unit -> the value in the library (None where it has none),
and what it is.
"""

from trackerlib.nets import vggm
from trackerlib.trackers import deeptrack, dlst, hcf, mdnet
from trackerlib.trackers.deeptrack.cues import PATCH_SIDE
from trackerlib.trackers.fdn import SHORT
from trackerlib.trackers.mdnet.features import CROP_SIDE

_HCF = hcf.Config()
_DEEPTRACK = deeptrack.Config()
_DLST = dlst.Config()
_ONLINE = mdnet.OnlineConfig()
_STRIDE = vggm.VGGM().taps["conv3"].stride
_PRODUCTS = (  # positions, filters and numbers of each filter, conv1 to conv3
    51**2 * 96 * 7**2 * 3 + 11**2 * 256 * 5**2 * 96 + 3**2 * 512 * 3**2 * 256
)
_BATCH = _ONLINE.batch_positives + _ONLINE.batch_negatives

GIVEN: dict[str, dict[str, tuple[float | None, str]]] = {
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
        "250": (_DLST.positives + _DLST.negatives, "boxes that a frame is fine-tuned on"),
    },
    "09_deeptrack": {
        "32 pixels": (PATCH_SIDE, "of a patch"),
        "0.005": (_DEEPTRACK.tolerance, "epsilon"),
        "1,500": (_DEEPTRACK.particles, "boxes drawn per frame"),
    },
}
NOT_YET = {  # chapter -> why its prose is not accounted for
    stem: "numbers in its prose are not computed on the page yet"
    for stem in (
        "01_boxes",
        "02_correlation_filters",
        "03_backbones",
        "10_kernels",
    )
}
