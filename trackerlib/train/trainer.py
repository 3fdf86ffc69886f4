"""The loop of every offline training: steps, a schedule, validation, checkpoints, curves.

A training module brings a `Task`, which is all that is its own: the data, the network, one
training step, validation. The `Trainer` does the rest, in one folder:

    trainer = Trainer(task, folder, Config(seconds=1200, warm_up=50, validate_every=100))
    if not trainer.resume():
        trainer.validate()  # before the first step
    trainer.fit(task.batches(seed=trainer.step))

The folder then holds checkpoint.pt, from which a stopped training resumes, the curves in
loss.png, and what the task exports. A training of so many steps gives the same weights, to the
bit, whether it was killed on the way or not, if its batches are the same from any step on; one
of so many seconds does not, as its learning rate follows the clock.

[1] Goyal et al.: Accurate, large minibatch SGD: training ImageNet in 1 hour. 2017,
    section 2.2: the learning rate begins low and rises linearly.
[2] Loshchilov, Hutter: SGDR: stochastic gradient descent with warm restarts. ICLR 2017,
    equation 5: then it falls as half a cosine.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from time import monotonic
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from trackerlib.paths import draft_of, remove_drafts
from trackerlib.weights.registry import STATED

__all__ = ["Config", "Losses", "Task", "Trainer", "export", "plot_history"]

VERSION = 3  # of the checkpoint's layout
PARTS = {"training": ":", "held_out": "-"}  # of a point of the history -> line style
BAR = (  # of tqdm, once the unit is in it
    "{{percentage:3.0f}}%|{{bar}}| {{n:.0f}} of {{total:.0f}} {unit}, {{remaining}} left"
    "{{postfix}}"
)

Losses = dict[str, Tensor]  # "loss", or "quantity/line" where a plot has several lines


class Task(Protocol):
    """What a training module brings.

    settings   what a checkpoint must agree with
    modules    name -> what is trained; a checkpoint holds its state
    optimizer  of groups of one parameter, each with its `max_lr`
    """

    settings: dict[str, Any]
    modules: dict[str, nn.Module]
    optimizer: torch.optim.Optimizer

    def training_step(self, batch: Any, step: int) -> tuple[Tensor, Losses]:
        """Return the loss () whose gradient the weights follow, and what the curves show.

        step  number of steps before this one
        """
        ...

    def validate(self) -> Losses:
        """Return what the curves show of the held-out set."""
        ...

    def export(self, folder: Path) -> None:
        """Write the weights as others load them."""


@dataclass(frozen=True)
class Config:
    """How a training goes."""

    seconds: float  # of training steps, in all runs of a folder together
    warm_up: int  # steps until the learning rate is at its maximum [1]
    validate_every: int  # steps
    accumulate: int = 1  # steps whose gradients are summed before the weights move
    max_grad_norm: float | None = None  # of all gradients together
    steps: int | None = None  # in all runs together, in place of `seconds`
    best: str | None = None  # held-out quantity whose lowest point is exported; None: the last


class Trainer:
    """Trains a task in a folder until its time is spent.

    step     training steps so far
    elapsed  seconds that they took; validation and checkpoints do not count
    history  points of the curves: step, minutes, name -> value of either of PARTS, and speed
    best     step and value of the exported point, where one is chosen by its value
    waited   attribute, a function: what is to be said of the wait for data since it was called
    """

    def __init__(self, task: Task, folder: Path, config: Config):
        self.task = task
        self.folder = folder
        self.config = config
        self.step = 0
        self.elapsed = 0.0
        self.history: list[dict[str, Any]] = []
        self.best: tuple[int, float] | None = None
        self.since = 0, 0.0  # step and elapsed of the point before
        self.waited: Callable[[], dict[str, float]] = dict

    @property
    def progress(self) -> float:
        """Return which share of the training is done, 0 to 1."""
        if self.config.steps is not None:
            return min(self.step / self.config.steps, 1)
        return min(self.elapsed / self.config.seconds, 1) if self.config.seconds > 0 else 1

    @property
    def checkpoint(self) -> Path:
        """Return the file that a stopped training resumes from."""
        return self.folder / "checkpoint.pt"

    def fit(self, batches: Iterator[Any]) -> None:
        """Train on endless batches until time or steps are spent; validate and save on the way."""
        from tqdm import tqdm

        whole = self.config.steps or self.config.seconds
        unit = "steps" if self.config.steps else "s"
        left = max(whole * (1 - self.progress), 0)
        recent: list[Losses] = []
        with tqdm(total=left, bar_format=BAR.format(unit=unit), file=sys.stderr) as bar:
            while self.progress < 1:
                # Waiting for data counts: a budget is what passes on the clock.
                started = monotonic()
                recent.append(self.training_step(next(batches)))
                seconds = monotonic() - started
                self.elapsed += seconds
                bar.set_postfix_str(f"step {self.step}", refresh=False)
                bar.update(min(1 if self.config.steps else seconds, left - bar.n))
                if len(recent) == self.config.validate_every:
                    self.validate(recent)
                    recent = []
        if recent:
            self.validate(recent)

    def training_step(self, batch: Any) -> Losses:
        """Take one step on a batch -> what the curves show of it, without gradients.

        Raises FloatingPointError for a loss that is no number: what follows would be none either.
        """
        loss, losses = self.task.training_step(batch, self.step)
        if not loss.isfinite():
            raise FloatingPointError(
                f"trainer: expected a finite loss, got {loss.item()} at step {self.step}; "
                f"{self.checkpoint} is of an earlier step. Resume with a lower learning rate, or "
                "with --mode float32"
            )
        loss.backward()
        self.step += 1
        # With accumulate = 3 the weights move after steps 3, 6, 9: gradients add up between.
        if self.step % self.config.accumulate == 0:
            self._update_weights()
        return {name: value.detach() for name, value in losses.items()}

    def _update_weights(self) -> None:
        optimizer, factor = self.task.optimizer, self.lr_factor()
        for group in optimizer.param_groups:
            group["lr"] = group["max_lr"] * factor
        if self.config.max_grad_norm is not None:
            parameters = [group["params"][0] for group in optimizer.param_groups]
            clip_grad_norm_(parameters, self.config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()

    def lr_factor(self) -> float:
        """Return the learning rate as a share of its maximum: a linear warm-up, half a cosine.

        It falls with the time that is spent, unless the steps are given: how many there will be
        depends on the machine. At step 50 of a warm-up of 100, after half of the time, it is
        0.5 * 0.5.
        """
        cosine = (1 + math.cos(math.pi * self.progress)) / 2
        return min(1, self.step / self.config.warm_up) * cosine

    def validate(self, recent: list[Losses] | None = None) -> None:
        """Validate, print a point of the history and save.

        recent  of the training steps since the point before, which are averaged
        """
        held_out = _mean([self.task.validate()])
        point = {
            "step": self.step,
            "minutes": round(self.elapsed / 60, 2),
            "training": _mean(recent or []),
            "held_out": held_out,
            "speed": self._speed(),
        }
        self.history.append(point)
        _print_beside_bar(json.dumps(point))
        self.save(self._is_best(held_out))

    def _speed(self) -> dict[str, float]:
        """Return steps per second since the point before, and what is said of the wait."""
        steps, seconds = self.step - self.since[0], self.elapsed - self.since[1]
        self.since = self.step, self.elapsed
        if not steps or seconds <= 0:
            return {}
        return {"steps_per_second": round(steps / seconds, 2)} | self.waited()

    def _is_best(self, held_out: Mapping[str, float]) -> bool:
        """Whether no point had a lower value of what chooses; weights at step 0 are no choice."""
        if self.config.best is None or self.step == 0:
            return True
        value = held_out[self.config.best]
        if self.best is not None and value >= self.best[1]:
            return False
        self.best = self.step, value
        return True

    def save(self, exported: bool = True) -> None:
        """Write the checkpoint, the curves and the task's weights, each whole or not at all.

        exported  whether the weights are written too
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if exported:  # before the checkpoint, which then does not know better weights than these
            self.task.export(self.folder)
        state = {
            "version": VERSION,
            "settings": self.task.settings,
            "step": self.step,
            "elapsed": self.elapsed,
            "history": self.history,
            "best": self.best,
            "gradients": self._gradients(),
            "optimizer": self.task.optimizer.state_dict(),
            "modules": {name: part.state_dict() for name, part in self.task.modules.items()},
        }
        with draft_of(self.checkpoint) as draft:
            torch.save(state, draft)
        plot_history(self.history, self.folder / "loss.png")

    def _gradients(self) -> list[Tensor | None]:
        """Return what is summed so far of gradients that have not moved the weights yet."""
        return [group["params"][0].grad for group in self.task.optimizer.param_groups]

    def resume(self) -> bool:
        """Go on from the folder's checkpoint -> whether there is one.

        Raises ValueError, with the cure, if it is damaged, of another layout, or of other
        settings.
        """
        remove_drafts(self.checkpoint)  # of a run that was killed while it wrote
        if not self.checkpoint.exists():
            return False
        state = self._read()
        for name, module in self.task.modules.items():
            module.load_state_dict(state["modules"][name])
        self.task.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.elapsed = state["elapsed"]
        self.history = state["history"]
        self.best = state["best"]
        self.since = self.step, self.elapsed
        for group, gradient in zip(
            self.task.optimizer.param_groups, state["gradients"], strict=True
        ):
            group["params"][0].grad = gradient
        return True

    def _read(self) -> dict[str, Any]:
        module = type(self.task).__module__.split(".")[-1]
        anew = "remove it to train from the start, or choose another folder"
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError) as error:
            raise ValueError(f"{module}: {self.checkpoint} is damaged; {anew}") from error
        if state.get("version") != VERSION:
            raise ValueError(
                f"{module}: {self.checkpoint} is of an earlier version of this library, whose "
                f"checkpoints had another layout; {anew}"
            )
        if state["settings"] != self.task.settings:
            raise ValueError(
                f"{module}: {self.checkpoint} is of {state['settings']}, asked for was "
                f"{self.task.settings}; choose another folder"
            )
        return state


def _mean(losses: list[Losses]) -> dict[str, float]:
    """Return the mean over the steps of every name: two of {"loss": 1} and {"loss": 3} -> 2."""
    names = losses[0] if losses else ()
    return {name: float(torch.stack([each[name] for each in losses]).mean()) for name in names}


def _print_beside_bar(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line)  # print would leave a piece of the progress bar in the line
    sys.stdout.flush()


def export(
    state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write tensors in half precision as safetensors, whole or not at all.

    metadata  fields of the registry's entry, of which the file is to tell, as JSON
    """
    from safetensors.torch import save_file

    half = {name: tensor.detach().half().cpu().contiguous() for name, tensor in state.items()}
    with draft_of(path) as draft:
        # Of several metadata the order varies, and with it the file's hash; so there is one.
        save_file(half, draft, {STATED: json.dumps(dict(metadata))} if metadata else None)


def plot_history(history: list[dict[str, Any]], path: Path) -> None:
    """Draw a plot of every quantity over the steps: training dotted, held-out set solid.

    history  as `Trainer.history`; "objectness/conv1" is the line conv1 of the plot objectness
    """
    from matplotlib.figure import Figure

    # As a dictionary keeps the order of what is put in first, and nothing twice.
    names = list(dict.fromkeys(n for point in history for part in PARTS for n in point[part]))
    quantities = list(dict.fromkeys(name.partition("/")[0] for name in names))
    lines = list(dict.fromkeys(name.partition("/")[2] for name in names))
    figure = Figure(figsize=(4.5 * len(quantities), 4), layout="constrained")
    plots = figure.subplots(1, len(quantities), squeeze=False)[0]
    for name in names:
        quantity, _, line = name.partition("/")
        axes = plots[quantities.index(quantity)]
        for part, style in PARTS.items():
            points = [(p["step"], p[part][name]) for p in history if name in p[part]]
            if points:
                label = f"{line} {part.replace('_', '-')}".strip()
                colour = f"C{lines.index(line)}"
                axes.plot(*zip(*points, strict=True), style, color=colour, label=label)
    for axes, quantity in zip(plots, quantities, strict=True):
        axes.set(xlabel="step", ylabel=quantity, ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    with draft_of(path) as draft:
        figure.savefig(draft, format="png", dpi=100)
