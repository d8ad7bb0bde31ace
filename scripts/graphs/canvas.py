"""A graph described once, to be written in both of ComfyUI's forms (see forms.py).

Nodes stand in columns, columns in groups, groups beside or under each other, so that nothing overlaps and wires run
from left to right. A subgraph stands in the place of the nodes in it, which have columns of their own. What sockets and
widgets a node has is asked of a running server (`/object_info`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
TITLE, GAP, PAD = 30, 40, 20  # pixels: title bar, space between nodes, space inside a group
BETWEEN = 20  # pixels from one group to the next on the right
NOTE = "Read me"  # the title of every note
ROW, LINE = 22, 17  # pixels: a socket or widget, a line of text
MULTILINE = 80  # the least height of a text box
# Nodes 2.0 draws everything higher: a socket, a widget, a text box, what stands around them and below (our name).
ROW_2, WIDGET_2, MULTILINE_2, FRAME_2 = 21, 30, 96, 52
# Pixels of the pictures that these show by themselves: of an input, of latents while they run, before and after.
PICTURES = {
    "ImageScale": 262,
    "VideoRealismLoadClip": 250,
    "MaskPreview": 60,
    "PreviewImage": 60,
    "SaveImage": 60,
    "SaveVideo": 90,
    "SamplerCustomAdvanced": 260,
    "VideoRealismDDIMInvert": 260,
    "VideoRealismDualPromptSampler": 260,
    "VideoRealismEditVideo": 500,
    "VideoRealismEnhanceRealism": 500,
    "VideoRealismEnhanceVideoFile": 260,
    "VideoRealismLongVideoSampler": 260,
    "VideoRealismNoiseCalibrate": 260,
    "VideoRealismVideoMetrics": 265,
}
# Those whose pictures are latents: a subgraph shows them too while it runs.
LATENTS = {
    "SamplerCustomAdvanced",
    "VideoRealismDDIMInvert",
    "VideoRealismDualPromptSampler",
    "VideoRealismLongVideoSampler",
    "VideoRealismNoiseCalibrate",
}
GROUP_COLOURS = ["#5b7f95", "#6d8f6d", "#94806a", "#7d6f94", "#8f6d74", "#5f8f8a", "#7a7f88"]


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
    inside: Subgraph | None = None
    size: list[int] = field(default_factory=list)
    pos: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Its id in a prompt: those of a subgraph's nodes begin with the subgraph's."""
        return f"{self.inside.number}:{self.number}" if self.inside else str(self.number)

    def __getitem__(self, name: str) -> Output:
        return Output(self, self.info["output_name"].index(name))

    def sockets(self) -> list[tuple[str, list]]:
        return [(name, spec) for name, spec in inputs(self.info) if not is_widget(spec)]

    def widgets(self) -> list[tuple[str, list]]:
        return [(name, spec) for name, spec in inputs(self.info) if is_widget(spec)]

    def ends(self) -> list[tuple[str, str, bool]]:
        """(name, type, whether it is a widget) of its inputs, as the canvas counts them."""
        return [(name, kind_of(spec), is_widget(spec)) for name, spec in self.sockets() + self.widgets()]

    def outputs(self) -> list[tuple[str, str]]:
        return list(zip(self.info["output_name"], self.info["output"]))

    def height(self, report: int) -> int:
        """Enough for every socket and widget, and `report` lines of text drawn after a run."""
        return height(*self._counts()) + (20 + report * LINE if report else 0)

    def room(self, report: int) -> int:
        """Pixels that the node may fill in any frontend, before and after a run: what has to stay free for it."""
        drawn = height_2(*self._counts()) + (30 + report * LINE if report else 0)
        return max(self.size[1], drawn) + PICTURES.get(self.kind, 0)

    def _counts(self) -> tuple[int, int, int]:
        texts = sum(is_text(spec) for _, spec in self.widgets())
        rows = max(len(self.sockets()), len(self.info["output"]))
        return rows, len(self.widget_values()) - texts, texts

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


@dataclass
class Socket:
    """One of a subgraph's inputs: a wire from outside or a widget that it shows, and the inputs inside it reaches."""

    name: str
    wire: Output | None
    ends: list[tuple[Node, str]]

    @property
    def spec(self) -> list:
        node, name = self.ends[0]
        return dict(inputs(node.info))[name]

    @property
    def kind(self) -> str:
        return self.wire.node.info["output"][self.wire.slot] if self.wire else kind_of(self.spec)


@dataclass
class Subgraph:
    """A node made of nodes: what it takes from outside, what it gives there, and which of its widgets it shows."""

    number: int
    title: str
    about: str
    takes: dict[str, Output]
    gives: dict[str, Output] = field(default_factory=dict)
    shows: dict[str, tuple[Node, str]] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    pos: list[int] = field(default_factory=list)

    def sockets(self) -> list[Socket]:
        """Wires, then widgets; last the wires in the place of a widget, whose empty box the frontend shows as well."""
        taken = [Socket(name, wire, self._ends(wire)) for name, wire in self.takes.items()]
        if unused := [socket.name for socket in taken if not socket.ends]:
            raise SystemExit(f"Nothing in {self.title} uses {unused}.")
        shown = [Socket(name, None, [end]) for name, end in self.shows.items()]
        wires = [socket for socket in taken if not is_widget(socket.spec)]
        return [*wires, *shown, *(socket for socket in taken if is_widget(socket.spec))]

    def widgets(self) -> list[Socket]:
        return [socket for socket in self.sockets() if is_widget(socket.spec)]

    def ends(self) -> list[tuple[str, str, bool]]:
        """As a node's."""
        return [(socket.name, socket.kind, is_widget(socket.spec)) for socket in self.sockets()]

    def outputs(self) -> list[tuple[str, str]]:
        return [(name, wire.node.info["output"][wire.slot]) for name, wire in self.gives.items()]

    def widget_values(self) -> list:
        """By position, as the nodes inside have them."""
        first = [socket.ends[0] for socket in self.widgets()]
        return [node.values.get(name, default(dict(inputs(node.info))[name])) for node, name in first]

    def counts(self) -> tuple[int, int, int]:
        texts = sum(is_text(socket.spec) for socket in self.widgets())
        widgets = len(self.widgets())
        return max(len(self.sockets()) - widgets, len(self.gives)), widgets - texts, texts

    def _ends(self, wire: Output) -> list[tuple[Node, str]]:
        reached = [(node, name, end) for node in self.nodes for name, end in node.links.items()]
        return [(node, name) for node, name, end in reached if (end.node, end.slot) == (wire.node, wire.slot)]


def height(rows: int, widgets: int, texts: int) -> int:
    """Pixels of a node with these sockets, widgets and text boxes on the classic canvas, the title not counted."""
    return 14 + (rows + widgets) * (ROW + 2) + texts * MULTILINE


def height_2(rows: int, widgets: int, texts: int) -> int:
    """The same in Nodes 2.0."""
    return FRAME_2 + rows * ROW_2 + widgets * WIDGET_2 + texts * MULTILINE_2


def inputs(info: dict) -> list[tuple[str, list]]:
    return [item for kind in ("required", "optional") for item in info["input"].get(kind, {}).items()]


def options(spec: list) -> dict:
    return spec[1] if len(spec) > 1 else {}


def is_widget(spec: list) -> bool:
    return (isinstance(spec[0], list) or spec[0] in WIDGETS) and not options(spec).get("forceInput")


def kind_of(spec: list) -> str:
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def is_text(spec: list) -> bool:
    return bool(options(spec).get("multiline"))


def default(spec: list):
    choices = spec[0] if isinstance(spec[0], list) else options(spec).get("options", [])
    return options(spec).get("default", choices[0] if choices else "")


class Canvas:
    """The graph under construction: `note`, `group`, then `node` for every node, from left to right."""

    def __init__(self, object_info: dict, name: str):
        self.object_info, self.name = object_info, name
        self.nodes: list[Node] = []
        self.subgraphs: list[Subgraph] = []
        self.groups: list[dict] = []
        self.notes: list[dict] = []
        self._column: list[int] = [0, 0, 300]  # left, top of the next node, width
        self._frame = [0, 0, 0, 0]  # bounding box of the group, or of the nodes in the subgraph, that is being filled
        self._inside: Subgraph | None = None
        self._frames: dict[str, list[int]] = {}  # bounding boxes of the note and the groups, by title
        self._numbers = 0

    # -- layout --------------------------------------------------------------------------------------------------

    def note(self, text: str, size: tuple[int, int]) -> None:
        """A note in the upper left corner."""
        self.notes.append({"text": text, "pos": [0, 0], "size": list(size)})
        self._frames[NOTE] = [0, -TITLE, size[0], size[1] + TITLE]

    def group(self, title: str, width: int, below: str | None = None) -> None:
        """A new group with one column: right of everything so far, or under the group (or the note) `below`, at its
        left edge."""
        if below is None:
            right = max((x + width + BETWEEN for x, _, width, _ in self._frames.values()), default=0)
            left, top = right, -TITLE - 2 * PAD
        else:
            x, y, _, height = self._frames[below]
            left, top = x, y + height + GAP
        colour = GROUP_COLOURS[len(self.groups) % len(GROUP_COLOURS)]
        self._frame = self._frames[title] = [left, top, width + 2 * PAD, TITLE + 3 * PAD]
        self.groups.append({"title": title, "bounding": self._frame, "color": colour})
        self._column = [left + PAD, top + TITLE + 2 * PAD + 10, width]

    def column(self, width: int) -> None:
        """Go on at the top of the group or subgraph, in a new column on the right."""
        bounding = self._frame
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
        node = Node(self._number(), kind, title, info, values, wires, self._inside)
        left, top, width = self._column
        node.pos, node.size = [left, top], [width, max(tall, node.height(report))]
        self._fill(node.room(report))
        self.nodes.append(node)
        if self._inside:
            self._inside.nodes.append(node)
        return node

    @contextmanager
    def subgraph(self, title: str, about: str, width: int, **takes: Node | Output) -> Iterator[Subgraph]:
        """What is added meanwhile lies inside one node; wires from outside come in by the names in `takes` alone.

        width: of the first column in it. Fill `gives` and `shows` before the end.
        """
        wires = {name: Output(value, 0) if isinstance(value, Node) else value for name, value in takes.items()}
        made = Subgraph(self._number(), title, about, wires)
        outside = self._column, self._frame
        self._column, self._frame, self._inside = [0, 0, width], [-PAD, -PAD - TITLE, width + 2 * PAD, 0], made
        self._column[1] = self._frame[1] + TITLE + 2 * PAD + 10
        yield made
        (self._column, self._frame), self._inside = outside, None
        left, top, width = self._column
        made.pos, made.size = [left, top], [width, height(*made.counts())]
        pictures = [PICTURES[node.kind] for node in made.nodes if node.kind in LATENTS]
        self._fill(max(made.size[1], height_2(*made.counts())) + max(pictures, default=0))
        self.subgraphs.append(made)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _fill(self, room: int) -> None:
        """The column goes on below a node that fills so many pixels."""
        bottom = self._column[1] + room
        self._column[1] = bottom + TITLE + GAP - 10
        self._frame[3] = max(self._frame[3], bottom + PAD - self._frame[1])
