"""What trainings of networks on videos did: their curves, and how far each layer moved.

    python -m benchmarks.training --json data/training.json "RT-MDNet, real=FOLDER" ...

FOLDER is the --out of `trackerlib.train.multidomain`, or of `trackerlib.train.distill`, whose
relative errors are taken before the first step and after the last. A layer's move is the
distance of its weights from those that the training began with, as a share of their norm; fully
connected layers begin at random and have none.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from trackerlib import weights

ABOUT = "benchmarks/training.py: curves of trainings, and how far layers of backbones moved"


def training(folder: Path) -> dict[str, Any]:
    """Return what the checkpoint of a folder tells."""
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    settings, history = state["settings"], state["history"]
    if "fixed" not in settings:  # a distillation
        first, last = (
            {name: round(v, 4) for name, v in history[i]["held_out"].items()} for i in (0, -1)
        )
        return {"steps": state["step"], "before": first, "after": last}
    row = {
        "minutes": round(state["elapsed"] / 60, 1),
        "steps": state["step"],
        "kept": state["best"][0],
        "fixed": settings["fixed"],
        "history": [
            {"step": point["step"]} | {k: round(v, 4) for k, v in point["held_out"].items()}
            for point in history
        ],
    }
    if not settings["fixed"]:
        row["moved"] = moved(settings["backbone"], state["modules"]["backbone"])
    return row


def moved(name: str, now: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return by how much the weights of each layer differ from the registry's."""
    before = weights.load(name).state_dict()
    shares = {key: (now[key] - start).norm() / start.norm() for key, start in before.items()}
    return {key: float(f"{share:.3g}") for key, share in shares.items() if "weight" in key}


def main() -> None:
    """Read the folders and write the file; rows of other names stay."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trainings", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--json", type=Path, default="build/training.json")
    given = parser.parse_args()
    known = json.loads(given.json.read_text()) if given.json.exists() else {}
    kinds = {"trainings": known.get("trainings", {}), "distilled": known.get("distilled", {})}
    for text in given.trainings:
        name, _, folder = text.rpartition("=")
        row = training(Path(folder))
        kinds["distilled" if "before" in row else "trainings"][name] = row
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps({"about": ABOUT, **kinds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
