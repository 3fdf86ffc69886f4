"""Where DeepTrack's defaults are not what the paper prints. No code of this version is known.

What no field says: the cues are centred, and the first weights made for values around 0; the pool
of negatives forgets whole frames, where N- counts patches.

[1] Li, Li, Porikli: DeepTrack: Learning discriminative feature representations online for
    robust visual tracking. TIP 2016.
"""

from trackerlib.trackers.presets import Departure

_SAMPLED = "[1] section II-C: drawn around the target; no more is said"
_LEARNED = "[1] section III and algorithm 1, which names no number"

DEPARTURES = (
    Departure(
        "squared",
        "[1] equations 8 and 9: beta is of the norm, not of its square",
        "a square's gradient ends with the error, a norm's does not",
        paper=False,
    ),
    Departure(
        "size_deviation",
        "[1] section IV-A: 0.01 h of s = h / 32, which is a third of the height",
        "a hundredth of the height, as section II-C reads alone",
        paper="s",
    ),
    Departure(
        "equal_chance",
        "[1] equations 11 and 12",
        "the first frame has fifty positives, which would be drawn five times as often",
        paper="patch",
    ),
    Departure(
        "descent",
        "[1] section III-A and algorithm 1, of which the text names no batch",
        "one pass for all cues, where one after the other takes two for each",
        paper="iterative",
    ),
    Departure(
        "first_descent",
        "[1] section III-A: stochastic gradient descent throughout",
        "Adam reaches a smaller loss, and the fusion begins as the mean of cues that are trained",
        paper="sgd",
    ),
    Departure(
        "averaged",
        "[1] equation 7",
        "of particles close together, the best by chance jitters more than the mean of five",
        paper=1,
    ),
    Departure(
        "saturated",
        "[1] equation 1",
        "a network that exceeds its label is further off, not surer",
        paper=False,
    ),
    Departure(
        "dense",
        "[1] section II-B: every patch is cut out",
        "one convolution for all particles: chapter 9 times both",
        paper=False,
    ),
    Departure(
        "scanned",
        "[1] section II-B: every patch is cut out",
        "a fifth of the time to score particles; without effect where dense is false",
        paper=1,
    ),
    Departure(
        "mode",
        "[1] section IV-A: Matlab and CUDA, whose numbers are single",
        "the machine's fastest number type, where it has one",
        paper="float32",
    ),
    Departure("min_scale", "[1] has no limit", "a box that shrinks to nothing is lost", paper=0.0),
    Departure(
        "positives",
        "[1] section III-A: theta+",
        "ten boxes of each frame keep seeds from deciding whether the target is found",
        paper=1,
    ),
    Departure(
        "first_positives",
        "[1] section III-A: theta+",
        "the labels of the first frame alone are sure",
        paper=1,
    ),
    Departure(
        "first_negatives",
        "[1] section III-A: theta-",
        "the labels of the first frame alone are sure",
        paper=150,
    ),
    Departure(
        "positive_iou",
        "[1] equation 6",
        "boxes at half of the target blur it; without effect at one positive, the target's box",
        paper=0.5,
    ),
    Departure("positive_translation", _SAMPLED, "without effect at one positive"),
    Departure("positive_scale", _SAMPLED, "without effect at one positive"),
    Departure("negative_translation", _SAMPLED, "MDNet's"),
    Departure("negative_scale", _SAMPLED, "MDNet's"),
    Departure("hard_negative_translation", _SAMPLED, "half is hard to tell from the target"),
    Departure("hard_negative_scale", _SAMPLED, "half is hard to tell from the target"),
    Departure("first_lr", _LEARNED, "of Adam, in the first frame"),
    Departure("first_steps", _LEARNED, "what is known well by then need not be learned later"),
    Departure(
        "first_tolerance",
        _LEARNED,
        "what is known so well is not worth the wait for the first box",
        paper=0.0,
    ),
    Departure("steps", _LEARNED, "what a frame may cost; the text has no limit"),
    Departure("batch_positives", _LEARNED, "a third of the negatives, as in MDNet"),
    Departure("batch_negatives", _LEARNED, "what a step may cost on a CPU"),
    Departure(
        "max_grad_norm",
        _LEARNED,
        "so that one hard batch at the rate r = 0.05 does not undo the cue",
    ),
)
