"""Each tracker of a paper as its paper prints it, and as its authors' code runs it."""

import dataclasses
from typing import get_args, get_type_hints

import numpy as np
import pytest
from small_trackers import SPECIFICATIONS

from trackerlib.data.synthetic.dataset import Rendered
from trackerlib.data.synthetic.renderer import outline
from trackerlib.trackers import TRACKERS, departures, fdn, parse
from trackerlib.trackers.presets import OPEN, PRESETS, Departure, settings

PAPERS = [name for name in TRACKERS if departures(name)]
CASES = [(name, departure) for name in PAPERS for departure in departures(name)]
BUNDLED = {
    "backbone": "vggm",
    "levels": "conv1+conv2+conv3",
    "adaptation": "vggm-msdat",
    "head": "random",
}


def config_class(name):
    return type(parse(name).config)


def defaults(name):
    return {field.name: field.default for field in dataclasses.fields(config_class(name))}


def test_papers_have_presets():
    assert {"mdnet", "fdn", "rtmdnet"} <= set(PAPERS)
    assert not {"identity", "kcf", "opencv"} & set(PAPERS)


@pytest.mark.parametrize(("name", "departure"), CASES, ids=lambda x: getattr(x, "field", x))
def test_a_departure_is_a_field_with_other_values_and_a_source(name, departure):
    assert departure.field in defaults(name)
    assert departure.source.strip() and departure.why.strip()
    kinds = get_type_hints(config_class(name))[departure.field]
    kinds = get_args(kinds) or (kinds,)
    known = [value for value in (departure.paper, departure.authors) if value is not OPEN]
    assert all(type(value) in kinds for value in known)
    default = defaults(name)[departure.field]
    assert not known or any(value != default for value in known)


@pytest.mark.parametrize("name", PAPERS)
def test_a_field_departs_once(name):
    fields = [departure.field for departure in departures(name)]
    assert len(set(fields)) == len(fields)


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_the_table_and_otherwise_the_default(name, preset):
    config = dataclasses.asdict(parse(f"{name}:preset={preset}").config)
    values = {departure.field: departure.value(preset) for departure in departures(name)}
    known = {field: value for field, value in values.items() if value is not OPEN}
    assert config == defaults(name) | known
    assert known


@pytest.mark.parametrize("name", PAPERS)
def test_a_field_of_the_specification_overrides_its_preset(name):
    field, default = next(iter(defaults(name).items()))
    for text in (f"preset=authors,{field}={default}", f"{field}={default},preset=authors"):
        assert getattr(parse(f"{name}:{text}").config, field) == default
    changed = parse(f"{name}:mode=float32,preset=paper").config
    assert changed == dataclasses.replace(parse(f"{name}:preset=paper").config, mode="float32")


def test_where_a_source_is_silent_the_other_one_counts():
    both = Departure("a", "section 1", "because", paper=1, authors=2)
    assert (both.value("paper"), both.value("authors")) == (1, 2)
    text = Departure("b", "section 1", "because", paper=3)
    code = Departure("c", "a file", "because", authors=4)
    neither = Departure("d", "a file", "because")
    for preset, first in (("paper", 1), ("authors", 2)):
        found = settings("some", preset, (both, text, code, neither))
        assert found == {"a": first, "b": 3, "c": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mdnet:preset=papers", r"expected preset paper or authors of mdnet, got 'papers'"),
        ("mdnet:preset=", r"expected preset paper or authors of mdnet, got ''"),
        ("mdnet:preset", r"expected field=value .*, got 'preset' in 'mdnet:preset'"),
        ("kcf:preset=paper", r"for preset=paper, got kcf, which has no presets; leave it out"),
        ("mdnet:preset=paper,lrs=1", r"field among candidates.*, got 'lrs=1'"),
        ("mdnet:preset=paper,lr=fast", r"a value of type float, got 'fast'"),
    ],
)
def test_what_is_no_preset_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_preset_without_its_weights_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKERLIB_WEIGHTS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"weights fetch mdnet-vot-otb-matlab"):
        parse("mdnet:preset=paper").build()


@pytest.fixture(scope="module")
def sequences():
    """Two frames and the first box of two sequences of the embedded benchmark."""
    clips = [Rendered(name, 1.0) for name in ("Saucer", "Visitor")]
    return [([clip[i] for i in range(2)], outline(clip.scene, 0)[0]) for clip in clips]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", PAPERS)
def test_a_preset_tracks(name, preset, sequences, monkeypatch):
    """With the bundled weights and few of everything."""
    monkeypatch.setattr(fdn, "SHORT", 200)  # pixels of a frame: a ninth of the time
    fields = defaults(name)
    few = SPECIFICATIONS[name].partition(":")[2]
    bundled = ",".join(f"{key}={value}" for key, value in BUNDLED.items() if key in fields)
    tracker = parse(f"{name}:preset={preset},{few},{bundled}").build(seed=1)
    for frames, box in sequences:
        tracker.init(frames[0], box)
        for frame in frames[1:]:
            found = tracker.update(frame)
            assert found.shape == (4,) and np.isfinite(found).all() and (found[2:] > 0).all()
