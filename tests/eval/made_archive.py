"""A small archive of made-up trackers on targets that have the names of OTB's."""

import numpy as np

from trackerlib.data import Dataset
from trackerlib.data.sequence import ImageFiles, Sequence
from trackerlib.eval.archive import Archive, facts_of, measured
from trackerlib.eval.store import Result, Track, Unit

NAMES = [
    *("Couple", "Crossing", "David", "Deer", "Dog"),
    *("Girl", "Human7", "Man", "Subway", "Surfer"),
]
LENGTH = 11
ENVIRONMENT = {"device_name": "a processor", "threads": 1, "workers": 1}


def target(name, attributes=("SV",)):
    boxes = np.tile([10.0, 10.0, 20.0, 20.0], (LENGTH, 1))
    numbers = np.arange(1, LENGTH + 1)
    return Sequence(name, ImageFiles(()), boxes, numbers, attributes=attributes, benchmark="OTB")


def result(sequence, label, seed=0, off=2.0, seconds=0.1, code="1"):
    """A run whose boxes lie `off` pixels beside the truth after the first frame."""
    boxes = sequence.boxes + np.array([off, 0, 0, 0])
    boxes[0] = sequence.boxes[0]
    unit = Unit(
        dataset="otb",
        sequence=sequence.name,
        protocol="ope",
        segment="ope",
        seed=seed,
        label=label,
        settings={"tracker": label},
        code=code,
        device="cpu",
        start=0,
        frames=LENGTH,
        contents="frames",
        first_box=tuple(sequence.boxes[0]),
    )
    return Result(unit, Track(boxes, np.full(LENGTH, seconds)), ENVIRONMENT)


def archive(runs, names=NAMES, attributes=None):
    """runs: label -> list of keyword arguments of `result`, one a seed, and `names` if not all."""
    attributes = attributes or {}
    targets = [target(name, attributes.get(name, ("SV",))) for name in names]
    rows = []
    dataset = Dataset("otb", tuple(targets))
    for label, seeds in runs.items():
        for seed, given in enumerate(seeds):
            given = dict(given)
            chosen = given.pop("names", names)
            rows += [
                measured(result(one, label, seed, **given), dataset, {})
                for one in targets
                if one.name in chosen
            ]
    facts = {("otb", one.name): facts_of("otb", one, "frames") for one in targets}
    return Archive(facts, tuple(rows))
