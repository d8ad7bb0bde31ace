"""Light and weather of the photoreal style, in linear units where a white wall in full day sun is near 1."""

from dataclasses import dataclass

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """sun: its light on a surface facing it (0 where overcast or set); elevation: degrees; zenith, horizon: the sky;
    ambient: light from the sky on a level surface; haze: 1/m extinction towards `horizon`; wet: mirror share of the
    road; lamps: strength of street lamps, window light and car lamps; exposure; noise: sensor noise at mid grey; snow:
    share of level surfaces that snow covers."""

    sun: Colour
    elevation: float
    zenith: Colour
    horizon: Colour
    ambient: Colour
    haze: float
    wet: float
    lamps: float
    exposure: float
    noise: float
    snow: float = 0.0


LOOKS = {
    "day": Look(
        (2.5, 2.3, 1.95),
        58.0,
        (0.28, 0.46, 0.82),
        (0.80, 0.88, 0.96),
        (0.44, 0.51, 0.63),
        0.0012,
        0.0,
        0.0,
        0.62,
        0.008,
    ),
    "dusk": Look(
        (0.0, 0.0, 0.0),
        58.0,
        (0.10, 0.11, 0.26),
        (0.95, 0.45, 0.20),
        (0.22, 0.16, 0.17),
        0.0035,
        0.0,
        0.55,
        1.15,
        0.011,
    ),
    "night": Look(
        (0.0, 0.0, 0.0),
        58.0,
        (0.006, 0.008, 0.016),
        (0.022, 0.024, 0.035),
        (0.020, 0.023, 0.034),
        0.0020,
        0.0,
        1.0,
        2.1,
        0.016,
    ),
    "rain": Look(
        (0.0, 0.0, 0.0),
        58.0,
        (0.36, 0.40, 0.45),
        (0.55, 0.58, 0.61),
        (0.36, 0.39, 0.43),
        0.0075,
        0.55,
        0.15,
        0.95,
        0.010,
    ),
    "fog": Look(
        (0.0, 0.0, 0.0),
        58.0,
        (0.66, 0.68, 0.70),
        (0.70, 0.71, 0.72),
        (0.48, 0.49, 0.50),
        0.016,
        0.10,
        0.10,
        0.85,
        0.009,
    ),
    "snow": Look(
        (0.0, 0.0, 0.0),
        58.0,
        (0.52, 0.55, 0.60),
        (0.66, 0.68, 0.71),
        (0.50, 0.53, 0.58),
        0.006,
        0.0,
        0.15,
        0.85,
        0.010,
        0.85,
    ),
}
