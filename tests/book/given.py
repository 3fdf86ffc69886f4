"""Constants that a chapter's prose may name without printing them, each with its source.

Chapter -> number as written, with its unit -> the value in the library (None where it has none),
and what it is.
"""

from trackerlib.trackers import dlst, hcf, mdnet

_HCF = hcf.Config()
_DLST = dlst.Config()
_ONLINE = mdnet.OnlineConfig()
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
    "07_rtmdnet": {
        "four times": (_BATCH / _ONLINE.batch_positives, "boxes of a mini-batch per positive"),
        "0.02": (None, "AUC between seeds, README of the authors' code"),
        "0.03": (None, "the same"),
    },
    "08_dlst": {
        "1.05": (_DLST.scale, "base of the candidates' scale"),
        "250": (_DLST.positives + _DLST.negatives, "boxes that a frame is fine-tuned on"),
    },
}
NOT_YET = {  # chapter -> why its prose is not accounted for
    stem: "numbers in its prose are not computed on the page yet"
    for stem in (
        "01_boxes",
        "02_correlation_filters",
        "03_backbones",
        "05_mdnet",
        "06_fdn",
        "09_deeptrack",
        "10_kernels",
    )
}
