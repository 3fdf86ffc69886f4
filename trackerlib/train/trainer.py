"""What every learning run has: a schedule, a curve, and a checkpoint to go on from."""

import json
import math
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor


class Course:
    """A run of so many seconds in a folder. A subclass adds what learns, and an `optimiser`.

    Each parameter of the optimiser is a group of its own, whose greatest rate is its `peak`.

    parts     attributes with a state, which a checkpoint holds
    warm_up   steps until the rate is at its greatest
    settings  what a checkpoint must agree with
    """

    parts: tuple[str, ...]
    warm_up: int

    def __init__(self, out: Path, seconds: float, **settings: Any):
        self.out, self.seconds, self.settings = out, seconds, settings
        self.step, self.spent, self.curve = 0, 0.0, []

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.pt"

    def descend(self, loss: Tensor, every: int = 1) -> None:
        """One step: a linear start of the rate, then half a cosine to zero.

        every  steps whose gradients are added before the weights move
        """
        loss.backward()
        self.step += 1
        if self.step % every:
            return
        progress = min(self.spent / self.seconds, 1)
        factor = min(1, self.step / self.warm_up) * (1 + math.cos(math.pi * progress)) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        self.optimiser.step()
        self.optimiser.zero_grad()

    def report(self, recent: list[Tensor], held_out: list) -> None:
        """Print a point of the curve and keep it."""
        point = {"step": self.step, "minutes": round(self.spent / 60, 2)}
        point |= {"taught": torch.stack(recent).mean(0).tolist(), "held_out": held_out}
        print(json.dumps(point), flush=True)
        self.curve.append(point)

    def write(self, **more: Any) -> None:
        """Write the checkpoint, whole or not at all."""
        draft = self.checkpoint.with_suffix(".draft")
        state = {name: getattr(self, name) for name in ("step", "spent", "curve", "settings")}
        states = {name: getattr(self, name).state_dict() for name in self.parts}
        torch.save(state | states | more, draft)
        os.replace(draft, self.checkpoint)

    def read(self) -> dict[str, Any]:
        """The checkpoint's content.

        Raises ValueError, with the cure, if it is damaged or of other settings.
        """
        where = type(self).__module__.split(".")[-1]
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError) as error:
            raise ValueError(
                f"{where}: {self.checkpoint} is damaged; remove it to begin anew, "
                "or choose another folder"
            ) from error
        if state["settings"] != self.settings:
            raise ValueError(
                f"{where}: {self.checkpoint} is of {state['settings']}, asked for was "
                f"{self.settings}; choose another folder"
            )
        return state

    def resume(self) -> None:
        """Go on where a stopped run was. Raises what `read` does."""
        state = self.read()
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])
        self.step, self.spent, self.curve = state["step"], state["spent"], state["curve"]
