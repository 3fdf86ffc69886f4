"""Where DLST's defaults are not what the paper prints, or what the authors' code does.

What no field says: the authors' code draws positives, negatives and regions around the regressed
box, rounds boxes to whole pixels, 10 or more a side, widens only the half of the candidates around
the last place after a failure, and draws no boxes smaller than the target for the regression.

[1] Yang, Liu, Zhang, Zhang: Deep location-specific tracking. ACM MM 2017.
"""

from math import inf

from trackerlib.trackers.mdnet.departures import BIASES
from trackerlib.trackers.presets import Departure

STEP = 1.05  # from one size to the next, the authors' getDefaultOpts.m: scaleFactor

DEPARTURES = (
    Departure(
        "backbone",
        "[1] section 3.1; createDLST.m: imagenet-vgg-m",
        "VGG-M of ImageNet may not be passed on; the bundled one was trained without labels",
        paper="vggm-imagenet",
        authors="vggm-imagenet",
    ),
    Departure(
        "feature_scale",
        "[1] section 4.1: the rates are for features as they are",
        "the bundled backbone's features are smaller by about this factor",
        paper=1.0,
        authors=1.0,
    ),
    Departure(
        "mode",
        "[1] section 4.1: MatConvNet, whose numbers are single",
        "the machine's fastest number type, where it has one",
        authors="float32",
    ),
    Departure(
        "best",
        "[1] section 3.2: arg max of f+; process.m: mean of the first 5",
        "the paper's; the code keeps MDNet's mean of the five best candidates",
        paper=1,
        authors=5,
    ),
    Departure(
        "score",
        "[1] section 3.2: f+ after the softmax; process.m: the raw score",
        "the code's; the raw score of a box does not stop at 1",
        paper="probability",
        authors="raw",
    ),
    Departure(
        "update_score",
        "[1] section 3.3: 0.5; process.m: the raw score below 0",
        "as score",
        paper=0.5,
        authors=0.0,
    ),
    Departure(
        "regression_score",
        "[1] section 3.3: f+ above 0.5; process.m: the raw score above 0",
        "as score",
        paper=0.5,
        authors=0.0,
    ),
    Departure(
        "trusted_frames",
        "[1] section 4.1: successful frames and the initial one; process.m: frame <= 3",
        "the paper's",
        paper=1,
        authors=3,
    ),
    Departure(
        "growth",
        "[1] section 4.1: a constant covariance; process.m: 1.1 per frame after a failure",
        "the paper's; the code widens the half around the last place alone, here both would be",
        paper=1.0,
        authors=1.1,
    ),
    Departure(
        "max_grad_norm",
        "[1] section 4.1 has no limit; accumulateGradients.m: none",
        "MDNet's PyTorch code clips: one mini-batch of outliers cannot ruin the head",
        authors=inf,
    ),
    Departure(
        "positive_scale",
        "process.m: getPositives, 5 steps of 1.05",
        "MDNet's PyTorch code, which rounds it",
        authors=STEP**5,
    ),
    Departure(
        "first_negative_scale",
        "getNegatives.m: 10 steps of 1.05",
        "MDNet's PyTorch code, which rounds it",
        authors=STEP**10,
    ),
    Departure(
        "negative_scale",
        "process.m: getNegatives, 5 steps of 1.05",
        "MDNet's PyTorch code, which rounds it",
        authors=STEP**5,
    ),
    Departure(
        "regression_scale",
        "gen_samples.m: uniform_aspect, 10 steps of 1.05, larger boxes alone",
        "MDNet's PyTorch code, which rounds it; smaller boxes are drawn, too",
        authors=STEP**10,
    ),
    Departure(
        "regression_aspect",
        "gen_samples.m: uniform_aspect, 2 steps of 1.05",
        "MDNet's PyTorch code, which rounds it",
        authors=STEP**2,
    ),
    *BIASES,
)
