"""What makes MDNet and its descendants quick enough for a test."""

SMALL = {
    "backbone": "random",
    "head": "random",
    "mode": "float32",
    "gain": 1.0,
    "candidates": 48,
    "first_positives": 40,
    "first_negatives": 160,
    "positives": 8,
    "negatives": 32,
    "pool": 128,
    "first_iterations": 15,
    "iterations": 3,
    "regression_boxes": 60,
}
