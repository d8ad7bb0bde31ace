"""Streams of traffic round the town, and what they do near the ego: overtake it, cut in, ride a bicycle ahead."""

from math import pi
from random import Random

from ..objects import LANE
from .layout import Builder
from .motion import Drive, LaneChange

EVENTS = ("follow", "free", "overtake", "cyclist")
WIDE_EVENTS = ("follow", "free", "overtake", "cyclist", "cut-in", "cut-in", "cut-in")  # where there are two lanes


def add_traffic(builder: Builder, ego: Drive) -> None:
    """Everything that moves in the lanes. All in one lane keep the lane's pace, so that none ever runs into another."""
    builder.begin("event", first_instance=1)
    rng = builder.rng
    event = rng.choice(WIDE_EVENTS if builder.lanes == 2 else EVENTS)
    first = {"follow": rng.uniform(10, 24), "cyclist": rng.uniform(26, 40)}.get(event, rng.uniform(45, 70))
    {"cut-in": _cut_in, "overtake": _overtake, "cyclist": _cyclist}.get(event, lambda *_: None)(builder, ego)
    builder.begin("ahead", first_instance=20)
    if event != "overtake":
        _stream(builder, ego.start + first, ego.start + builder.route.length - 20, ego.speed, LANE / 2, (22, 70))
    builder.begin("oncoming", first_instance=60)
    lead = 75 if event == "overtake" else builder.rng.uniform(6, 30)
    for lane in range(builder.lanes):
        pace = -builder.rng.uniform(3.0, 7.0)
        _stream(builder, ego.start + lead, ego.start + builder.route.length, pace, -LANE * (lane + 0.5), (16, 60))
    if builder.lanes == 2:
        builder.begin("beside", first_instance=120)
        pace, clear = ego.speed * builder.rng.uniform(0.75, 1.35), 32 if event == "cut-in" else 4
        low, high = ego.start + builder.rng.uniform(clear, clear + 20), ego.start + builder.route.length - clear
        _stream(builder, low, high, pace, LANE * 1.5, (20, 60))
    builder.begin("cyclists", first_instance=160)
    for _ in range(builder.rng.choice((0, 1, 2))):
        start, edge = ego.start + builder.rng.uniform(8, 60), builder.edge - 0.5
        builder.cyclist(Drive(builder.route, builder.terrain, start, -builder.rng.uniform(3, 5.5), -edge))


def _surge(rng: Random) -> tuple[float, float, float]:
    """A car in a stream falls back and catches up by a metre or two."""
    return rng.uniform(0.3, 1.6), rng.uniform(0.03, 0.09), rng.uniform(0, 2 * pi)


def _stream(builder: Builder, low: float, high: float, pace: float, offset: float, gaps: tuple[float, float]) -> None:
    rng, s = builder.rng, low
    while s < high - 12:
        drive = Drive(builder.route, builder.terrain, s, pace, offset, surge=_surge(rng))
        builder.car(drive)
        s += rng.uniform(*gaps)


def _cut_in(builder: Builder, ego: Drive) -> None:
    """A car from the lane on the right moves over in front of the ego."""
    rng = builder.rng
    change = LaneChange(rng.uniform(0.0, 2.0), rng.uniform(1.8, 3.0), -LANE)
    start = ego.start + rng.uniform(9, 13)
    builder.car(Drive(builder.route, builder.terrain, start, ego.speed, LANE * 1.5, (change,)), kinds=False)
    builder.objects[-1]["event"] = "cut-in"


def _overtake(builder: Builder, ego: Drive) -> None:
    """A faster car passes on the left, over the middle of the road, and pulls in far ahead."""
    rng = builder.rng
    extra, until = rng.uniform(2.5, 4.5), 8.0
    start = ego.start - rng.uniform(-9.0, 5.0)
    back = LaneChange(rng.uniform(4.5, 6.0), 2.5, LANE)
    # It starts in the lane it overtakes in, so that its side of a roundabout is the ego's.
    out = LaneChange(-10.0, 1.0, -LANE)
    drive = Drive(builder.route, builder.terrain, start, ego.speed, LANE / 2, (out, back), burst=(extra, until))
    builder.car(drive, kinds=False)
    builder.objects[-1]["event"] = "overtaking"


def _cyclist(builder: Builder, ego: Drive) -> None:
    """A cyclist rides at the right edge, ahead of the ego and at its pace."""
    start = ego.start + builder.rng.uniform(9, 18)
    builder.cyclist(Drive(builder.route, builder.terrain, start, ego.speed, builder.edge - 0.5))
