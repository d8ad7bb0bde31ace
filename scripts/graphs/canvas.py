"""A graph described once and written in both of ComfyUI's forms: for the canvas and for POST /prompt.

Nodes stand in columns, columns in groups, groups beside or under each other, so that nothing overlaps and wires run
from left to right. What sockets and widgets a node has is asked of a running server (`/object_info`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from graphs.origins import properties

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
TITLE, GAP, PAD = 30, 40, 20  # pixels: title bar, space between nodes, space inside a group
ROW, LINE = 22, 17  # pixels: a socket or widget, a line of text
MULTILINE = 80  # the least height of a text box
# Nodes 2.0 draws everything higher: a socket, a widget, a text box, what stands around them and below (our name).
ROW_2, WIDGET_2, MULTILINE_2, FRAME_2 = 21, 30, 96, 52
# Pixels of the pictures that these show by themselves: of an input, or of latents while they run.
PICTURES = {
    "ImageScale": 262,
    "LoadVideo": 250,
    "VideoRealismLoadClip": 250,
    "SaveVideo": 60,
    "SamplerCustomAdvanced": 260,
    "VideoRealismDDIMInvert": 260,
    "VideoRealismDualPromptSampler": 260,
    "VideoRealismEnhanceRealism": 260,
    "VideoRealismEnhanceVideoFile": 260,
    "VideoRealismLongVideoSampler": 260,
    "VideoRealismNoiseCalibrate": 260,
}
GROUP_COLOURS = ["#5b7f95", "#6d8f6d", "#94806a", "#7d6f94", "#8f6d74", "#5f8f8a", "#7a7f88"]
NOTE_COLOURS = {"color": "#3d4247", "bgcolor": "#4b5157"}


class Output:
    """One output socket of a node."""

    def __init__(self, node: Node, slot: int):
        self.node, self.slot = node, slot


@dataclass
class Node:
    """A node with everything but its place filled in. `node["depth"]` is the output with that name."""

    number: int
    kind: str
    title: str
    info: dict
    values: dict[str, object]
    links: dict[str, Output]
    size: list[int] = field(default_factory=list)
    pos: list[int] = field(default_factory=list)

    def __getitem__(self, name: str) -> Output:
        return Output(self, self.info["output_name"].index(name))

    def sockets(self) -> list[tuple[str, list]]:
        return [(name, spec) for name, spec in inputs(self.info) if not is_widget(spec)]

    def widgets(self) -> list[tuple[str, list]]:
        return [(name, spec) for name, spec in inputs(self.info) if is_widget(spec)]

    def height(self, report: int) -> int:
        """Enough for every socket and widget, and `report` lines of text drawn after a run."""
        texts = sum(bool(options(spec).get("multiline")) for _, spec in self.widgets())
        rows = max(len(self.sockets()), len(self.info["output"])) + len(self.widget_values()) - texts
        return 14 + rows * (ROW + 2) + texts * MULTILINE + (20 + report * LINE if report else 0)

    def room(self, report: int) -> int:
        """Pixels that the node may fill in any frontend, before and after a run: what has to stay free for it."""
        texts = sum(bool(options(spec).get("multiline")) for _, spec in self.widgets())
        rows = max(len(self.sockets()), len(self.info["output"]))
        widgets = len(self.widget_values()) - texts
        drawn = FRAME_2 + rows * ROW_2 + widgets * WIDGET_2 + texts * MULTILINE_2
        drawn += 30 + report * LINE if report else 0
        return max(self.size[1], drawn) + PICTURES.get(self.kind, 0)

    def widget_values(self) -> list:
        """By position, as the canvas keeps them, with the widgets that it adds by itself."""
        values, upload = [], []
        for name, spec in self.widgets():
            values.append(self.values.get(name, default(spec)))
            if options(spec).get("control_after_generate"):
                values.append("fixed")
            if options(spec).get("video_upload") or options(spec).get("image_upload"):
                upload = ["image"]  # the upload button, which comes last
        return values + upload


def inputs(info: dict) -> list[tuple[str, list]]:
    return [item for kind in ("required", "optional") for item in info["input"].get(kind, {}).items()]


def options(spec: list) -> dict:
    return spec[1] if len(spec) > 1 else {}


def is_widget(spec: list) -> bool:
    return (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options(spec).get("forceInput")


def default(spec: list):
    choices = spec[0] if isinstance(spec[0], list) else options(spec).get("options", [])
    return options(spec).get("default", choices[0] if choices else "")


class Canvas:
    """The graph under construction: `note`, `group`, then `node` for every node, from left to right."""

    def __init__(self, object_info: dict):
        self.object_info = object_info
        self.nodes: list[Node] = []
        self.groups: list[dict] = []
        self.notes: list[dict] = []
        self._column: list[int] = [0, 0, 300]  # left, top of the next node, width
        self._origin = [0, 0]

    # -- layout --------------------------------------------------------------------------------------------------

    def note(self, text: str, size: tuple[int, int]) -> None:
        """A note in the upper left corner."""
        self.notes.append({"text": text, "pos": [0, 0], "size": list(size)})
        self._origin = [size[0] + GAP, 0]

    def group(self, title: str, width: int, below: str | None = None) -> None:
        """A new group with one column: right of everything so far, or under the group `below`, at its left edge."""
        if below is None:
            right = max((g["bounding"][0] + g["bounding"][2] + GAP for g in self.groups), default=self._origin[0])
            left, top = right, -TITLE - 2 * PAD
        else:
            x, y, _, height = next(g["bounding"] for g in self.groups if g["title"] == below)
            left, top = x, y + height + GAP
        colour = GROUP_COLOURS[len(self.groups) % len(GROUP_COLOURS)]
        bounding = [left, top, width + 2 * PAD, TITLE + 3 * PAD]
        self.groups.append({"title": title, "bounding": bounding, "color": colour})
        self._column = [left + PAD, top + TITLE + 2 * PAD + 10, width]

    def column(self, width: int) -> None:
        """Go on at the top of the group, in a new column on the right."""
        bounding = self.groups[-1]["bounding"]
        self._column = [bounding[0] + bounding[2] - PAD + GAP, bounding[1] + TITLE + 2 * PAD + 10, width]
        bounding[2] += width + GAP

    def node(self, kind: str, title: str, *, report: int = 0, tall: int = 0, **filled) -> Node:
        """Add a node under the last one. filled: widget values, and for wires an Output or a Node (its first output).

        report: lines of its report to leave room for; tall: its height in pixels, where it shows pictures.
        """
        info = self.object_info.get(kind) or {}
        if not info:
            raise SystemExit(f"The server has no node {kind}.")
        known = dict(inputs(info))
        if unknown := set(filled) - set(known):
            raise SystemExit(f"{title} ({kind}) has no input {sorted(unknown)}; it has {sorted(known)}.")
        if any(node.title == title for node in self.nodes):
            raise SystemExit(f"Two nodes have the title {title!r}.")
        filled = {name: Output(value, 0) if isinstance(value, Node) else value for name, value in filled.items()}
        wires = {name: value for name, value in filled.items() if isinstance(value, Output)}
        values = {name: value for name, value in filled.items() if name not in wires}
        for name, wire in wires.items():
            offered, wanted = wire.node.info["output"][wire.slot], known[name][0]
            if offered not in str(wanted).split(",") and wanted != "*":
                raise SystemExit(f"{title}.{name} takes {wanted} and was given {offered}.")
        for name, spec in info["input"].get("required", {}).items():
            if name not in filled and not is_widget(spec):
                raise SystemExit(f"{title} ({kind}) lacks its input {name}.")
        node = Node(len(self.nodes) + 1, kind, title, info, values, wires)
        left, top, width = self._column
        node.pos, node.size = [left, top], [width, max(tall, node.height(report))]
        bottom = top + node.room(report)
        self._column[1] = bottom + TITLE + GAP - 10
        bounding = self.groups[-1]["bounding"]
        bounding[3] = max(bounding[3], bottom + PAD - bounding[1])
        self.nodes.append(node)
        return node

    # -- the two forms -------------------------------------------------------------------------------------------

    def api(self) -> dict:
        """What POST /prompt takes."""
        prompt = {}
        for node in self.nodes:
            filled = {name: node.values.get(name, default(spec)) for name, spec in node.widgets()}
            filled |= {name: [str(wire.node.number), wire.slot] for name, wire in node.links.items()}
            order = [name for name, _ in inputs(node.info)]
            ordered = {name: filled[name] for name in sorted(filled, key=order.index)}
            prompt[str(node.number)] = {"inputs": ordered, "class_type": node.kind, "_meta": {"title": node.title}}
        return prompt

    def ui(self) -> dict:
        """What the canvas loads."""
        links, entries = [], []
        for node in self.nodes:
            slots = node.sockets() + node.widgets()
            taken = []
            for index, (name, spec) in enumerate(slots):
                kind = "COMBO" if isinstance(spec[0], list) else spec[0]
                slot = {"name": name, "type": kind, "link": None}
                if is_widget(spec):
                    slot["widget"] = {"name": name}
                if wire := node.links.get(name):
                    links.append([len(links) + 1, wire.node.number, wire.slot, node.number, index, kind])
                    slot["link"] = links[-1][0]
                taken.append(slot)
            entries.append(
                {
                    "id": node.number,
                    "type": node.kind,
                    "title": node.title,
                    "pos": node.pos,
                    "size": node.size,
                    "flags": {},
                    "order": node.number - 1,
                    "mode": 0,
                    "inputs": taken,
                    "outputs": [],
                    "properties": properties(node.kind, node.widget_values()),
                    "widgets_values": node.widget_values(),
                }
            )
        for node, entry in zip(self.nodes, entries):
            for slot, (name, kind) in enumerate(zip(node.info["output_name"], node.info["output"])):
                used = [link[0] for link in links if link[1:3] == [node.number, slot]]
                entry["outputs"].append({"name": name, "type": kind, "links": used or None})
        for number, note in enumerate(self.notes, start=len(self.nodes) + 1):
            entries.append(
                {
                    "id": number,
                    "type": "MarkdownNote",
                    "title": "Read me",
                    "pos": note["pos"],
                    "size": note["size"],
                    "flags": {},
                    "order": number - 1,
                    "mode": 0,
                    "inputs": [],
                    "outputs": [],
                    "properties": {},
                    "widgets_values": [note["text"]],
                    **NOTE_COLOURS,
                }
            )
        groups = [
            {"id": number, **group, "font_size": 24, "flags": {}} for number, group in enumerate(self.groups, start=1)
        ]
        return {
            "last_node_id": len(entries),
            "last_link_id": len(links),
            "nodes": entries,
            "links": links,
            "groups": groups,
            "config": {},
            "extra": {},
            "version": 0.4,
        }
