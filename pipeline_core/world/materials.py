"""The world's materials: what the flat style paints, and what a camera would see of the same thing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Material:
    """albedo: linear RGB seen by the photoreal style, or None where it follows the object's own paint.

    grain, patches: relative amplitude of fine and coarse texture.
    """

    name: str
    albedo: tuple[float, float, float] | None
    grain: float = 0.0
    patches: float = 0.0


MATERIALS = (
    Material("asphalt", (0.085, 0.085, 0.09), 0.13, 0.10),
    Material("line", (0.62, 0.61, 0.58), 0.10, 0.14),
    Material("yellow_line", (0.62, 0.43, 0.08), 0.10, 0.14),
    Material("kerb", (0.30, 0.29, 0.27), 0.12, 0.10),
    Material("sidewalk", (0.24, 0.23, 0.21), 0.10, 0.10),
    Material("grass", (0.085, 0.115, 0.035), 0.26, 0.18),
    Material("wall", None, 0.09, 0.10),
    Material("roof", (0.16, 0.085, 0.06), 0.18, 0.12),
    Material("car_body", None),
    Material("car_cabin", None),
    Material("trunk", (0.075, 0.052, 0.036), 0.30, 0.10),
    Material("canopy", (0.060, 0.092, 0.026), 0.38, 0.25),
    Material("skin", (0.38, 0.24, 0.17)),
    Material("cloth", None, 0.10, 0.0),
    Material("pole", (0.16, 0.165, 0.17), 0.06),
    Material("light_head", (0.022, 0.024, 0.024)),
    Material("sign_face", None),
    # Met in towns (version 2) only.
    Material("tyre", (0.022, 0.022, 0.024), 0.10),
    Material("board", None, 0.04),
    Material("hill", (0.095, 0.095, 0.055), 0.0, 0.25),
    Material("far_trees", (0.045, 0.060, 0.022), 0.0, 0.30),
    Material("plaza", (0.30, 0.24, 0.19), 0.10, 0.10),
)
INDEX = {material.name: index for index, material in enumerate(MATERIALS)}

# The sRGB colours of the flat style where the object has no paint of its own.
FLAT_PAINT = {
    "asphalt": (0.42, 0.42, 0.45),
    "line": (1.0, 1.0, 1.0),
    "yellow_line": (1.0, 0.85, 0.0),
    "kerb": (0.78, 0.78, 0.80),
    "sidewalk": (0.66, 0.62, 0.66),
    "grass": (0.20, 0.78, 0.16),
    "roof": (0.85, 0.30, 0.18),
    "trunk": (0.55, 0.30, 0.12),
    "canopy": (0.10, 0.60, 0.18),
    "skin": (1.0, 0.76, 0.58),
    "pole": (0.55, 0.57, 0.62),
    "light_head": (0.10, 0.10, 0.12),
    "tyre": (0.08, 0.08, 0.09),
    "hill": (0.45, 0.72, 0.42),
    "far_trees": (0.12, 0.52, 0.20),
    "plaza": (0.80, 0.62, 0.52),
}

CAR_PAINTS = {
    "red": (0.95, 0.08, 0.08),
    "blue": (0.08, 0.25, 0.95),
    "white": (0.97, 0.97, 0.97),
    "black": (0.10, 0.10, 0.11),
    "yellow": (1.0, 0.82, 0.05),
    "green": (0.05, 0.65, 0.25),
}
WALL_PAINTS = (
    (0.95, 0.55, 0.35),
    (0.98, 0.88, 0.55),
    (0.55, 0.70, 0.95),
    (0.90, 0.45, 0.50),
    (0.80, 0.80, 0.85),
    (0.60, 0.85, 0.70),
    (0.80, 0.65, 0.90),
    (0.70, 0.48, 0.35),
)
CLOTH_PAINTS = (
    (0.95, 0.15, 0.15),
    (0.15, 0.35, 0.95),
    (0.98, 0.85, 0.10),
    (0.20, 0.20, 0.22),
    (0.95, 0.95, 0.95),
    (0.10, 0.70, 0.40),
)
SIGN_KINDS = (
    "stop",
    "limit",
    "direction",
    "warning",
)  # red disc, white disc with red rim, blue disc, red-rimmed triangle
# What colour says of a sign what it means: where it is lost, the sign is.
SIGN_COLOURS = {"stop": "red", "limit": "red", "direction": "blue", "warning": "red"}
LAMP_PAINTS = {"red": (1.0, 0.06, 0.06), "yellow": (1.0, 0.80, 0.05), "green": (0.05, 0.95, 0.35)}
