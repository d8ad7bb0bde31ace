"""A metrics report as numbers for sockets and lines for the node."""

import math


def main_number(figure: dict) -> float:
    """The figure as a FLOAT: NaN where it is undefined, infinity where the clips are identical."""
    if figure["value"] is not None:
        return figure["value"]
    return math.inf if "identical" in figure["note"] else math.nan


def node_text(report: dict) -> str:
    """What was measured, a line each, short enough for a node; what was not is in the JSON with its reason."""
    lines, left_out = [], 0
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
