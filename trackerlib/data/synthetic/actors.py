"""What an actor can be: flat, deforming, walking, a box or a ball.

A model has a method `patches(f)`: textured quadrilaterals in the actor's own pixels,
back to front, at moment f. The actor's origin is where its path leads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from trackerlib.data.synthetic.motion import scale, shift, turn
from trackerlib.data.synthetic.textures import OVERSAMPLING, Texture, opaque, rounded, shrink

LIGHT = np.array([-0.45, -0.6, -0.66])  # towards the lamp: left, above, on the viewer's side


@dataclass(frozen=True, eq=False)
class Patch:
    """A texture and the (3, 3) map from its pixels to the actor's; brightness darkens it."""

    texture: Texture
    matrix: np.ndarray
    brightness: float = 1.0


@dataclass(frozen=True, eq=False)
class Flat:
    """A foreground crop that moves as a whole."""

    texture: Texture

    def patches(self, f: float) -> list[Patch]:
        """Return the patches at moment f, back to front."""
        x, y = self.texture.origin
        return [Patch(self.texture, scale(1 / OVERSAMPLING) @ shift(-x, -y))]


@dataclass(frozen=True, eq=False)
class Soft:
    """A foreground crop that bends and bulges: waves run through it.

    amplitude  maximal displacement as a fraction of the height
    period     frames per wave
    """

    texture: Texture
    amplitude: float
    period: float

    def patches(self, f: float) -> list[Patch]:
        """Return the patches at moment f, back to front."""
        h, w = self.texture.rgba.shape[:2]
        pad = int(self.amplitude * h * 1.5) + 2
        y, x = np.mgrid[-pad : h + pad, -pad : w + pad].astype(np.float32)
        u, v, t = x / h, y / h, np.float32(2 * np.pi * f / self.period)
        reach = np.float32(self.amplitude * h)
        dx = reach * (np.sin(4.0 * v + t) + 0.5 * np.sin(7.0 * u - 1.7 * t))
        dy = reach * (np.sin(4.5 * u - 0.8 * t) + 0.5 * np.sin(6.0 * v + 1.3 * t))
        warped = cv2.remap(self.texture.rgba, x + dx, y + dy, cv2.INTER_LINEAR)
        cx, cy = self.texture.origin
        return [
            Patch(Texture(warped, (0, 0)), scale(1 / OVERSAMPLING) @ shift(-cx - pad, -cy - pad))
        ]


@dataclass(frozen=True, eq=False)
class Person:
    """Someone on two legs; origin between the feet, lengths as fractions of the height.

    bust    head and chest, bottom at the waist
    cloth   (h, w, 3) photograph of what legs and sleeves are made of
    height  pixels from sole to crown
    pose    moment -> degrees of (left hip, left knee, right hip, right knee,
            left shoulder, right shoulder, lean)
    """

    bust: Texture
    cloth: np.ndarray
    height: float
    pose: Callable[[float], np.ndarray]
    limbs: dict[str, Texture] = field(init=False)

    HIP, SHOULDER, LEG, ARM, APART = 0.5, 0.75, 0.25, 0.34, 0.055

    def __post_init__(self) -> None:
        sizes = {"thigh": (0.1, 0.3, 0.75), "shin": (0.085, 0.29, 0.7), "arm": (0.075, 0.4, 0.75)}
        limbs = {name: self._limb(self.cloth, *size) for name, size in sizes.items()}
        limbs["shoe"] = self._limb(self.cloth * 0.08, 0.055, 0.13, 0.9)
        object.__setattr__(self, "limbs", limbs)

    def _limb(self, image: np.ndarray, width: float, length: float, taper: float) -> Texture:
        w, h = (max(4, round(side * self.height * OVERSAMPLING)) for side in (width, length))
        return Texture(rounded(image, w, h, taper), (w / 2, w / 2))

    def patches(self, f: float) -> list[Patch]:
        """Return the patches at moment f, back to front."""
        *legs, left_arm, right_arm, lean = self.pose(f)
        legs = [self._leg(-self.APART, *legs[:2]), self._leg(self.APART, *legs[2:])]
        ground = max(foot for _, foot in legs)
        body = shift(0, -self.HIP) @ turn(lean)
        waist = (self.bust, body @ shift(0, 0.03) @ scale(1 / self.height))
        chest = shift(0, self.HIP - self.SHOULDER)
        far = ("arm", body @ chest @ shift(-0.10, 0.02) @ turn(left_arm))
        near = ("arm", body @ chest @ shift(0.10, 0.02) @ turn(right_arm))
        parts = [far, *legs[0][0], *legs[1][0], waist, near]
        return [self._patch(part, matrix, ground) for part, matrix in parts]

    def _leg(
        self, x: float, hip: float, knee: float
    ) -> tuple[list[tuple[str, np.ndarray]], float]:
        """Return the three parts of a leg, and how low its sole reaches."""
        thigh = shift(x, -self.HIP) @ turn(hip)
        shin = thigh @ shift(0, self.LEG) @ turn(knee)
        shoe = shin @ shift(0.01, self.LEG - 0.03) @ turn(-hip - knee - 75)
        return [("thigh", thigh), ("shin", shin), ("shoe", shoe)], shoe[1, 2] + 0.03

    def _patch(self, part: str | Texture, matrix: np.ndarray, ground: float) -> Patch:
        texture = self.limbs[part] if isinstance(part, str) else part
        unit = 1 if isinstance(part, Texture) else 1 / self.height
        x, y = texture.origin
        place = scale(self.height) @ shift(0, -ground) @ matrix
        return Patch(texture, place @ scale(unit / OVERSAMPLING) @ shift(-x, -y))


def walking(
    period: float, swing: float = 26.0, lean: float = 3.0, phase: float = 0.0
) -> Callable[[float], np.ndarray]:
    """Return a gait for Person: `period` frames for two steps, legs swinging `swing` degrees."""

    def pose(f: float) -> np.ndarray:
        t = 2 * np.pi * (f / period + phase)
        left, right = np.sin(t), -np.sin(t)
        knees = np.clip([np.cos(t), -np.cos(t)], 0, 1) * 1.6 * swing
        arms = np.array([-left, -right]) * 0.9 * swing
        return np.array([-swing * left, knees[0], -swing * right, knees[1], *arms, lean])

    return pose


@dataclass(frozen=True, eq=False)
class Carton:
    """A box in three dimensions; origin at its centre.

    faces  photographs of the front, right, back and left side, then of the top
    size   width, height, depth in pixels
    angles moment -> yaw, pitch in degrees
    """

    faces: tuple[Texture, ...]
    size: tuple[float, float, float]
    angles: Callable[[float], np.ndarray]

    FOCAL = 5.0  # distance of the eye, in heights

    def patches(self, f: float) -> list[Patch]:
        """Return the patches at moment f, back to front."""
        yaw, pitch = self.angles(f)
        spin = _about_x(pitch) @ _about_y(yaw)
        return [
            patch
            for texture, quarter in zip(self.faces, (0, 1, 2, 3, None), strict=True)
            if (patch := self._face(texture, quarter, spin)) is not None
        ]

    def _face(self, texture: Texture, quarter: int | None, spin: np.ndarray) -> Patch | None:
        """Return a side (quarter turns from the front) or the top (None); None if it is hidden."""
        w, h, d = np.array(self.size) / 2
        if quarter is None:
            turned, half = _about_x(90), (w, d, h)
        else:
            turned, half = _about_y(-90 * quarter), (w, h, d) if quarter % 2 == 0 else (d, h, w)
        square = np.array([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1]])
        corners = square * half @ (spin @ turned).T
        eye = self.FOCAL * self.size[1]
        flat = corners[:, :2] * (eye / (eye + corners[:, 2:]))
        first, second = flat[1] - flat[0], flat[3] - flat[0]
        if first[0] * second[1] - first[1] * second[0] <= 0.5:
            return None
        rows, columns = texture.rgba.shape[:2]
        plan = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
        normal = spin @ turned @ [0, 0, -1]
        brightness = 0.3 + 0.8 * max(0.0, normal @ LIGHT)
        return Patch(
            texture, cv2.getPerspectiveTransform(plan, flat.astype(np.float32)), brightness
        )


@dataclass(frozen=True, eq=False)
class Ball:
    """A sphere wrapped in a photograph, lit from above; origin at its centre.

    radius  pixels
    angles  moment -> yaw, roll in degrees
    """

    image: np.ndarray
    radius: float
    angles: Callable[[float], np.ndarray]

    def patches(self, f: float) -> list[Patch]:
        """Return the patches at moment f, back to front."""
        yaw, roll = self.angles(f)
        r = self.radius * OVERSAMPLING
        side = int(np.ceil(r)) + 1
        y, x = (np.mgrid[-side:side, -side:side] + 0.5) / r
        z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
        on_ball = np.stack([x, y, -z], -1) @ (_about_z(roll) @ _about_y(yaw))
        shade = 0.25 + 0.8 * np.clip(np.stack([x, y, -z], -1) @ LIGHT, 0, 1)
        alpha = np.clip((1 - np.hypot(x, y)) * r, 0, 1)
        rgba = opaque((self._skin(on_ball) * shade[..., None]).astype(np.float32), alpha)
        return [Patch(Texture(rgba, (0, 0)), scale(1 / OVERSAMPLING) @ shift(-side, -side))]

    def _skin(self, points: np.ndarray) -> np.ndarray:
        """Sample the photograph, repeated mirrored, at points (h, w, 3) of the unit sphere."""
        h, w = self.image.shape[:2]
        longitude = np.abs(np.arctan2(points[..., 0], -points[..., 2])) / np.pi
        latitude = np.arccos(np.clip(points[..., 1], -1, 1)) / np.pi
        return cv2.remap(
            self.image,
            (longitude * (w - 1)).astype(np.float32),
            (latitude * (h - 1)).astype(np.float32),
            cv2.INTER_LINEAR,
        )


def _about_x(degrees: float) -> np.ndarray:
    rotation = np.eye(3)
    rotation[1:, 1:] = turn(degrees)[:2, :2]
    return rotation


def _about_y(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _about_z(degrees: float) -> np.ndarray:
    return turn(degrees)


def card(image: np.ndarray, height: float) -> Texture:
    """Return a solid photograph as a face of a box, `height` pixels high."""
    return shrink(opaque(image), height)
