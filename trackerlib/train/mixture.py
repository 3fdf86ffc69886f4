"""What a training learns from: any mixture of rendered clips, collages and data sets.

    --videos rendered collages /data/train:2 /data/GOT-10k/train:1

A number after a source is its weight: the share of the batches that are of it. Without one, it
weighs as much as it has videos, so that every video comes as often as any other. In a source,
every video comes once before one comes again. Every target is a domain of its own.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from trackerlib.data.sequence import Sequence
from trackerlib.data.synthetic.dataset import SCENES
from trackerlib.paths import expanded
from trackerlib.train import clips, images, provenance
from trackerlib.train.provenance import DataSet
from trackerlib.train.videos import (
    CLIPS,
    HELD_OUT,
    HELD_OUT_OBJECTS,
    OBJECTS,
    Video,
    hold_out,
    moving_objects,
    scene_clips,
)

__all__ = ["MADE", "Mixture", "Request", "Source", "mix", "parse_source"]

MADE = ("rendered", "collages")  # what the project makes itself


class Source(NamedTuple):
    """What videos are taken from: one of MADE, or a folder; None weighs each video alike."""

    name: str
    weight: float | None = None


@dataclass(frozen=True)
class Request:
    """Which videos are asked for."""

    sources: tuple[Source, ...] = (Source("rendered"),)
    photos: tuple[Path, ...] = ()  # folders of photographs and foreground crops, of collages
    clips: int = CLIPS  # of every rendered scene
    objects: int = OBJECTS  # videos of collages
    split: str = "all"  # of folders: of OTB, or names of sequences
    left_out: tuple[str, ...] = ()  # names of sequences that are not opened
    held_out: tuple[str, ...] = ()  # names of sequences, or of a split of `clips.HELD_OUT`
    tests: tuple[Path, ...] = ()  # folders to test on, whose frames may not be among those
    allow_overlap: bool = False  # with these and with OTB; the weights then say so
    terms: str = "not known"  # of data sets that are not known by name


@dataclass
class Mixture:
    """Videos to train on and to validate on, and what is to be said of them.

    shares    weight and video numbers of each source
    sources   a line on each of them
    held_out  "real" and "rendered", or one of them -> videos
    metadata  of the weights that are trained on them
    """

    videos: list[Video] = field(default_factory=list)
    shares: list[tuple[float, list[int]]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    held_out: dict[str, list[Video]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def add(self, source: Source, videos: list[Video]) -> None:
        """Add the videos of a source. Raises ValueError if there are none."""
        if not videos:
            raise ValueError(
                f"mix: expected videos of {source.name} to train on, got none; leave it out"
            )
        first = len(self.videos)
        numbers = list(range(first, first + len(videos)))
        weight = len(videos) if source.weight is None else source.weight
        self.videos += videos
        self.shares.append((weight, numbers))
        self.sources.append(f"{source.name}: weight {weight:g}, {len(videos)} videos")


def parse_source(text: str) -> Source:
    """Return a source and its weight: "train:2" is 2 of the folder train.

    Raises argparse.ArgumentTypeError for a weight that is not above 0.
    """
    name, colon, weight = text.rpartition(":")
    try:
        number = float(weight) if colon else None
    except ValueError:  # a colon of the folder's own name
        return Source(text)
    if number is None:
        return Source(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a weight above 0, got {text!r}")
    return Source(name, number)


def mix(request: Request) -> Mixture:
    """Return the videos that are asked for.

    Raises what `clips.open_clips` does for clips that cannot be trained on, and ValueError for
    a source without videos, for names to hold out that are not there, and, unless that is
    allowed, for sequences that a test table has too.
    """
    made = Mixture()
    opened = {
        source: clips.open_clips(expanded_source(source), request.split, request.left_out)
        for source in request.sources
        if source.name not in MADE
    }
    training, real = _held_out(opened, request.held_out)
    sets, overlapping = _origins(opened, training, request)
    if overlapping and not request.allow_overlap:
        lines = "; ".join(f"{name}: {reason}" for name, reason in overlapping.items())
        raise ValueError(
            f"mix: expected clips that no test table has, got {lines}. Leave them out, "
            f"--leave-out {','.join(overlapping)}, rename those of another video, or "
            "--allow-overlap, and the weights say so"
        )
    if real:
        made.held_out["real"] = [clips.as_video(clip) for clip in real]
    for source in request.sources:
        if source.name in MADE:
            sets.append(_add_made(made, source, request))
        else:
            made.add(source, [clips.as_video(clip) for clip in training[source]])
    made.metadata = provenance.metadata(sets, overlapping)
    if not made.held_out:
        made.held_out["rendered"] = scene_clips(HELD_OUT, CLIPS)
    return made


def expanded_source(source: Source) -> Path | str:
    """Return the folder of a source; the embedded benchmark has its name alone."""
    return source.name if source.name == "embedded" else expanded(source.name)


def _held_out(
    opened: dict[Source, list[Sequence]], names: Iterable[str]
) -> tuple[dict[Source, list[Sequence]], list[Sequence]]:
    """Return the sequences of each source to train on, and those of all that are held out."""
    wanted = [name for each in names for name in clips.HELD_OUT.get(each, (each,))]
    every = [sequence for found in opened.values() for sequence in found]
    count = Counter(sequence.name for sequence in every)
    if twice := [name for name in count if count[name] > 1]:
        raise ValueError(
            f"mix: expected one sequence of each name, got several of {', '.join(twice)}; rename "
            "their folders"
        )
    _, real = clips.hold_out(every, wanted)
    names = {sequence.name for sequence in real}
    kept = {
        source: [sequence for sequence in found if sequence.name not in names]
        for source, found in opened.items()
    }
    return kept, real


def _origins(
    opened: dict[Source, list[Sequence]],
    training: dict[Source, list[Sequence]],
    request: Request,
) -> tuple[list[DataSet], dict[str, str]]:
    """Return the data sets of what is opened, and which sequences a test table has too.

    Clips that are held out count as well: weights are chosen by them.
    """
    sets: list[DataSet] = []
    overlapping: dict[str, str] = {}
    for source, found in opened.items():
        folder = Path(expanded_source(source))
        names = {sequence.name for sequence in training[source]}
        sets += provenance.data_sets(folder, found, names, request.terms)
        overlapping |= provenance.overlaps(folder, found, request.tests)
    return sets, overlapping


def _add_made(made: Mixture, source: Source, request: Request) -> DataSet:
    """Add the project's own videos, and those of them that are held out."""
    held_out = made.held_out.setdefault("rendered", [])
    if source.name == "rendered":
        scenes = [name for name in sorted(SCENES) if name not in HELD_OUT]
        made.add(source, scene_clips(scenes, request.clips))
        held_out += scene_clips(HELD_OUT, CLIPS)
        return DataSet("clips of the project's renderer", "MIT", [], [])
    crops = images.foreground_crops(list(request.photos))
    if not crops:
        raise ValueError(
            "mix: expected foreground crops, images with transparency, in the folders of "
            f"--photos ({', '.join(map(str, request.photos)) or 'none given'}), found none; "
            "leave collages out"
        )
    photos = images.photographs(list(request.photos))
    known, others = hold_out(crops)
    made.add(source, moving_objects(request.objects, 0, photos, known))
    held_out += moving_objects(HELD_OUT_OBJECTS, 1, photos, others)
    return DataSet("foreground crops over photographs", "those of the pictures", [], [])
