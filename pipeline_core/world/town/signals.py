"""Traffic lights of a town: the head, its post and its arm."""

from math import cos, sin

from .. import tags
from ..objects import HEAD_HALF
from ..shapes import Solid
from .buildings import box


def signal_solids(place: tuple, heading: float, height: float, aside: float, instance: int) -> list[Solid]:
    """A head `height` metres over `place`, facing those who come along `heading`; its post stands `aside` metres to
    the right, at 0 right under it."""
    back = 0.3
    x, y, z = place
    solids = [box("light_head", tags.TRAFFIC_LIGHT, instance, place, heading, (0.0, height, 0.0), HEAD_HALF)]
    behind = (x + back * sin(heading) + aside * cos(heading), y, z + back * cos(heading) - aside * sin(heading))
    top = height + 0.3 if aside else height - HEAD_HALF[1]
    solids.append(box("pole", tags.POLE, instance, behind, heading, (0, top / 2 - 0.2, 0), (0.09, top / 2 + 0.2, 0.09)))
    if aside:
        arm = (abs(aside) / 2, 0.08, 0.08)
        solids.append(box("pole", tags.POLE, instance, behind, heading, (-aside / 2, top, 0), arm))
    return solids
