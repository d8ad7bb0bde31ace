"""What a captioning model would see in the first seconds of a town."""

from math import pi, sin
from typing import TYPE_CHECKING

import torch

from .. import tags

if TYPE_CHECKING:
    from .scene import Town

AHEAD, FIRST_SECONDS, FIRST_METRES = 60.0, 4.0, 22.0
STEEP, BENT = 0.025, 0.25  # rise per metre, radians turned


def town_facts(town: "Town") -> dict:
    """Countable facts, with the keys of a street's and a town's own: bend, roundabout, slope, cyclists, trucks,
    buses, parked and event. Only what is ahead, near and in view counts."""
    camera = town.camera(torch.zeros(1), 90, 160)
    positions = town.poses(torch.zeros(1))[0]
    pixels, depth = camera.project(positions[None, :, 0])
    inside = (depth[0] > 0) & (depth[0] < AHEAD) & (pixels[0, :, 0] > -10) & (pixels[0, :, 0] < 170)
    seen = [town.solids[index] for index in inside.nonzero().flatten().tolist()]
    still = {entry["instance"] for entry in town.objects if entry.get("moving") is False}
    events = {entry["event"] for entry in town.objects if "event" in entry}

    def count(*wanted: int) -> int:
        return len({s.instance for s in seen if s.tag in wanted})

    start, reach = town.ego.start, max(FIRST_METRES, FIRST_SECONDS * town.ego.speed)
    places = torch.tensor([start, start + reach], dtype=torch.float64)
    x, z, heading, _ = town.route.at(places)
    turned = float(torch.remainder(heading[1] - heading[0] + pi, 2 * pi) - pi)
    rise = float(town.terrain.height(x, z).diff()) / reach
    sun = town.sun_azimuth - float(heading[0])
    ahead = [float(town.route.along(torch.tensor(middle), start)) for middle in town.route.roundabouts]
    return {
        "area": town.area,
        "lanes": town.lanes,
        "cars": count(tags.CAR, tags.TRUCK, tags.BUS),
        "people": count(tags.PEDESTRIAN),
        "lights": count(tags.TRAFFIC_LIGHT),
        "sun": "right" if sin(sun) > 0 else "left",
        "sun_ahead": abs((sun + pi) % (2 * pi) - pi) < pi / 2,
        "cyclists": count(tags.RIDER),
        "trucks": count(tags.TRUCK) > 0,
        "buses": count(tags.BUS) > 0,
        "parked": len({s.instance for s in seen if s.instance in still}) > 2,
        "bend": ("right" if turned > 0 else "left") if abs(turned) > BENT else None,
        "roundabout": any(-25 < s < 45 for s in ahead),
        "slope": ("uphill" if rise > 0 else "downhill") if abs(rise) > STEEP else None,
        "event": events.pop() if events else None,
    }
