"""Sequences in which difficulties come together, most with look-alikes of the target."""

import numpy as np

from trackerlib.data.synthetic.actors import Flat, Soft, walking
from trackerlib.data.synthetic.motion import Curve, eased, path, sway, through
from trackerlib.data.synthetic.scene import LARGE, SMALL, Actor, Scene, Sensor
from trackerlib.data.synthetic.scenery import (
    ASPHALT,
    GROUND_SHADOW,
    LAWN,
    RUST,
    TABLE_SHADOW,
    WALL_SHADOW,
    astronaut,
    backdrop,
    bricks,
    ground,
    hand_held,
    street,
    wood,
)
from trackerlib.data.synthetic.textures import Texture, foreground_crop, opaque, photo, portrait


def twins(severity: float) -> Scene:
    """Show a walker among others in the same suit who cross her way; severity adds walkers."""

    def walker(phase: float, *rows: tuple[float, ...]) -> Actor:
        return Actor(astronaut(104, walking(24, phase=phase)), path(*rows), GROUND_SHADOW)

    others = (
        walker(0.3, (0, 400, 246), (89, 110, 250)),
        walker(0.6, (0, 30, 240), (89, 300, 238)),
        walker(0.1, (0, 300, 254), (89, 60, 258)),
        walker(0.8, (0, 460, 240), (89, 200, 242)),
    )[: round(2 * severity)]
    return Scene(
        name="Twins",
        size=LARGE,
        frames=90,
        backdrop=street(bricks(RUST), ground("gravel", ASPHALT), LARGE, 0.5),
        target=walker(0.0, (0, 100, 244), (89, 390, 246)),
        behind=others[1::2],
        front=others[::2],
        attributes=("BC", "OCC", "DEF"),
        camera=hand_held(14, 2.0, through((0, -20, 0, 1, 0), (89, 30, 0, 1, 0))),
    )


def shells(severity: float) -> Scene:
    """Show three cups that change places on the table; severity adds cups."""
    swaps = ((0, 1), (1, 2), (0, 2), (0, 1), (1, 2), (0, 2))
    beat, slots = 15, (130, 240, 350)

    def course(cup: int) -> Curve:
        rows: list[tuple[float, ...]] = [(0, slots[cup], 185)]
        places = list(range(3))
        for turn, (a, b) in enumerate(swaps):
            start, slot = turn * beat, places[cup]
            if slot in (a, b):
                goal = b if slot == a else a
                side = 18 if slot == a else -18
                middle = (slots[slot] + slots[goal]) / 2
                rows += [(start + 0.5 * beat, middle, 185 + side)]
                rows += [(start + 0.95 * beat, slots[goal], 185)]
            elif turn:
                rows += [(start + 0.5 * beat, slots[slot], 185)]
            places = [{a: b, b: a}.get(place, place) for place in places]
        return path(*rows)

    model = Flat(foreground_crop("cup", 76))
    first, target, last = (Actor(model, course(cup), TABLE_SHADOW) for cup in (0, 1, 2))
    others = round(2 * severity)
    return Scene(
        name="Shells",
        size=LARGE,
        frames=beat * len(swaps),
        backdrop=backdrop(wood(), LARGE),
        behind=(last,) if others > 1 else (),
        target=target,
        front=(first,) if others > 0 else (),
        attributes=("BC", "OCC", "FM"),
        camera=hand_held(15),
    )


def garden(severity: float) -> Scene:
    """Show dahlias in the wind: they sway, bend and brush past each other."""
    leaves = photo("flower")[:, 460:]

    def dahlia(seed: int, x: float, y: float, size: float) -> Actor:
        wind = eased(sway(seed, 40, (54, 27, 0.06, 18)), severity)
        model = Soft(foreground_crop("flower", size), 0.035 * severity, 31)
        return Actor(model, path((0, x, y), swaying=wind), WALL_SHADOW)

    return Scene(
        name="Garden",
        size=LARGE,
        frames=100,
        backdrop=backdrop(np.hstack([leaves, leaves[:, ::-1]]), LARGE, blur=2, depth=0.6),
        behind=(dahlia(21, 120, 130, 66), dahlia(22, 360, 120, 62), dahlia(26, 250, 80, 56)),
        target=dahlia(23, 240, 190, 80),
        front=(dahlia(24, 140, 270, 84), dahlia(25, 345, 265, 86)),
        attributes=("BC", "DEF", "OCC", "IPR"),
        camera=hand_held(16, 2.5),
    )


def peekaboo(severity: float) -> Scene:
    """Show a cat that looks over a board, tilts its head and hides."""
    board = np.hstack([wood(), wood()])[:200] * np.float32(0.55)
    board[:5] *= 2.2  # its edge catches the light
    plank = Flat(Texture(opaque(board), (board.shape[1] / 2, 0)))
    play = path(
        (0, 110, 110),
        (18, 140, 118, 1, 12),
        (30, 190, 215, 1, 5),
        (38, 200, 225),
        (50, 215, 120, 1, -14),
        (66, 170, 112, 1.15, 18),
        (80, 120, 170, 1.05, -6),
        (99, 150, 108, 1.1),
    )
    return Scene(
        name="Peekaboo",
        size=SMALL,
        frames=100,
        backdrop=backdrop(photo("flower")[:, 330:], SMALL, blur=4, depth=0.6),
        target=Actor(
            Soft(foreground_crop("cat", 82), 0.012 * severity, 40),
            eased(play, severity, np.array([110, 110, 1, 0])),
        ),
        front=(Actor(plank, path((0, 160, 166)), WALL_SHADOW),),
        attributes=("OCC", "IPR", "DEF"),
        camera=hand_held(17),
    )


def newsreel(severity: float) -> Scene:
    """Show a cameraman at work in grey: zoom, passing clouds, people walking by close up."""
    head, bust = portrait("cameraman_head", "cameraman", 58)
    lean = path(
        (0, 78, 96), (25, 88, 104, 1, 6), (50, 70, 92, 1, -5), (75, 86, 100, 1, 4), (89, 80, 96)
    )
    zoom = eased(
        through(
            (0, 0, 0, 1, 0), (35, -35, -8, 1.5, 1), (60, -5, 4, 1.0, -1), (89, -50, -16, 1.9, 0)
        ),
        severity,
        np.array([0, 0, 1, 0]),
    )
    passer = astronaut(300, walking(30))
    return Scene(
        name="Newsreel",
        size=SMALL,
        frames=90,
        backdrop=street(photo("china")[40:300], ground("grass", LAWN), SMALL, 0.6),
        behind=(Actor(Flat(bust), lean),),
        target=Actor(Flat(head), lean),
        front=(Actor(passer, path((0, -190, 330), (45, 60, 330), (62, 330, 330)), depth=1.3),)
        if severity
        else (),
        attributes=("SV", "OCC", "IV"),
        camera=hand_held(18, 2.0, zoom),
        lights=lambda f, x, y: np.exp2(severity * (0.8 * np.sin(f / 9 + 3 * x) - 0.3)),
        sensor=Sensor(noise=4, grey=True),
    )


MIXTURES = (twins, shells, garden, peekaboo, newsreel)
