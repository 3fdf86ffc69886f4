"""MDNet as its paper prints it and as its authors' code runs it, where that is not the default.

[1] Nam, Han: Learning multi-domain convolutional neural networks for visual
    tracking. CVPR 2016. The authors' code is their first one, in MATLAB, which made the
    published boxes; the defaults follow their second one, in PyTorch.
"""

import math

from trackerlib.trackers.presets import Departure

__all__ = ["BIASES", "CLIPPING", "DEPARTURES", "MODE"]

NETWORK = "mdnet-vot-otb-matlab"  # trained on 58 videos of VOT: for tables on OTB

MODE = Departure(
    "mode",
    source="the authors' code",
    why="the machine's fastest number type, where it has one",
    authors="float32",
)
CLIPPING = Departure(
    "max_grad_norm",
    source="the authors' code in MATLAB, which clips nothing; that in PyTorch clips at 10",
    why="the default follows the code in PyTorch",
    authors=math.inf,
)
BIASES = (
    Departure(
        "bias_factor",
        source="the authors' code in MATLAB: 2, and with fc6_factor 20 in the last layer",
        why="the code in PyTorch, which treats biases as weights",
        authors=2.0,
    ),
    Departure(
        "bias_decay",
        source="the authors' code in MATLAB, whose MatConvNet lets weights decay alone",
        why="the code in PyTorch, which treats biases as weights",
        authors=False,
    ),
)
DEPARTURES = (
    Departure(
        "backbone",
        source="[1] section 3.2; models/mdnet_vot-otb.mat",
        why="the authors' networks may not be handed on: those that ship had no real video",
        paper=NETWORK,
        authors=NETWORK,
    ),
    Departure(
        "head",
        source="[1] section 3.2; models/mdnet_vot-otb.mat",
        why="as backbone",
        paper=NETWORK,
        authors=NETWORK,
    ),
    Departure(
        "feature_scale",
        source="the authors' code, which takes features as they are",
        why="features of the bundled backbone are smaller, and learning rates too low for them",
        paper=1.0,
        authors=1.0,
    ),
    MODE,
    Departure(
        "best",
        source="[1] equation 1: the arg max; code: the mean of five",
        why="the code's mean of five",
        paper=1,
        authors=5,
    ),
    Departure(
        "regression_score",
        source="[1] algorithm 1: f+ above 0.5; code: the score above 0",
        why="the code's, which compares the score before the softmax, as all here",
        paper=0.5,
        authors=0.0,
    ),
    Departure(
        "first_iterations",
        source="[1] section 4.4; maxiter_init",
        why="the code in PyTorch",
        paper=30,
        authors=30,
    ),
    Departure(
        "iterations",
        source="[1] section 4.4; maxiter_update",
        why="the code in PyTorch",
        paper=10,
        authors=10,
    ),
    Departure(
        "first_lr",
        source="[1] section 4.4; learningRate_init",
        why="the code in PyTorch",
        paper=1e-4,
        authors=1e-4,
    ),
    Departure(
        "lr",
        source="[1] section 4.4: three times first_lr; learningRate_update",
        why="the code in PyTorch",
        paper=3e-4,
        authors=3e-4,
    ),
    CLIPPING,
    *BIASES,
)
