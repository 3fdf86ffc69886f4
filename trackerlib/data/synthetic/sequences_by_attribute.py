"""One sequence for each of OTB's eleven attributes, which dominates in it.

Severity 0 is the easy twin without the difficulty, 1 the benchmark's value.
Lengths are pixels of the frame, times are frames, angles degrees.
"""

import numpy as np

from trackerlib.data.synthetic.actors import Ball, Carton, Flat, card, walking
from trackerlib.data.synthetic.motion import eased, path, sway, through
from trackerlib.data.synthetic.scene import LARGE, SMALL, Actor, Scene, Sensor, Shadow
from trackerlib.data.synthetic.scenery import (
    ASPHALT,
    GROUND_SHADOW,
    LAWN,
    RUST,
    SAND,
    TABLE_SHADOW,
    WALL_SHADOW,
    astronaut,
    backdrop,
    bricks,
    column,
    ground,
    hand_held,
    street,
    wood,
)
from trackerlib.data.synthetic.textures import crop, foreground_crop, photo, portrait


def spotlight(severity: float) -> Scene:
    """Show a speaker under lights that flare, sweep across the stage and twice almost go out."""
    head, bust = portrait("hopper_head", "hopper", 92)
    stroll = path(
        (0, 80, 134), (32, 215, 130), (48, 85, 136), (60, 100, 132), (76, 235, 134), (89, 190, 132)
    )
    nod = sway(1, 30, (3, 2, 0.02, 4))

    def walk(f: float) -> np.ndarray:
        return stroll(f) + nod(f)

    def lights(f: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        swell = 1.5 * np.sin(f / 5) - 16 * sum(np.exp(-(((f - out) / 5) ** 2)) for out in (40, 69))
        blinds = np.tanh(2 * np.sin(30 * y + 12 * x + f / 2.5))
        beam = np.exp(-((x - 0.5 - 0.4 * np.sin(f / 11)) ** 2 + (y - 0.5) ** 2) / 0.05)
        return np.exp2(severity * (swell - 1.2 + 1.4 * blinds + 2.5 * beam))

    return Scene(
        name="Spotlight",
        size=SMALL,
        frames=90,
        backdrop=backdrop(bricks(RUST), SMALL, blur=2.5, depth=0.6),
        behind=(Actor(Flat(bust), walk, WALL_SHADOW),),
        target=Actor(Flat(head), walk),
        attributes=("IV", "IPR"),
        camera=hand_held(2),
        lights=lights,
        sensor=Sensor(noise=4),
    )


def ride(severity: float) -> Scene:
    """Show a space shuttle that rolls from its launch pad right up to the camera."""
    journey = path(
        (0, 90, 178, 0.64), (35, 160, 190, 0.9), (60, 230, 228, 1.35, 1), (99, 250, 322, 2.12, -2)
    )

    def approach(f: float) -> np.ndarray:
        x, y, size, lean = journey(f)
        return np.array([x, y, size**severity, lean])

    return Scene(
        name="Ride",
        size=LARGE,
        frames=100,
        backdrop=street(photo("rocket"), ground("gravel", ASPHALT), LARGE, 0.4),
        target=Actor(Flat(foreground_crop("shuttle", 70, (0.5, 0.97))), approach, GROUND_SHADOW),
        attributes=("SV", "IPR"),
        camera=hand_held(3, 1.5),
    )


def columns(severity: float) -> Scene:
    """Show a walker who passes behind pillars as wide as she is, and wider."""
    width = round(50 * severity)
    pillars = (
        Actor(column("moon", width, 400, SAND), path((0, x, 345)), depth=1.25)
        for x in (165, 262, 380)
        if width
    )
    return Scene(
        name="Columns",
        size=LARGE,
        frames=120,
        backdrop=street(bricks(RUST), ground("gravel", SAND), LARGE, 0.45),
        target=Actor(
            astronaut(118, walking(26)), path((0, 60, 232), (119, 420, 238)), GROUND_SHADOW
        ),
        front=tuple(pillars),
        attributes=("OCC", "DEF"),
        camera=hand_held(4, 2.5),
    )


def gymnast(severity: float) -> Scene:
    """Show someone exercising: bends, lunges and swinging arms, hardly two frames alike."""

    def pose(f: float) -> np.ndarray:
        t = f / 8
        hips = 38 * np.sin(t), -38 * np.sin(t + 0.6)
        knees = 22 * (1 - np.cos(2 * t)), 20 * (1 - np.cos(2 * t + 1))
        arms = 95 + 75 * np.sin(1.4 * t), -95 - 75 * np.sin(1.1 * t + 1)
        lean = 38 * np.sin(0.9 * t)
        return severity * np.array([hips[0], knees[0], hips[1], knees[1], *arms, lean])

    drift = path((0, 80, 206), (25, 210, 198), (48, 110, 212), (70, 235, 200), (89, 150, 208))
    return Scene(
        name="Gymnast",
        size=SMALL,
        frames=90,
        backdrop=street(photo("china")[60:300], ground("grass", LAWN), SMALL, 0.55),
        target=Actor(astronaut(112, pose), drift, GROUND_SHADOW),
        attributes=("DEF", "IPR"),
        camera=hand_held(5),
    )


def handheld(severity: float) -> Scene:
    """Show a cup on a table from a running camera: it jerks and the shutter stays open."""
    jolt = sway(7, 15, (50, 38, 0.02, 3))

    def jerks(f: float) -> np.ndarray:
        return np.array([0, 0, 1, 0]) + jolt(f) * (0.55 - 0.45 * np.cos(f / 11))

    return Scene(
        name="Handheld",
        size=LARGE,
        frames=90,
        backdrop=street(photo("china")[60:330], wood(), LARGE, 0.5),
        target=Actor(
            Flat(foreground_crop("cup", 64)), path((0, 230, 215), (89, 260, 219)), TABLE_SHADOW
        ),
        attributes=("MB", "FM"),
        camera=hand_held(8, 1.0, jerks),
        sensor=Sensor(shutter=severity),
    )


def ball(severity: float) -> Scene:
    """Show a ball that is thrown about the yard faster and faster."""

    def flight(f: float) -> np.ndarray:
        swing = min(1, f / 30)
        sideways = swing * (100 * np.sin(f / 5.5) + 22 * np.sin(f / 2.6))
        return np.array([240 + sideways, 290 - swing * 110 * abs(np.sin(f / 5)), 1, 0])

    rest = np.array([240, 290, 1, 0])
    spin = eased(lambda f: np.array([40 + 200 * np.sin(f / 5.5), 12]), severity)
    return Scene(
        name="Ball",
        size=LARGE,
        frames=90,
        backdrop=street(bricks(RUST), ground("gravel", ASPHALT), LARGE, 0.5),
        target=Actor(
            Ball(photo("flower")[90:350, 170:440], 24, spin),
            eased(flight, severity, rest),
            Shadow(dx=5, dy=26, squash=0.3, strength=0.6, blur=5),
        ),
        attributes=("FM", "MB"),
        camera=hand_held(8, 1.5),
        sensor=Sensor(shutter=0.5),
    )


def saucer(severity: float) -> Scene:
    """Show a cup turned about on the table, seen from above."""
    slide = path(
        (0, 110, 110),
        (25, 170, 140, 1, 80),
        (50, 220, 105, 1, -60),
        (75, 140, 135, 1, 150),
        (89, 120, 110, 1, 200),
    )
    return Scene(
        name="Saucer",
        size=SMALL,
        frames=90,
        backdrop=backdrop(wood(), SMALL),
        target=Actor(
            Flat(foreground_crop("cup", 78)),
            eased(slide, np.array([1, 1, 1, severity])),
            TABLE_SHADOW,
        ),
        attributes=("IPR",),
        camera=hand_held(9),
    )


def carton(severity: float) -> Scene:
    """Show a box with a picture on every side, turning on the table."""
    pictures = (
        crop("chelsea", 40, 0, 320, 300),
        crop("rocket", 200, 100, 230, 320),
        crop("hopper", 100, 10, 320, 400),
        crop("china", 60, 30, 300, 370),
        crop("coffee", 150, 10, 280, 280),
    )
    turning = through((0, 0, 0), (40, 70, 5), (58, 40, -3), (80, 150, 4), (99, 200, 0))
    model = Carton(
        tuple(card(picture, 88) for picture in pictures),
        (70, 88, 46),
        lambda f: severity * turning(f) + np.array([8, -16]),
    )
    journey = path((0, 150, 235), (35, 250, 215), (70, 330, 232), (99, 250, 240))
    return Scene(
        name="Carton",
        size=LARGE,
        frames=100,
        backdrop=street(bricks(SAND), wood(), LARGE, 0.45),
        target=Actor(
            model, journey, Shadow(dx=12, dy=42, squash=0.35, lean=0.3, strength=0.7, blur=7)
        ),
        attributes=("OPR",),
        camera=hand_held(10),
    )


def visitor(severity: float) -> Scene:
    """Show a face that leaves the picture on one side and comes back from the other."""
    head, bust = portrait("astronaut_head", "astronaut", 74)
    trip = path(
        (0, 150, 100),
        (22, 220, 106, 1, 3),
        (36, 375, 100, 1, 5),
        (44, 385, 100, 1, 5),
        (60, 190, 104),
        (76, 0, 100, 1.05, -4),
        (84, -45, 104, 1.1, -4),
        (99, 140, 100),
    )
    walk = eased(trip, severity, np.array([150, 100, 1, 0]))
    return Scene(
        name="Visitor",
        size=SMALL,
        frames=100,
        backdrop=backdrop(photo("china"), SMALL, blur=2.5, depth=0.5),
        behind=(Actor(Flat(bust), walk),),
        target=Actor(Flat(head), walk),
        attributes=("OV", "FM"),
        camera=hand_held(11),
    )


def coins(severity: float) -> Scene:
    """Show a coin pushed about among coins; others of its kind take over its course."""
    coin, shadow = Flat(foreground_crop("coin", 46)), Shadow(3, 4, strength=0.6, blur=2.5)
    rivals = (
        path((0, 330, 95), (24, 200, 182), (40, 110, 262), (89, 60, 310)),
        path((0, 60, 250), (50, 205, 215), (58, 270, 160), (89, 400, 70)),
        path((0, 420, 300), (70, 300, 190), (89, 150, 130)),
    )
    push = path((0, 90, 100), (22, 196, 176), (46, 180, 250), (56, 262, 172), (89, 360, 240))
    return Scene(
        name="Coins",
        size=LARGE,
        frames=90,
        backdrop=backdrop(photo("coins"), LARGE, blur=14 * max(0.0, 1 - severity)),
        target=Actor(coin, push, shadow),
        front=tuple(Actor(coin, rival, shadow) for rival in rivals[: round(2 * severity)]),
        attributes=("BC", "OCC"),
        camera=hand_held(12),
    )


def harbour(severity: float) -> Scene:
    """Show a passer-by far away, a dozen pixels wide."""
    size = 1 / (1 + 1.78 * severity)

    def stroll(f: float) -> np.ndarray:
        return np.array([160 + (f - 40) * 1.6 * size, 190 - 6 * severity, size, 0])

    return Scene(
        name="Harbour",
        size=SMALL,
        frames=80,
        backdrop=street(photo("china"), ground("grass", LAWN), SMALL, 0.6),
        target=Actor(astronaut(78, walking(20)), stroll, GROUND_SHADOW),
        attributes=("LR", "DEF"),
        camera=hand_held(13, 2.5),
        sensor=Sensor(noise=4),
    )


BY_ATTRIBUTE = {
    "IV": spotlight,
    "SV": ride,
    "OCC": columns,
    "DEF": gymnast,
    "MB": handheld,
    "FM": ball,
    "IPR": saucer,
    "OPR": carton,
    "OV": visitor,
    "BC": coins,
    "LR": harbour,
}
