"""trackerlib/data/manifest.py: the table of OTB-100 and what a check of a folder says."""

import json
from dataclasses import asdict

import numpy as np

from trackerlib.data import manifest
from trackerlib.data.cache import shipped

ABOUT = {
    "about": "The 100 targets of OTB-100; trackerlib/data/manifest.py names the fields.",
    "attributes_from": "the benchmark's Python release; the MATLAB release has others for a few",
}


def entry(name, facts, splits) -> manifest.Entry:
    """A line of the manifest from a target's published ground truth and facts."""
    rows = np.array(facts["gt"], dtype=np.float64)
    sha256, blocks = manifest.checksums(rows)
    return manifest.Entry(
        name=name,
        folder=facts["dir"],
        target=facts["target"],
        start=facts["start"],
        frames=facts["frames"],
        digits=facts["digits"],
        image_size=facts["image_size"],
        attributes=facts["attributes"],
        initial_omits=facts.get("init_omit", []),
        eval_start=facts.get("eval_start"),
        splits=[split for split in manifest.SPLITS if name in splits[split]],
        first_box=facts["gt"][0],
        sha256=sha256,
        blocks=blocks,
    )


def table(annotations) -> str:
    """The text of data/otb100.json."""
    facts, splits = annotations["sequences"], annotations["splits"]
    lines = [json.dumps(asdict(entry(name, facts[name], splits))) for name in sorted(facts)]
    head = "".join(f"{json.dumps(key)}: {json.dumps(text)},\n" for key, text in ABOUT.items())
    return "{" + head + '"targets": [\n' + ",\n".join(lines) + "\n]}\n"


def test_the_table_is_what_the_annotations_give(shared):
    annotations = json.loads((shared / "annotations" / "otb100.json").read_text())
    assert shipped("otb100.json").read_text() == table(annotations)
