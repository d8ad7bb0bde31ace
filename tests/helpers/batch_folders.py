"""Batch folders for tests, written by hand as enhance-folder writes them: the world's renders as sources, their
photoreal twins as results."""

import hashlib
import json
from pathlib import Path

from pipeline_core.conditions.buffers import write_buffers
from pipeline_core.video import media
from pipeline_core.world import make_scene
from pipeline_core.world.render import render_styles

SIZE, FRAMES, FPS = (48, 80), 5, 12


def make_source(folder: Path, name: str, seed: int, frames=FRAMES, size=SIZE, buffers=True) -> dict:
    """NAME.mp4 with its buffers below the folder; style -> render."""
    clip = folder / f"{name}.mp4"
    clip.parent.mkdir(parents=True, exist_ok=True)
    renders = render_styles(make_scene(seed), frames, size, ("synthetic", "photoreal", "photoreal.night"))
    media.write_clip(clip, renders["synthetic"].rgb, FPS, full_chroma=True)
    if buffers:
        write_buffers(clip.with_name(f"{clip.stem}_buffers"), clip, renders["synthetic"])
    return renders


def write_manifest(out: Path, source: Path, clips: dict[str, str]) -> None:
    """clips: id -> path below the source folder."""
    out.mkdir(parents=True, exist_ok=True)
    entries = [
        {"id": name, "clip": clip, "buffers": clip.replace(".mp4", "_buffers"), "hash": "0"}
        for name, clip in clips.items()
    ]
    hashes = {"settings": "s", "model": "m", "code": "c"}
    manifest = {"version": 1, "input": str(source), "recipe": {}, "hashes": hashes, "clips": entries}
    (out / "manifest.json").write_text(json.dumps(manifest))


def write_result(out: Path, name: str, variant: str, clip: Path, frames, status="done", buffers=True, **more) -> dict:
    """The result of one clip, (T, H, W, 3), and its row."""
    path = out / "clips" / name / f"{variant}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    media.write_clip(path, frames, FPS)
    beside = clip.with_name(f"{clip.stem}_buffers")
    row = {
        "version": 1, "id": name, "variant": variant, "status": status,
        "reason": None if status == "done" else "edge_f1 is 0.2 but must be at least 0.5",
        "input": {"clip": str(clip), "buffers": str(beside) if buffers else None},
        "output": path.relative_to(out).as_posix(), "frames": len(frames), "size": list(frames.shape[1:3]),
        "fps": FPS, "settings": {"realism": 0.6, "steps": 4}, "seed": 7,
        "prompts": {"prompt": "a street", "negative_prompt": "", "inversion_prompt": "a game"},
        "figures": {"edge_f1": 0.81, "objects_lost": 0, "lpips": None},
        "verdict": {
            "accepted": status == "done", "attempts": 1,
            "checks": [{"name": "edge_f1", "value": 0.81, "limit": 0.5, "passed": status == "done"},
                       {"name": "critic", "value": None, "limit": 0.5, "passed": None, "needs": "a critic"}],
        },
        "timings": {"seconds": 3.5, "seconds_per_frame": 0.7},
        "hashes": {"input": "i", "settings": "s", "model": "m", "code": "c",
                   "output": hashlib.sha256(path.read_bytes()).hexdigest()},
        "attempt": 1, **more,
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(row))
    return row


def make_batch(root: Path) -> tuple[Path, dict[str, dict]]:
    """A batch folder of two clips with two variants each, one of them rejected; (OUT, clip id -> style -> render)."""
    source, out = root / "in", root / "out"
    names = {"town__front": "town/front.mp4", "street": "street.mp4"}
    seeds = {"town__front": 800003, "street": 800011}
    renders = {name: make_source(source, clip.removesuffix(".mp4"), seeds[name]) for name, clip in names.items()}
    write_manifest(out, source, names)
    for name, clip in names.items():
        write_result(out, name, "day-0", source / clip, renders[name]["photoreal"].rgb)
        status = "rejected" if name == "street" else "done"
        write_result(out, name, "night-0", source / clip, renders[name]["photoreal.night"].rgb, status)
    return out, renders
