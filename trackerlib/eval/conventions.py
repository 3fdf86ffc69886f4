"""What toolkits settle differently when they score the same boxes, as fields with names.

1. Wu, Lim, Yang, Object tracking benchmark, PAMI 2015, and its MATLAB toolkit
   (calcSeqErrRobust.m, calcRectInt.m, genPerfMat.m): OTB, the defaults.
The other toolkits and the versions of them that were read stand beside their conventions.
"""

from dataclasses import dataclass, field

__all__ = ["CONVENTIONS", "GOT10K", "OTB", "PYSOT", "PYTRACKING", "VERSIONS", "VOT", "Conventions"]


@dataclass(frozen=True)
class Conventions:
    """What toolkits settle differently; the defaults are OTB's.

    strict       success is IoU > threshold; if False, >=
    thresholds   of the IoU, at which the success curve is taken
    area         AUC is "mean": the mean of the curve over its thresholds; "exact": the area
                 under the curve at all thresholds, which is the mean IoU
    first_frame  "truth": the ground truth is its prediction; "tracked": the tracker's
                 own first row is; "skip": it is left out
    centre       "pixel": x + (w - 1) / 2; "edge": x + w / 2; "floor": the pixel that
                 holds the centre. The first two differ by half a pixel on both boxes,
                 which no distance shows.
    valid        ground truth that can be scored: "positive": its four 1-based values
                 are > 0, so that a box reaching out of the image at the left or the
                 top is not; "sized": its width and height are; "pysot": these for success,
                 both coordinates of its centre, 1-based, for precision; "all"
    invalid      the other frames: "otb": they count, as misses of success and as precision
                 hits, since the toolkit gives both measures -1; "miss": misses of both, but
                 hits of normalised precision, as in pytracking; "skip": left out
    unannotated  frames whose ground truth is not finite: "skip": left out; "invalid": they
                 count like `invalid` ones, as the toolkits of OTB and UAV123 count them
    repair       a prediction that is not finite or has no area becomes the one before
    rounding     None; "integer": predictions go to the nearest integers first; "both": the
                 ground truth too, and halves to the even 1-based number

    Raises ValueError for a choice that is not among these.
    """

    strict: bool = True
    thresholds: tuple[float, ...] = field(default=tuple(k / 20 for k in range(21)), repr=False)
    area: str = "mean"
    first_frame: str = "truth"
    centre: str = "pixel"
    valid: str = "positive"
    invalid: str = "otb"
    unannotated: str = "skip"
    repair: bool = True
    rounding: str | None = None

    def __post_init__(self) -> None:
        known = {
            "area": ("mean", "exact"),
            "first_frame": ("truth", "tracked", "skip"),
            "centre": ("pixel", "edge", "floor"),
            "valid": ("positive", "sized", "pysot", "all"),
            "invalid": ("otb", "miss", "skip"),
            "unannotated": ("skip", "invalid"),
            "rounding": (None, "integer", "both"),
        }
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"Conventions: expected {name} among {choices}, got {getattr(self, name)!r}"
                )


# The MATLAB toolkit of OTB.
OTB = Conventions()

# got10k-toolkit, experiments/otb.py: every frame is scored as it stands. (Its experiment on
# GOT-10k itself is another: a mean IoU without the first frame.)
GOT10K = Conventions(valid="all", repair=False)

# pysot, toolkit/evaluation/ope_benchmark.py and toolkit/utils/statistics.py.
PYSOT = Conventions(first_frame="tracked", valid="pysot", repair=False)

# pytracking, analysis/extract_results.py, for OTB, since da789d1 of August 2022. A prediction
# that is NaN or negative stops it.
PYTRACKING = Conventions(invalid="miss")

# vot-toolkit, stack/otb100.yaml: the accuracy of one pass, a mean IoU of rectangles in whole
# pixels, here the AUC. The toolkit also cuts both at the image's border, which changes a mean
# over OTB by up to 0.002. The challenges' resets, robustness and EAO are the protocol vot:
# `resets`, `vot`.
VOT = Conventions(
    thresholds=tuple(k / 99 for k in range(100)),
    area="exact",
    first_frame="skip",
    valid="all",
    repair=False,
    rounding="both",
)

CONVENTIONS = {
    "otb": OTB,
    "got10k": GOT10K,
    "pysot": PYSOT,
    "pytracking": PYTRACKING,
    "vot": VOT,
}

# The versions that were read for these, and whose code gave the scores that a test compares.
VERSIONS = {
    "otb": "MATLAB, 2015",
    "got10k": "0.1.3 (956e728), May 2021",
    "pysot": "d04028f, June 2025",
    "pytracking": "7eb9e74, August 2024",
    "vot": "0.8.0 (56f0053), May 2026",
}
