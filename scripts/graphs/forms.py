"""The forms of a described graph: what POST /prompt takes, what the canvas loads, and a subgraph by itself."""

from __future__ import annotations

import uuid

from graphs.canvas import NOTE, Canvas, Node, Output, Subgraph, default, inputs
from graphs.origins import OURS, properties

NOTE_COLOURS = {"color": "#3d4247", "bgcolor": "#4b5157"}
MARK = "video_realism"  # in `extra`: the name; web/js/words.js translates graphs and blueprints that have it
INNER_INPUTS, INNER_OUTPUTS = -10, -20  # the ids of a subgraph's ends, by the frontend's definition
END = 150  # pixels: an end's width, and its distance from the nodes


def api(canvas: Canvas) -> dict:
    """What POST /prompt takes."""
    prompt = {}
    for node in canvas.nodes:
        filled = {name: node.values.get(name, default(spec)) for name, spec in node.widgets()}
        filled |= {name: [wire.node.key, wire.slot] for name, wire in node.links.items()}
        order = [name for name, _ in inputs(node.info)]
        ordered = {name: filled[name] for name in sorted(filled, key=order.index)}
        prompt[node.key] = {"inputs": ordered, "class_type": node.kind, "_meta": {"title": node.title}}
    return prompt


def ui(canvas: Canvas) -> dict:
    """What the canvas loads."""
    wires = _Wires(canvas, None)
    definitions, links = [], len(wires.links)
    for made in canvas.subgraphs:
        definitions.append(_definition(canvas, made, f"{canvas.name}/{made.title}", links))
        links += len(definitions[-1]["links"])
    entries = [_entry(node, node.kind, wires) for node in canvas.nodes if node.inside is None]
    entries += [_entry(made, definition["id"], wires) for made, definition in zip(canvas.subgraphs, definitions)]
    entries.sort(key=lambda entry: entry["id"])
    last = len(canvas.nodes) + len(canvas.subgraphs)
    for number, note in enumerate(canvas.notes, start=last + 1):
        entry = {"id": number, "type": "MarkdownNote", "title": NOTE, "pos": note["pos"], "size": note["size"]}
        rest = {"flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {}}
        entries.append({**entry, **rest, "widgets_values": [note["text"]], **NOTE_COLOURS})
    for order, entry in enumerate(entries):
        entry["order"] = order
    groups = [{"id": n, **group, "font_size": 24, "flags": {}} for n, group in enumerate(canvas.groups, start=1)]
    return {
        "last_node_id": last + len(canvas.notes),
        "last_link_id": links,
        "nodes": entries,
        "links": wires.links,
        "groups": groups,
        **({"definitions": {"subgraphs": definitions}} if definitions else {}),
        "config": {},
        "extra": {"ds": _view(entries), MARK: canvas.name},
        "version": 0.4,
    }


def blueprint(canvas: Canvas, made: Subgraph) -> dict:
    """One subgraph of the graph as ComfyUI lists it, to be put into other graphs: nothing is wired to it."""
    definition = _definition(canvas, made, f"subgraphs/{made.title}")
    definition |= {"category": "video realism", "description": made.about, "extra": {MARK: made.title}}
    box = _entry(made, definition["id"], _Wires(canvas, None))
    for socket in box["inputs"]:
        socket["link"] = None
    for socket in box["outputs"]:
        socket["links"] = []
    box |= {"pos": [0, 0], "order": 0}
    return {
        "last_node_id": made.number,
        "last_link_id": 0,
        "nodes": [box],
        "links": [],
        "version": 0.4,
        "definitions": {"subgraphs": [definition]},
        "extra": {},
    }


class _Wires:
    """The links between the nodes and subgraphs of one level, numbered after the first `before`."""

    def __init__(self, canvas: Canvas, level: Subgraph | None, before: int = 0):
        self.level, self.links, self.before = level, [], before
        self.ends: dict[tuple[int, int], int] = {}
        for node in canvas.nodes:
            if node.inside is level:
                for index, (name, kind, _) in enumerate(node.ends()):
                    if wire := node.links.get(name):
                        self._add(*self._origin(wire), node.number, index, kind)
        if level is None:
            for made in canvas.subgraphs:
                for index, socket in enumerate(made.sockets()):
                    if socket.wire:
                        self._add(*self._origin(socket.wire), made.number, index, socket.kind)
        else:
            for slot, socket in enumerate(level.sockets()):
                if not socket.wire:
                    node, widget = socket.ends[0]
                    self._add(INNER_INPUTS, slot, node.number, _place(node, widget), socket.kind)
            for index, (wire, (_, kind)) in enumerate(zip(level.gives.values(), level.outputs())):
                self._add(wire.node.number, wire.slot, INNER_OUTPUTS, index, kind)

    def _origin(self, wire: Output) -> tuple[int, int]:
        """The node and its socket where the wire begins, as seen on this level."""
        source = wire.node.inside
        if source is self.level:
            return wire.node.number, wire.slot
        number = INNER_INPUTS if self.level else source.number
        side = [socket.wire for socket in self.level.sockets()] if self.level else list(source.gives.values())
        for slot, known in enumerate(side):
            if known and (known.node, known.slot) == (wire.node, wire.slot):
                return number, slot
        name = f"{wire.node.title}.{wire.node.info['output_name'][wire.slot]}"
        raise SystemExit(f"{name} crosses the edge of {(self.level or source).title}, which does not name it.")

    def _add(self, origin: int, slot: int, target: int, index: int, kind: str) -> None:
        number = self.before + len(self.links) + 1
        self.links.append([number, origin, slot, target, index, kind])
        self.ends[target, index] = number

    def leaving(self, number: int, slot: int) -> list[int]:
        return [link[0] for link in self.links if link[1:3] == [number, slot]]


def _place(node: Node, name: str) -> int:
    return [known for known, _, _ in node.ends()].index(name)


def _entry(node: Node | Subgraph, kind: str, wires: _Wires) -> dict:
    """A node, or the one that stands for a subgraph; kind: its type."""
    sockets = []
    for index, (name, offered, widget) in enumerate(node.ends()):
        socket = {"name": name, "type": offered, "link": wires.ends.get((node.number, index))}
        sockets.append({**socket, "widget": {"name": name}} if widget else socket)
    outputs = [
        {"name": name, "type": offered, "links": wires.leaving(node.number, slot) or None}
        for slot, (name, offered) in enumerate(node.outputs())
    ]
    return {
        "id": node.number,
        "type": kind,
        **_own_title(node),
        "pos": node.pos,
        "size": node.size,
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": sockets,
        "outputs": outputs,
        "properties": properties(kind, node.widget_values()) if isinstance(node, Node) else {},
        "widgets_values": node.widget_values(),
    }


def _own_title(node: Node | Subgraph) -> dict:
    """The title, unless it is the node's own name: that one the frontend shows in the user's language."""
    own = isinstance(node, Subgraph) or node.title != node.info.get("display_name")
    return {"title": node.title} if own else {}


def _definition(canvas: Canvas, made: Subgraph, name: str, before: int = 0) -> dict:
    """What is inside; name: its id is made of it; before: links of the graph that have their numbers already."""
    wires = _Wires(canvas, made, before)
    entries = [_entry(node, node.kind, wires) for node in made.nodes]
    for order, entry in enumerate(entries):
        entry["order"] = order
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{OURS}/{name}")
    right = max(entry["pos"][0] + entry["size"][0] for entry in entries)
    top = min(entry["pos"][1] for entry in entries)
    left_end, right_end = [-2 * END, top], [right + END, top]
    sockets = [
        {"id": str(uuid.uuid5(identity, f"in/{socket.name}")), "name": socket.name, "type": socket.kind}
        | {"linkIds": wires.leaving(INNER_INPUTS, slot), "pos": [left_end[0] + END - 20, top + 20 + 20 * slot]}
        for slot, socket in enumerate(made.sockets())
    ]
    outputs = [
        {"id": str(uuid.uuid5(identity, f"out/{label}")), "name": label, "type": kind}
        | {"linkIds": [wires.ends[INNER_OUTPUTS, slot]], "pos": [right_end[0] + 20, top + 20 + 20 * slot]}
        for slot, (label, kind) in enumerate(made.outputs())
    ]
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    last = {"lastNodeId": max(entry["id"] for entry in entries), "lastLinkId": before + len(wires.links)}
    return {
        "id": str(identity),
        "version": 1,
        "state": {"lastGroupId": 0, **last, "lastRerouteId": 0},
        "revision": 0,
        "config": {},
        "name": made.title,
        "inputNode": {"id": INNER_INPUTS, "bounding": [*left_end, END, 40 + 20 * len(sockets)]},
        "outputNode": {"id": INNER_OUTPUTS, "bounding": [*right_end, END, 40 + 20 * len(outputs)]},
        "inputs": sockets,
        "outputs": outputs,
        "widgets": [],
        "nodes": entries,
        "groups": [],
        "links": [dict(zip(names, link)) for link in wires.links],
        "extra": {},
    }


def _view(entries: list[dict]) -> dict:
    """Where a graph opens: all of it in a window of 1920x1080, or its upper left corner where titles would be too
    small to read. A graph that is opened as a template is fitted into the window by the frontend itself."""
    low = [min(entry["pos"][axis] for entry in entries) for axis in (0, 1)]
    high = [max(entry["pos"][axis] + entry["size"][axis] for entry in entries) for axis in (0, 1)]
    scale = min(1740 / (high[0] - low[0]), 880 / (high[1] - low[1]))
    scale = round(min(max(scale, 0.6), 1.0), 2)
    return {"scale": scale, "offset": [round(75 / scale - low[0]), round(120 / scale - low[1])]}
