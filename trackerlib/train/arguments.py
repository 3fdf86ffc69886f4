"""Command-line arguments that all trainings share."""

import argparse
from typing import Any

from trackerlib.paths import expanded

__all__ = ["add_renamed", "parser"]


def parser(module: str, description: str, minutes: float) -> argparse.ArgumentParser:
    """Return a parser that knows where pictures lie, where to write, and how long to train.

    module   of trackerlib.train
    minutes  of training, unless said otherwise
    """
    made = argparse.ArgumentParser(f"python -m trackerlib.train.{module}", description=description)
    made.add_argument(
        "--photos", type=expanded, nargs="*", default=[], metavar="FOLDER", help="of pictures"
    )
    made.add_argument(
        "--out", type=expanded, required=True, metavar="FOLDER", help="of checkpoint and curves"
    )
    made.add_argument(
        "--minutes", type=float, default=minutes, help="of training, resumed runs included"
    )
    return made


def add_renamed(parser: argparse.ArgumentParser, former: dict[str, str]) -> None:
    """Make a flag's former name an error that says what it is called now.

    former  former name -> name
    """
    for name, now in former.items():
        # A value may follow the former name: it is taken, so that the error is about the name.
        parser.add_argument(
            name,
            action=_Renamed,
            const=now,
            nargs="?",
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


class _Renamed(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        parser.error(f"{option_string} is now called {self.const}")
