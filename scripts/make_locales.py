"""Writes locales/en from the nodes of a running server and says what is left to translate in the other languages.

    python scripts/make_locales.py --server 127.0.0.1:8188
    python scripts/make_locales.py --server 127.0.0.1:8188 --check

The English texts are those of the schemas. Where one was reworded or is gone, its translations are taken out, as they
may say something else now: ComfyUI shows English there, and the next lines of the report name what is missing.
Translate by editing locales/<language>/nodeDefs.json and main.json. The exit status is 1 where anything is left to do.
"""

from __future__ import annotations

import json
import sys

from client.comfy_client import Client
from client.errors import ClientError
from client.options import server_options
from graphs.languages import ALL, LANGUAGES, LOCALES

PREFIX = "VideoRealism"
# Words of our menu path that ComfyUI's frontend translates itself.
KNOWN_CATEGORIES = {"loaders", "noise", "guidance", "sampling", "video"}


def english_node(info: dict) -> dict:
    """The locale entry of one node out of /object_info."""
    inputs = {}
    for group in ("required", "optional"):
        for name, (_, options) in info["input"].get(group, {}).items():
            inputs[name] = {"name": name.replace("_", " "), "tooltip": options.get("tooltip")}
            if options.get("control_after_generate"):
                inputs["control_after_generate"] = {"name": "control after generate"}
    tooltips = info.get("output_tooltips") or [None] * len(info["output_name"])
    outputs = [{"name": name.replace("_", " "), "tooltip": text} for name, text in zip(info["output_name"], tooltips)]
    entry = {"display_name": info["display_name"], "description": info["description"], "inputs": inputs}
    return without_nothing({**entry, "outputs": {str(i): output for i, output in enumerate(outputs)}})


def without_nothing(entry: dict) -> dict:
    """The entry without texts that the schema does not have."""
    cleaned = {key: without_nothing(value) if isinstance(value, dict) else value for key, value in entry.items()}
    return {key: value for key, value in cleaned.items() if value not in (None, "", {})}


def english(object_info: dict) -> dict[str, dict]:
    """{"nodeDefs.json": ..., "main.json": ...} of every node of ours."""
    ours = {name: info for name, info in object_info.items() if name.startswith(PREFIX)}
    words = dict.fromkeys(word for info in ours.values() for word in info["category"].split("/"))
    return {
        "nodeDefs.json": {name: english_node(info) for name, info in ours.items()},
        "main.json": {"nodeCategories": {word: word for word in words if word not in KNOWN_CATEGORIES}},
    }


def texts(tree: dict, path: str = "") -> dict[str, str]:
    """{"Node.inputs.model.tooltip": text} of everything in a locale file."""
    flat = {}
    for key, value in tree.items():
        here = f"{path}.{key}" if path else key
        flat.update(texts(value, here) if isinstance(value, dict) else {here: value})
    return flat


def read(language: str, name: str) -> dict:
    file = LOCALES / language / name
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def write(language: str, name: str, tree: dict) -> None:
    (LOCALES / language).mkdir(parents=True, exist_ok=True)
    text = json.dumps(tree, ensure_ascii=False, indent=2) + "\n"
    (LOCALES / language / name).write_text(text, encoding="utf-8", newline="\n")


def still_right(translated: dict, before: dict, now: dict) -> dict:
    """The translation without texts whose English one is gone or says something else now."""
    right = {}
    for key, value in translated.items():
        if isinstance(value, dict):
            right[key] = still_right(value, before.get(key, {}), now.get(key, {}))
        elif key in now and before.get(key, now[key]) == now[key]:
            right[key] = value
    return {key: value for key, value in right.items() if value != {}}


def differences(language: str, name: str, now: dict) -> list[str]:
    """What a language lacks, what it has that no node asks for, and where English is not what the schema says."""
    have, needed = texts(read(language, name)), texts(now)
    lines = [f"missing in {language}: {key}: {text}" for key, text in needed.items() if key not in have]
    lines += [f"stale in {language}: {key}" for key in have if key not in needed]
    if language == "en":
        lines += [f"reworded: {key}: {text}" for key, text in needed.items() if have.get(key, text) != text]
    return lines


def bring_up_to_date(name: str, now: dict) -> None:
    """Writes the English file; takes out of the others what is no translation of it any more."""
    before = read("en", name)
    for language in LANGUAGES:
        write(language, name, still_right(read(language, name), before or now, now))
    write("en", name, now)


def main() -> int:
    parser = server_options(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only report")
    options = parser.parse_args()
    try:
        files = english(Client(options.server).get("/object_info"))
    except ClientError as problem:
        print(problem, file=sys.stderr)
        return 2
    if not files["nodeDefs.json"]:
        print(f"The server at {options.server} has none of our nodes; install this pack there.", file=sys.stderr)
        return 2
    if not options.check:
        for name, now in files.items():
            bring_up_to_date(name, now)
    lines = [line for name, now in files.items() for language in ALL for line in differences(language, name, now)]
    print("\n".join(lines) or f"{len(files['nodeDefs.json'])} nodes, nothing left to translate")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
