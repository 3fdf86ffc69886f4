"""What makes MDNet and its descendants quick enough for a test."""

SMALL = {
    "backbone": "random",
    "head": "random",
    "mode": "float32",
    "feature_scale": 1.0,
    "candidates": 48,
    "first_positives": 40,
    "first_negatives": 160,
    "positives": 8,
    "negatives": 32,
    "mining_pool": 128,
    "first_iterations": 15,
    "iterations": 3,
    "regression_boxes": 60,
}

# For what does not depend on whether the target is found.
FEWER = SMALL | {
    "candidates": 16,
    "first_negatives": 64,
    "positives": 4,
    "negatives": 16,
    "mining_pool": 96,
    "first_iterations": 3,
    "iterations": 2,
    "regression_boxes": 20,
}
