"""Where a tracker departs from its paper, and what that measures: a chapter's table.

data/departures.json holds what was measured; benchmarks/departures.py writes it.
"""

import json
from typing import Any

import numpy as np

from trackerlib import trackers
from trackerlib.paths import shipped

__all__ = ["measured", "table"]

NOT_MEASURED = ""


def table(name: str) -> list[dict[str, Any]]:
    """Return the rows of a tracker's table: field, paper, authors, here, measured, source, why.

    name  of trackers.TRACKERS

    `measured` is what the tracker has with the field as in the paper (as in the authors' code
    where the paper leaves it open) less what it has by default: AUC and time per frame.
    """
    spec = trackers.parse(name)
    assert isinstance(spec, trackers.Spec)
    effects = {field: row["effect"] for row in measured(name) for field in _changed(row, name)}
    return [
        {
            "field": departure.field,
            "paper": departure.paper,
            "authors": departure.authors,
            "here": getattr(spec.config, departure.field),
            "measured": effects.get(departure.field, NOT_MEASURED),
            "source": departure.source,
            "why": departure.why,
        }
        for departure in trackers.departures(name)
    ]


def measured(name: str) -> list[dict[str, Any]]:
    """Return what was measured of a tracker and its variants, the default first.

    Of each: tracker (its specification); seeds; AUC and precision, means over them; spread, the
    standard deviation of AUC over seeds; ms per frame, the median over seeds, which a busy
    machine disturbs least; effect, in words, against the default.
    """
    rows = json.loads(shipped("departures.json").read_text())["measured"]
    means = [_means(row) for row in rows if row["row"].partition(":")[0] == name]
    base = next((row for row in means if row["tracker"] == name), None)
    return [row | {"effect": _effect(row, base)} for row in means]


def _means(row: dict[str, Any]) -> dict[str, Any]:
    aucs = row["auc"]["seeds"]
    return {
        "tracker": row["row"],
        "seeds": len(aucs),
        "AUC": float(np.mean(aucs)),
        "spread": float(np.std(aucs, ddof=1)) if len(aucs) > 1 else float("nan"),
        "precision": float(np.mean(row["precision20"]["seeds"])),
        "ms": float(np.median(row["milliseconds"])),
    }


def _effect(row: dict[str, Any], base: dict[str, Any] | None) -> str:
    if base is None or row is base:
        return NOT_MEASURED
    auc, time = row["AUC"] - base["AUC"], row["ms"] / base["ms"]
    seeds = f"seeds ± {row['spread']:.3f}" if row["seeds"] > 1 else "one seed"
    return f"AUC {auc:+.3f} ({seeds}), time × {time:.2f}"


def _changed(row: dict[str, Any], name: str) -> list[str]:
    """Return the fields in which a measured variant differs from the tracker."""
    default, settings = trackers.parse(name).settings(), trackers.parse(row["tracker"]).settings()
    return [field for field in settings if settings[field] != default[field]]
