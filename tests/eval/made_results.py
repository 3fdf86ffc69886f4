"""Results that no tracker made: boxes that drift from the truth, for every job of a plan."""

import numpy as np
from fake_tracker import Fake

from trackerlib.eval.runner import plan
from trackerlib.eval.store import Result, Track

ENVIRONMENT = {"device_name": "a processor", "threads": 1, "workers": 1}


def drifting(job, seed=0) -> Track:
    """The first box, then boxes that drift by fractions that no short number holds."""
    rng = np.random.default_rng(list(f"{job.unit.stem}{seed}".encode()))
    boxes = job.sequence.boxes[job.segment.start :] + rng.normal(0, 2, (job.unit.frames, 4))
    boxes[0] = job.segment.box
    return Track(boxes, rng.uniform(0.01, 0.02, len(boxes)), ("frame 2: odd",))


def made(dataset, behaviours=("one", "two"), seeds=(0, 1), protocol="ope"):
    """Jobs of made-up trackers, which are not run, and a result for each."""
    jobs = plan([Fake(name) for name in behaviours], dataset, protocol, seeds, "cpu")
    results = [Result(job.unit, drifting(job), ENVIRONMENT) for job in jobs]
    return jobs, results


def keep(store, results):
    for one in results:
        store.write(one.unit, one.track, one.environment)
    return store
