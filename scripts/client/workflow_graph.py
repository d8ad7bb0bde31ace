"""An API graph as a person sees it: nodes by title, inputs by name, values as text."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path

from client.errors import ClientError

UPLOADS = {"video_upload": "video", "image_upload": "image", "audio_upload": "audio"}


def read_graph(path: Path) -> dict:
    """{node id: {class_type, inputs, _meta}}; ClientError for anything that is not a graph in API form."""
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise ClientError(f"{path} cannot be read ({cause.strerror}).") from None
    except ValueError as cause:
        raise ClientError(f"{path} is no JSON file ({cause}).") from None
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise ClientError(f"{path} is a workflow for the canvas; give its API form (in ComfyUI: Export (API)).")
    nodes = list(graph.values()) if isinstance(graph, dict) else []
    if not nodes or not all(isinstance(node, dict) and "class_type" in node and "inputs" in node for node in nodes):
        raise ClientError(f"{path} is no graph in API form: it holds no nodes with class_type and inputs.")
    return graph


def title_of(graph: dict, node_id: str) -> str:
    node = graph[node_id]
    return node.get("_meta", {}).get("title") or node["class_type"]


def titles(graph: dict) -> list[str]:
    return [title_of(graph, node_id) for node_id in graph]


def label(graph: dict, node_id: str) -> str:
    """How messages name a node: by its title, and by its class where that is another word."""
    if node_id not in graph:
        return f"node {node_id}"
    title, kind = title_of(graph, node_id), graph[node_id]["class_type"]
    return f'"{title}"' if title == kind else f'"{title}" ({kind})'


def find_node(graph: dict, name: str) -> str:
    """The node with this id or, else, this title."""
    if name in graph:
        return name
    matches = [node_id for node_id in graph if title_of(graph, node_id) == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ClientError(f'{len(matches)} nodes have the title "{name}"; name one by its id: {", ".join(matches)}.')
    known = ", ".join(f'"{title}"' for title in titles(graph))
    raise ClientError(f'No node has the title or id "{name}"; there are {known}.')


def input_names(graph: dict, node_id: str, info: dict) -> list[str]:
    """Inputs set in the graph, then those the server knows as well."""
    declared = info.get(graph[node_id]["class_type"], {}).get("input", {})
    known = [name for kind in ("required", "optional") for name in declared.get(kind, {})]
    return list(dict.fromkeys([*graph[node_id]["inputs"], *known]))


def split_setting(graph: dict, setting: str, info: dict) -> tuple[str, str, str]:
    """'Node title.input=value' -> (node id, input, value). Titles may hold dots, so every dot is tried."""
    target, equals, value = setting.partition("=")
    if not equals or "." not in target:
        raise ClientError(f'--set {setting} does not read "Node title.input=value".')
    splits = [(target[:i], target[i + 1 :]) for i, character in enumerate(target) if character == "."]
    known = [split for split in splits if split[0] in graph or split[0] in titles(graph)] or splits[-1:]
    fitting = [(name, wanted) for name, wanted in known if wanted in input_names(graph, find_node(graph, name), info)]
    name, wanted = (fitting or known)[-1]
    node_id = find_node(graph, name)
    names = input_names(graph, node_id, info)
    if wanted not in names:
        raise ClientError(f"{label(graph, node_id)} has no input {wanted}; it has {', '.join(names)}.")
    return node_id, wanted, value


def parse_value(graph: dict, text: str, present):
    """JSON where it is JSON, else text. An input that holds text keeps getting text: a prompt may read 42 or true."""

    def no_constant(name):
        raise ValueError(name)

    try:
        value = json.loads(text, parse_constant=no_constant)
    except ValueError:
        value = text
    link = isinstance(value, list) and len(value) == 2 and value[0] in list(graph)
    if isinstance(present, str) and not isinstance(value, str) and not link:
        return text
    if isinstance(present, bool) and not isinstance(value, bool) and not link:
        raise ClientError(f"{text} came for a switch; give true or false.")
    return value


def apply_settings(graph: dict, settings: list[str], info: dict) -> None:
    for setting in settings:
        node_id, name, text = split_setting(graph, setting, info)
        inputs = graph[node_id]["inputs"]
        try:
            inputs[name] = parse_value(graph, text, inputs.get(name))
        except ClientError as problem:
            raise ClientError(f"--set {label(graph, node_id)}.{name}: {problem}") from None


def file_inputs(graph: dict, info: dict) -> list[tuple[str, str, set[str]]]:
    """(node id, input, kinds of media) of every input that takes an uploaded file and is not fed by a link."""
    inputs = []
    for node_id, node in graph.items():
        declared = info.get(node["class_type"], {}).get("input", {})
        for kind in ("required", "optional"):
            for name, spec in declared.get(kind, {}).items():
                flags = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
                media = {media for flag, media in UPLOADS.items() if flags.get(flag)}
                if media and not isinstance(node["inputs"].get(name), list):
                    inputs.append((node_id, name, media))
    return inputs


def place_file(graph: dict, argument: str, info: dict) -> tuple[Path, str, str]:
    """'clip.mp4' or 'Node title=clip.mp4' -> (file, node id, input); the file must fit exactly one input."""
    path, name = Path(argument), ""
    if not path.is_file() and "=" in argument:
        name, _, rest = argument.partition("=")
        path = Path(rest)
    if not path.is_file():
        raise ClientError(f"--input {path} is no file.")
    places = file_inputs(graph, info)
    if name:
        wanted = find_node(graph, name)
        places = [place for place in places if place[0] == wanted]
        if not places:
            raise ClientError(f"{label(graph, wanted)} takes no file; --input names a node such as Load Video.")
    elif media := (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]:
        places = [place for place in places if media in place[2]] or places
    if not places:
        raise ClientError(f"No node of this graph takes a file, so --input {path} has no place.")
    if len(places) > 1:
        names = ", ".join(label(graph, node_id) for node_id, _, _ in places)
        raise ClientError(f'--input {path} fits {names}; say which one: --input "Node title={path}".')
    return path, places[0][0], places[0][1]


def check_classes(graph: dict, info: dict) -> None:
    """ClientError that names the nodes the server lacks and where they come from."""
    missing = sorted({node["class_type"] for node in graph.values() if not info.get(node["class_type"])})
    ours = [name for name in missing if name.startswith("VideoRealism")]
    others = [name for name in missing if name not in ours]
    if ours:
        raise ClientError(f"The server lacks {', '.join(ours)}: install or update ComfyUI-VideoRealism there.")
    if others:
        raise ClientError(f"The server lacks {', '.join(others)}: update ComfyUI or install the pack they come from.")
