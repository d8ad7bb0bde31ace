"""What people do: key poses of a period, in degrees, with what is in the air and what turns the whole body."""

from dataclasses import dataclass, field

# Angles of `skeleton.ANGLES` and, of the whole body about its hips, somersault (forward), roll and spin (to the right).
Keys = dict[float, dict[str, float]]
WHOLE = ("somersault", "roll", "spin")


@dataclass(frozen=True)
class Motion:
    """period: seconds; keys: by their share of it; flights: shares between which nothing touches the ground; phrase:
    for captions, after `who`, what such a person is called; leaps: it travels on in flight.

    An angle stands in a key for both sides where it has no "left_" or "right_". Between keys it is a monotone cubic, so
    it stays between theirs, and one that a key leaves out runs on between the neighbours that have it. After a period
    everything begins anew, turned as far as the last key at 1 says.
    """

    period: float
    keys: Keys
    phrase: str
    who: str = "gymnast"
    flights: tuple[tuple[float, float], ...] = field(default=())
    leaps: bool = False


def mirrored(keys: Keys) -> Keys:
    """The keys of half a period and then the same with left and right exchanged."""
    swap = {"left": "right", "right": "left"}

    def other(name: str) -> str:
        side, _, angle = name.partition("_")
        return f"{swap[side]}_{angle}" if side in swap else name

    signed = ("side", "twist", "look")
    second = {
        share + 0.5: {other(name): -value if name in signed else value for name, value in key.items()}
        for share, key in keys.items()
    }
    return {**keys, **second}


WALK = mirrored({
    0.0: {"left_thigh": 27, "left_knee": 4, "left_foot": -8, "right_thigh": -20, "right_knee": 14, "right_foot": 8,
          "left_raise": -24, "right_raise": 26, "elbow": 18, "twist": 5, "lean": 3},
    0.12: {"left_thigh": 20, "left_knee": 16, "left_foot": -4, "right_thigh": -10, "right_knee": 42, "right_foot": 0},
    0.30: {"left_thigh": -2, "left_knee": 5, "left_foot": 7, "right_thigh": 20, "right_knee": 55, "right_foot": 5},
})  # fmt: skip
RUN = mirrored({
    0.0: {"left_thigh": 32, "left_knee": 18, "left_foot": -10, "right_thigh": -8, "right_knee": 88, "right_foot": -15,
          "left_raise": -42, "right_raise": 38, "elbow": 88, "twist": 8, "lean": 9},
    0.16: {"left_thigh": 4, "left_knee": 32, "left_foot": 14, "right_thigh": 30, "right_knee": 100, "right_foot": 0},
    0.33: {"left_thigh": -24, "left_knee": 10, "left_foot": -22, "right_thigh": 52, "right_knee": 84, "right_foot": 0},
})  # fmt: skip
CROUCH = {"thigh": 88, "knee": 105, "lean": 38, "foot": 17, "raise": -45, "spread": 8, "elbow": 10, "nod": -10}
STAND = {"thigh": 0, "knee": 0, "lean": 0, "foot": 0, "raise": 0, "spread": 8, "elbow": 8, "nod": 0, "straddle": 3}
REACH = {"thigh": 0, "knee": 0, "lean": 0, "foot": -20, "raise": 168, "spread": 8, "elbow": 5, "nod": 0}
TUCK = {"thigh": 118, "knee": 128, "lean": 30, "foot": -10, "raise": 62, "elbow": 55, "nod": 25}
GUARD = {"raise": 48, "elbow": 105, "spread": 12}
UPSIDE_DOWN = {"raise": 176, "elbow": 0, "wrist": -84, "foot": -40}


def _flip(turns: float) -> Keys:
    """Crouch, take off, tuck, one somersault in the air, land in a crouch."""
    landing = {**CROUCH, "thigh": 60, "knee": 78, "foot": 18, "raise": 85}
    return {
        0.0: {**STAND, "somersault": 0},
        0.14: {**CROUCH, "somersault": 0},
        0.26: {**REACH, "somersault": 0},
        0.38: {**TUCK, "somersault": 95 * turns},
        0.52: {**TUCK, "somersault": 265 * turns},
        0.66: {"thigh": 14, "knee": 20, "lean": 8, "foot": 6, "raise": 118, "elbow": 8, "somersault": 360 * turns},
        0.76: {**landing, "somersault": 360 * turns},
        1.0: {**STAND, "somersault": 360 * turns},
    }


MOTIONS = {
    "walk": Motion(1.06, WALK, "walks", "person"),
    "run": Motion(0.70, RUN, "runs", "person", ((0.36, 0.5), (0.86, 1.0)), leaps=True),
    "kick": Motion(1.5, {
        0.0: {**GUARD, "right_thigh": -12, "right_knee": 12, "left_thigh": 8, "left_knee": 12, "left_foot": 4},
        0.30: {"right_thigh": 78, "right_knee": 100, "left_thigh": -2, "left_knee": 6, "lean": -6, "twist": -6},
        0.45: {"right_thigh": 96, "right_knee": 6, "left_thigh": -4, "left_knee": 4, "lean": -24, "twist": -18},
        0.62: {"right_thigh": 70, "right_knee": 95, "left_thigh": 0, "left_knee": 6, "lean": -6, "twist": -6},
    }, "kicks high", "martial artist"),
    "squat": Motion(1.8, {
        0.0: {**STAND, "straddle": 8}, 0.5: {**CROUCH, "straddle": 14, "raise": 92, "lean": 34},
    }, "does squats", "athlete"),
    "jumping jacks": Motion(1.05, {
        0.0: {"spread": 8, "straddle": 2, "thigh": 12, "knee": 22, "foot": 10},
        0.18: {"spread": 70, "straddle": 10, "thigh": 0, "knee": 2, "foot": -15},
        0.42: {"spread": 165, "straddle": 30, "thigh": 5, "knee": 8, "foot": 3},
        0.68: {"spread": 120, "straddle": 22, "thigh": 0, "knee": 2, "foot": -15},
        0.92: {"spread": 20, "straddle": 4, "thigh": 12, "knee": 22, "foot": 10},
    }, "does jumping jacks", "athlete", ((0.18, 0.42), (0.68, 0.92))),
    "dance": Motion(2.0, mirrored({
        0.0: {"left_raise": 30, "left_spread": 120, "right_raise": 20, "right_spread": 25, "elbow": 45, "twist": 24,
              "side": 10, "look": 20, "left_thigh": 20, "left_knee": 35, "left_foot": 12, "right_thigh": 4,
              "right_knee": 10, "right_foot": 6, "straddle": 12, "lean": 4},
        0.25: {"left_raise": 80, "left_spread": 50, "right_raise": 70, "right_spread": 50, "twist": 0, "side": 0,
               "left_thigh": 36, "left_knee": 58, "left_foot": 22, "right_thigh": 36, "right_knee": 58,
               "right_foot": 22, "lean": 14},
    }), "dances", "dancer"),
    "pirouette": Motion(1.5, {
        0.0: {"raise": 60, "spread": 40, "elbow": 50, "right_thigh": 62, "right_knee": 108, "right_straddle": 40,
              "right_foot": -45, "foot": -52, "spin": 0},
        0.5: {"raise": 150, "spread": 25, "elbow": 55, "spin": 360},
        1.0: {"spin": 720},
    }, "spins on one leg", "dancer"),
    "cartwheel": Motion(1.9, {
        0.0: {"spread": 168, "wrist": -60, "straddle": 14, "roll": 0},
        0.25: {"straddle": 48, "roll": 78},
        0.5: {"straddle": 54, "roll": 180},
        0.75: {"straddle": 48, "roll": 282},
        1.0: {"straddle": 14, "roll": 360},
    }, "turns cartwheels"),
    "back flip": Motion(1.75, _flip(-1.0), "does back flips", "gymnast", ((0.26, 0.66),)),
    "front flip": Motion(1.75, _flip(1.0), "does front somersaults", "gymnast", ((0.26, 0.66),)),
    "handstand": Motion(3.2, {
        0.0: {**STAND, **UPSIDE_DOWN, "foot": 0, "somersault": 0},
        0.16: {"thigh": 82, "knee": 10, "lean": 20, "foot": 5, "somersault": 72},
        0.30: {"left_thigh": 110, "left_knee": 10, "right_thigh": 0, "right_knee": 5, "lean": 5, "foot": -40,
               "somersault": 138},
        0.42: {"thigh": 0, "knee": 0, "lean": 0, "somersault": 180, "straddle": 3},
        0.62: {"thigh": 0, "knee": 0, "lean": 0, "somersault": 180, "straddle": 30},
        0.76: {"left_thigh": 110, "left_knee": 10, "right_thigh": 0, "right_knee": 5, "lean": 5, "foot": -40,
               "somersault": 138},
        0.88: {"thigh": 82, "knee": 10, "lean": 20, "foot": 5, "somersault": 72},
    }, "goes into a handstand and back"),
    "straddle jump": Motion(1.5, {
        0.0: {**STAND}, 0.22: {**CROUCH}, 0.36: {**REACH, "raise": 80, "spread": 60, "straddle": 6},
        0.52: {"thigh": 62, "knee": 0, "straddle": 62, "raise": 70, "spread": 70, "foot": -45, "lean": 24},
        0.70: {"thigh": 16, "knee": 24, "straddle": 6, "raise": 60, "spread": 50, "foot": 8, "lean": 10},
        0.80: {**CROUCH, "raise": 30},
    }, "jumps into a straddle", "gymnast", ((0.36, 0.70),)),
}  # fmt: skip
