"""A metrics report as numbers for sockets and lines for the node."""

import math


def main_number(figure: dict) -> float:
    """The figure as a FLOAT: NaN where it is undefined, infinity where the clips are identical."""
    if figure["value"] is not None:
        return figure["value"]
    return math.inf if "identical" in figure["note"] else math.nan


# (section, figure, how it is told); figures of one line are joined, and what was not measured is left out.
WORDS = (
    (("to the source", "edge_f1", "edges kept {:.0%}"),),
    (
        ("objects", "lights_kept", "lights kept {:.0%}"),
        ("objects", "signs_kept", "signs kept {:.0%}"),
        ("objects", "vehicles_kept", "vehicles kept {:.0%}"),
    ),
    (
        ("to the source", "chroma_ratio", "colours {:.2f} x as strong"),
        ("to the source", "hue_distance", "hues {:.0f} degrees off"),
    ),
    (("realism", "critic", "photoreal to the critic {:.0%}"),),
    (
        ("to the reference", "psnr", "reference {:.1f} dB away"),
        ("to the reference", "ssim", "SSIM to it {:.2f}"),
    ),
)


def words(report: dict) -> list[str]:
    """What happened to the clip, in up to five lines for people who know none of the figures' names."""
    lines = []
    for line in WORDS:
        pairs = [(report["figures"].get(section, {}).get(name), text) for section, name, text in line]
        parts = [text.format(figure["value"]) for figure, text in pairs if figure and figure["value"] is not None]
        if parts:
            lines.append(", ".join(parts))
    return lines


def node_text(report: dict) -> str:
    """What happened in words; below, what was measured, a line each. What was not is in the JSON with its reason."""
    beginning, left_out = words(report), 0
    lines = [*beginning, ""] if beginning else []
    for section, figures in report["figures"].items():
        measured = {name: f for name, f in figures.items() if f["value"] is not None}
        left_out += len(figures) - len(measured)
        if measured:
            lines.append(section)
            lines += [f"  {name:<18} {f['value']:>9.4g} {f['unit']}".rstrip() for name, f in measured.items()]
    if left_out:
        lines.append(f"{left_out} more figures need other inputs: see report")
    return "\n".join(lines)


def object_text(report: dict) -> str:
    """The figures, and the first objects that were not kept."""
    lost = report["lost"]
    lines = [f"frame {one['frame']}: {one['expected']}, seen {one['seen']}" for one in lost[:6]]
    more = [f"and {len(lost) - 6} more: see report"] if len(lost) > 6 else []
    return "\n".join([node_text(report), *(["not kept", *lines, *more] if lost else [])])
