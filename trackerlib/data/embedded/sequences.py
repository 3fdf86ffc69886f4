"""The benchmark's sequences, each a shot whose severity can be turned.

Severity 0 is the easy twin without the difficulty, 1 the benchmark's value.
Lengths are pixels of the frame, times are frames.
"""

from collections.abc import Callable

import numpy as np

from trackerlib.data.embedded.models import Ball, Carton, Flat, Person, Soft, card, walking
from trackerlib.data.embedded.motion import path, sway, through
from trackerlib.data.embedded.photos import crop, cutout, photo, portrait
from trackerlib.data.embedded.sets import backdrop, column, ground, street
from trackerlib.data.embedded.shot import Actor, Camera, Sensor, Shadow, Shot

SMALL, LARGE = (320, 240), (480, 360)
GROUND_SHADOW = Shadow(dx=4, dy=-2, squash=-0.18, lean=0.5, strength=0.45, blur=2.5)
TABLE_SHADOW = Shadow(dx=5, dy=7, strength=0.55, blur=6)
RUST, SAND, LAWN, ASPHALT = (
    (0.30, 0.12, 0.07),
    (0.42, 0.36, 0.27),
    (0.12, 0.22, 0.05),
    (0.2, 0.2, 0.21),
)

SHOTS: dict[str, Callable[[float], Shot]] = {}


def sequence(describe: Callable[[float], Shot]) -> Callable[[float], Shot]:
    """List a description under its name."""
    SHOTS[describe.__name__.capitalize()] = describe
    return describe


def hand_held(seed: int, reach: float = 2.0, moves=None) -> Camera:
    """A camera in someone's hands: `reach` pixels of sway on top of its moves."""
    tremble = sway(seed, 28, (reach, reach, 0.003 * reach, 0.15 * reach))
    moves = moves or through((0, 0, 0, 1, 0))
    return Camera(lambda f: moves(f) + tremble(f))


def astronaut(height: float, pose, sleeve: int = 60) -> Person:
    """The astronaut from head to foot."""
    bust = cutout("astronaut", 0.46 * height, (0.5, 1.0))
    return Person(bust, crop("astronaut", sleeve, 290, 40, 130), height, pose)


def wood() -> np.ndarray:
    """The bare part of the coffee table."""
    plank = crop("coffee", 470, 0, 130, 400).transpose(1, 0, 2)[::-1]
    return np.vstack([plank, plank[::-1, ::-1], plank])


@sequence
def spotlight(severity: float) -> Shot:
    """A speaker under lights that dim, flare and sweep across the stage."""
    head, bust = portrait("hopper_head", "hopper", 78)
    stroll = path((0, 110, 100), (30, 150, 104), (60, 215, 98), (89, 160, 102))
    nod = sway(1, 30, (3, 3, 0.02, 4))

    def lights(f, x, y):
        swell = 1.3 * np.sin(f / 8.5) + 0.6 * np.sin(f / 3.1)
        beam = np.exp(-((x - 0.5 - 0.5 * np.sin(f / 13)) ** 2 + (y - 0.4) ** 2) / 0.05)
        return np.exp2(severity * (swell - 1.2 + 2.2 * beam))

    def walk(f):
        return stroll(f) + nod(f)

    return Shot(
        "Spotlight", SMALL, 90,
        backdrop(crop("astronaut", 0, 0, 512, 250), SMALL, blur=5, depth=0.6),
        Actor(Flat(head), walk), ("IV", "IPR"),
        behind=(Actor(Flat(bust), walk),),
        camera=hand_held(2), lights=lights,
    )  # fmt: skip


@sequence
def ride(severity: float) -> Shot:
    """A motorcycle that comes from the end of the street right up to the camera."""
    model = Flat(cutout("motorcycle", 62, (0.5, 0.98)))

    def approach(f):
        x, y, size, lean = journey(f)
        return np.array([x, y, size**severity, lean])

    journey = path(
        (0, 90, 168, 0.62), (35, 180, 180, 0.9), (60, 290, 225, 1.5, 2), (99, 220, 318, 2.6, -3)
    )
    wall = ground("brick", RUST)
    return Shot(
        "Ride", LARGE, 100,
        street(photo("motorcycle")[:150, 60:], ground("gravel", ASPHALT), LARGE, 0.4),
        Actor(model, approach, Shadow(dy=2, dx=0, squash=0.12, strength=0.75, blur=5)), ("SV", "IPR"),
        camera=hand_held(3, 1.5),
    )  # fmt: skip


@sequence
def columns(severity: float) -> Shot:
    """A walker who passes behind pillars as wide as he is, and wider."""
    walker = astronaut(118, walking(26))
    stroll = path((0, 60, 210), (119, 420, 216))
    width = round(52 * severity)
    pillars = [
        Actor(column("brick", width, 420, SAND), path((0, x, 420)), depth=1.25)
        for x in (150, 250, 370)
        if width
    ]
    return Shot(
        "Columns", LARGE, 120,
        street(ground("brick", RUST), ground("gravel", SAND), LARGE, 0.45),
        Actor(walker, stroll, GROUND_SHADOW), ("OCC", "DEF"),
        front=tuple(pillars), camera=hand_held(4, 2.5),
    )  # fmt: skip


@sequence
def gymnast(severity: float) -> Shot:
    """Someone exercising: bends, lunges and swinging arms, hardly two frames alike."""

    def pose(f):
        t = f / 9
        hips = 38 * np.sin(t), -38 * np.sin(t + 0.6)
        knees = 45 * (1 - np.cos(2 * t)) / 2, 40 * (1 - np.cos(2 * t + 1)) / 2
        arms = 95 + 75 * np.sin(1.4 * t), -95 - 75 * np.sin(1.1 * t + 1)
        return severity * np.array(
            [hips[0], knees[0], hips[1], knees[1], *arms, 32 * np.sin(0.9 * t)]
        )

    drift = path((0, 150, 205), (30, 190, 200), (60, 140, 212), (89, 175, 208))
    return Shot(
        "Gymnast", SMALL, 90,
        street(photo("china")[60:300], ground("grass", LAWN), SMALL, 0.55),
        Actor(astronaut(112, pose), drift, GROUND_SHADOW), ("DEF", "IPR"),
        camera=hand_held(5),
    )  # fmt: skip


@sequence
def handheld(severity: float) -> Shot:
    """A cup filmed while running: the camera jerks, the shutter is long."""
    jerks = sway(7, 24, (38, 26, 0.03, 3))
    return Shot(
        "Handheld", LARGE, 90,
        backdrop(photo("motorcycle"), LARGE, blur=1),
        Actor(Flat(cutout("cup", 84)), path((0, 220, 200), (89, 270, 180)), TABLE_SHADOW), ("MB", "FM"),
        camera=Camera(lambda f: np.array([0, 0, 1, 0]) + jerks(f)),
        sensor=Sensor(shutter=0.95 * severity),
    )  # fmt: skip


@sequence
def ball(severity: float) -> Shot:
    """A ball that bounces across the yard faster than a tracker looks."""

    def bounce(f):
        sideways = 105 * np.sin(f / 5.2) + 25 * np.sin(f / 2.3)
        height = 95 * abs(np.sin(f / 4.6))
        return np.array([240 + severity * sideways, 285 - severity * height, 1, 0])

    skin = photo("flower")[90:350, 170:440]
    spin = lambda f: np.array([40 + 300 * severity * np.sin(f / 5.2), 12.0])  # noqa: E731
    return Shot(
        "Ball", LARGE, 90,
        street(ground("brick", RUST), ground("brick", SAND), LARGE, 0.5),
        Actor(Ball(skin, 21, spin), bounce, Shadow(dx=5, dy=24, squash=0.3, strength=0.4, blur=6)), ("FM", "MB"),
        camera=hand_held(8, 1.5), sensor=Sensor(shutter=0.5),
    )  # fmt: skip


@sequence
def saucer(severity: float) -> Shot:
    """A cup turned about on the table, seen from above."""
    slide = path(
        (0, 120, 110, 1, 0),
        (25, 160, 130, 1, 80),
        (50, 210, 115, 1, -60),
        (75, 150, 125, 1, 150),
        (89, 130, 120, 1, 200),
    )
    turned = lambda f: slide(f) * np.array([1, 1, 1, severity])  # noqa: E731
    return Shot(
        "Saucer", SMALL, 90, backdrop(wood(), SMALL),
        Actor(Flat(cutout("cup", 78)), turned, TABLE_SHADOW), ("IPR",),
        camera=hand_held(9),
    )  # fmt: skip


@sequence
def carton(severity: float) -> Shot:
    """A box with a picture on every side, turning on the table."""
    sides = [
        crop("chelsea", 40, 0, 320, 300),
        crop("rocket", 200, 100, 230, 320),
        crop("hopper", 100, 10, 320, 400),
        crop("china", 60, 30, 300, 370),
    ]
    faces = tuple(card(image, 88) for image in (*sides, crop("coffee", 150, 10, 280, 280)))
    turning = through((0, 0, 0), (30, 70, 6), (55, 30, -4), (99, 250, 4))
    angles = lambda f: severity * turning(f) + np.array([8, -16])  # noqa: E731
    return Shot(
        "Carton", LARGE, 100, backdrop(photo("motorcycle"), LARGE, blur=3, depth=0.7),
        Actor(Carton(faces, (70, 88, 46), angles), path((0, 200, 200), (50, 260, 190), (99, 230, 205)), Shadow(12, 16, strength=0.5, blur=10)),
        ("OPR",), camera=hand_held(10),
    )  # fmt: skip


@sequence
def visitor(severity: float) -> Shot:
    """A face that leaves the picture on one side and comes back."""
    head, bust = portrait("astronaut_head", "astronaut", 74)
    trip = through(
        (0, 0, 0, 1, 0),
        (22, 60, 6, 1, 3),
        (36, 225, 0, 1, 5),
        (44, 235, 0, 1, 5),
        (58, 40, 4, 1, 0),
        (74, -150, 0, 1.05, -4),
        (82, -195, 4, 1.1, -4),
        (99, -20, 0, 1, 0),
    )
    walk = lambda f: (
        np.array([160, 100, 1, 0])
        + severity * (trip(f) - [0, 0, 1, 0])
        - severity * np.array([0, 0, 0, 0])
    )  # noqa: E731
    return Shot(
        "Visitor", SMALL, 100, backdrop(photo("china"), SMALL, blur=2.5, depth=0.5),
        Actor(Flat(head), walk), ("OV", "FM"), behind=(Actor(Flat(bust), walk),),
        camera=hand_held(11),
    )  # fmt: skip


@sequence
def coins(severity: float) -> Shot:
    """One coin pushed about among coins."""
    return Shot(
        "Coins", LARGE, 90, backdrop(photo("coins"), LARGE, blur=14 * max(0.0, 1 - severity)),
        Actor(Flat(cutout("coin", 50)), path((0, 90, 110), (30, 200, 180), (60, 310, 140), (89, 240, 250)), Shadow(3, 4, strength=0.5, blur=3)), ("BC",),
        camera=hand_held(12),
    )  # fmt: skip


@sequence
def harbour(severity: float) -> Shot:
    """A passer-by far away, a dozen pixels wide."""
    size = 0.36**severity
    walker = astronaut(78, walking(20))
    stroll = lambda f: np.array([160 + (f - 40) * 1.6 * size, 190 - 6 * severity, size, 0])  # noqa: E731
    return Shot(
        "Harbour", SMALL, 80, street(photo("china"), ground("grass", LAWN), SMALL, 0.6),
        Actor(walker, stroll, GROUND_SHADOW), ("LR", "DEF"),
        camera=hand_held(13, 2.5), sensor=Sensor(noise=4),
    )  # fmt: skip


@sequence
def twins(severity: float) -> Shot:
    """A walker among others who look just like him and cross his way."""

    def walker(phase):
        return astronaut(104, walking(24, phase=phase))

    others = [
        Actor(walker(0.3), path((0, 380, 232), (89, 120, 236)), GROUND_SHADOW),
        Actor(walker(0.6), path((0, 40, 226), (89, 300, 224)), GROUND_SHADOW),
        Actor(walker(0.1), path((0, 250, 246), (89, 40, 250)), GROUND_SHADOW),
    ][: round(2 * severity)]
    return Shot(
        "Twins", LARGE, 90, street(ground("brick", RUST), ground("brick", ASPHALT), LARGE, 0.5),
        Actor(walker(0), path((0, 110, 238), (89, 390, 240)), GROUND_SHADOW), ("BC", "OCC", "DEF"),
        behind=tuple(others[1:]), front=tuple(others[:1]), camera=hand_held(14),
    )  # fmt: skip
