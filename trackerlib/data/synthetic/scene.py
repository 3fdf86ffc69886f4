"""What a sequence shows and how: a scene is a description, `renderer` turns it into frames."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from trackerlib.data.synthetic.actors import Patch
from trackerlib.data.synthetic.motion import Curve, scale, shift, through, turn


class Model(Protocol):
    """Anything in actors.py."""

    def patches(self, f: float) -> list[Patch]:
        """Return the textured quadrilaterals at moment f, back to front."""


SMALL, LARGE = (320, 240), (480, 360)  # width, height of a frame


@dataclass(frozen=True)
class Shadow:
    """What an actor darkens: its own outline, moved, squashed and blurred.

    dx, dy    pixels
    squash    1 for a wall or table seen face on, small or negative for the ground
    lean      pixels to the side per pixel of height
    strength  light taken away, 0 to 1
    blur      pixels
    """

    dx: float = 6.0
    dy: float = 6.0
    squash: float = 1.0
    lean: float = 0.0
    strength: float = 0.5
    blur: float = 4.0

    def matrix(self, x: float, y: float) -> np.ndarray:
        """Return the map (3, 3) from outline to shadow for an actor whose origin is at x, y."""
        fall = np.array([[1, self.lean, self.dx], [0, self.squash, self.dy], [0, 0, 1]])
        return shift(x, y) @ fall @ shift(-x, -y)


@dataclass(frozen=True)
class Actor:
    """A model on its path.

    path   moment -> x, y, scale, degrees in the world
    depth  how much of the camera's travel it shows: 1 with the target, below 1
           farther, above 1 nearer
    """

    model: Model
    path: Curve
    shadow: Shadow | None = None
    depth: float = 1.0

    def matrix(self, f: float) -> np.ndarray:
        """Return the map (3, 3) from the model to the world."""
        x, y, size, degrees = self.path(f)
        return shift(x, y) @ turn(degrees) @ scale(size)


@dataclass(frozen=True)
class Camera:
    """moves: moment -> x, y in pixels from home, zoom, roll in degrees."""

    moves: Curve = field(default_factory=lambda: through((0, 0, 0, 1, 0)))

    def matrix(self, f: float, size: tuple[int, int], depth: float) -> np.ndarray:
        """Return the map (3, 3) from the world at a depth to the frame."""
        x, y, zoom, roll = self.moves(f)
        centre = np.array(size) / 2
        return (
            shift(*centre)
            @ turn(roll)
            @ scale(zoom)
            @ shift(*(-centre - depth * np.array([x, y])))
        )


@dataclass(frozen=True)
class Sensor:
    """What is behind the lens.

    shutter   part of a frame's time that it is open
    noise     standard deviation in grey levels
    vignette  light lost in the corners, 0 to 1
    quality   of the JPEG
    grey      black and white
    """

    shutter: float = 0.4
    noise: float = 2.0
    vignette: float = 0.25
    quality: int = 88
    grey: bool = False


@dataclass(frozen=True)
class Backdrop:
    """A picture that fills the view and repeats mirrored beyond its edges.

    image   (h, w, 3) linear light, in world pixels
    origin  the picture's point x, y that is the world's origin
    """

    image: np.ndarray
    origin: tuple[int, int]
    depth: float = 1.0


Lights = Callable[[float, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scene:
    """One sequence, ready to be rendered.

    size    width, height of a frame
    behind  actors between backdrop and target, the farthest first
    front   actors between target and camera
    lights  (moment, x, y in 0 to 1) -> factor of the light, (h, w) or (h, w, 3)
    """

    name: str
    size: tuple[int, int]
    frames: int
    backdrop: Backdrop
    target: Actor
    attributes: tuple[str, ...]
    behind: tuple[Actor, ...] = ()
    front: tuple[Actor, ...] = ()
    camera: Camera = field(default_factory=Camera)
    lights: Lights | None = None
    sensor: Sensor = field(default_factory=Sensor)
