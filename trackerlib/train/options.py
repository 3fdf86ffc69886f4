"""The command line of multi-domain learning."""

import argparse

from trackerlib.paths import expanded
from trackerlib.trackers.rtmdnet import ROI_PADDING
from trackerlib.train import arguments
from trackerlib.train.augmentation import Augmentation
from trackerlib.train.mixture import MADE, Mixture, Request, Source, mix, parse_source
from trackerlib.train.samples import FRAMES, NEGATIVES, POSITIVES
from trackerlib.train.settings import CACHE, MEANS, NETWORKS, Settings
from trackerlib.train.videos import CLIPS, OBJECTS
from trackerlib.weights.inference import MODES, best_mode

__all__ = ["read"]

MINUTES = 20


def read(description: str) -> tuple[argparse.Namespace, Settings, Mixture]:
    """Return what a command line says, and what and on which videos it asks to train.

    description  of the command

    A command line that cannot be carried out ends the process, with the reason.
    """
    parser = _parser(description)
    given = parser.parse_args()
    for name, lowest in (("mine", 1), ("clips", 0), ("objects", 0), ("workers", 1)):
        count = getattr(given, name)
        if count < lowest:
            parser.error(f"expected --{name} of at least {lowest}, got {count}")
    for name, multiple in (("positives", FRAMES), ("negatives", 2 * FRAMES)):
        if (count := getattr(given, name)) < multiple or count % multiple:
            parser.error(f"expected --{name} in multiples of {multiple}, got {count}")
    if given.steps is not None and given.steps < 1:
        parser.error(f"expected --steps of at least 1, got {given.steps}")
    try:
        augmentation = Augmentation(given.flip, given.blur, given.colour, given.scale)
        videos = mix(_request(given))
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    if given.mode == "auto":
        given.mode = best_mode()
    return given, _settings(given, videos, augmentation), videos


def _request(given: argparse.Namespace) -> Request:
    """Return which videos a command line asks for: rendered ones, collages if it has photos."""
    usual = [Source(name) for name in MADE[: 1 + bool(given.photos)]]
    return Request(
        sources=tuple(given.videos or usual),
        photos=tuple(given.photos),
        clips=given.clips,
        objects=given.objects,
        split=given.split,
        left_out=_names(given.leave_out),
        held_out=_names(given.held_out),
        tests=tuple(given.test),
        allow_overlap=given.allow_overlap,
        terms=given.terms,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _settings(given: argparse.Namespace, videos: Mixture, augmentation: Augmentation) -> Settings:
    return Settings(
        network=given.network,
        backbone=given.backbone,
        videos=len(videos.videos),
        fixed=given.fixed_backbone,
        pooling=given.pooling,
        sparse=given.sparse,
        padding=given.padding,
        embedding=given.embedding,
        accumulate=given.accumulate,
        mined=given.mine,
        positives=given.positives,
        negatives=given.negatives,
        embedding_mean=given.embedding_mean,
        augmentation=augmentation,
        cache=given.cache,
        seed=given.seed,
        data=tuple(videos.sources),
    )


def _parser(description: str) -> argparse.ArgumentParser:
    parser = arguments.parser("multidomain", description, MINUTES)
    add = parser.add_argument
    add("--steps", type=int, help="of training, in place of --minutes: the same weights each time")
    add("--validate-every", type=int, metavar="BATCHES", help="new ones; checkpoints come with it")
    add("--seed", type=int, default=0, help="of first weights, order of videos, boxes")
    add("--workers", type=int, default=1, help="processes that decode frames and draw boxes")
    add(
        "--mode", default="auto", choices=("auto", *MODES), help="of a fixed backbone, and numbers"
    )
    _add_network(parser)
    _add_videos(parser)
    former = {
        "--trunk": "--backbone",
        "--fixed-trunk": "--fixed-backbone",
        "--films": "--clips",
        "--things": "--objects",
        "--data": "--videos FOLDER",
    }
    arguments.add_renamed(parser, former)
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what is trained").add_argument
    add("--network", default="mdnet", choices=NETWORKS)
    add("--pooling", help="of boxes from the map, if not the network's own")
    add("--sparse", action="store_true", help="RT-MDNet's map at stride 16")
    add("--padding", type=float, default=ROI_PADDING, help="of RT-MDNet's boxes, in their sides")
    add("--embedding", type=float, default=0.0, help="weight of its loss")
    add("--embedding-mean", default="boxes", choices=MEANS, help="that its loss is averaged over")
    add("--accumulate", type=int, default=1, metavar="STEPS", help="before the weights move")
    add("--mine", type=int, default=1, metavar="TIMES", help="negatives drawn for one")
    add("--positives", type=int, default=POSITIVES, help="per batch of 8 frames")
    add("--negatives", type=int, default=NEGATIVES, help="per batch of 8 frames")
    add("--backbone", default="vggm", metavar="NAME", help="of the registry")
    add("--fixed-backbone", action="store_true", help="do not train its convolutions")
    add("--cache", type=float, default=CACHE, metavar="GIB", help="of kept features")


def _add_videos(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what it is trained on").add_argument
    add(
        "--videos",
        type=parse_source,
        nargs="+",
        metavar="SOURCE[:WEIGHT]",
        help="rendered, collages, or a folder; without a weight, every video weighs 1",
    )
    add("--split", default="all", help="of folders: otb100 and the like, or names of sequences")
    add("--clips", type=int, default=CLIPS, help="of every rendered scene")
    add("--objects", type=int, default=OBJECTS, help="that move over photographs, in collages")
    add("--held-out", default="", metavar="NAMES", help="of sequences, or 'eighth': to choose by")
    add("--leave-out", default="", metavar="NAMES", help="of sequences that are not used")
    add("--test", type=expanded, nargs="*", default=[], metavar="FOLDER", help="not to overlap")
    add("--allow-overlap", action="store_true", help="with tests; the weights then say so")
    add("--terms", default="not known", help="of data sets that are not known by name")
    usual = Augmentation()
    add("--flip", type=float, default=usual.flip, help="share of batches that are mirrored")
    add("--blur", type=float, default=usual.blur, help="sigma up to which half are blurred")
    add("--colour", type=float, default=usual.colour, help="deviation of brightness, doublings")
    add("--scale", type=float, default=usual.scale, help="by which frames are resized, up or down")
