"""Every door under what comes through doors: damaged files, odd values and paths. No traceback, nothing lost.

FUZZ is the number of cases of all doors together; `make fuzz` asks for 2,000, which doors round up to some 2,300.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import counted
from damage import ODD_NUMBERS, ODD_TEXTS, spoiled_bytes, spoiled_json
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_clips import make_clip, pictures
from PIL import Image
from promise import keeps_the_promise
from safetensors.torch import save

from pipeline_core.conditions.buffers import open_buffers
from pipeline_core.conditions.pictures import read_picture
from pipeline_core.conditions.stack import parse_controls
from pipeline_core.doors import load_tensors
from pipeline_core.errors import UserError
from pipeline_core.job.table import parse_settings
from pipeline_core.longvideo import ChunkFolder, Finished
from pipeline_core.longvideo.plan import plan_text, read_plan
from pipeline_core.metrics.seams import parse_seams
from pipeline_core.models.folders.preset_file import read_preset
from pipeline_core.models.released.convert import read_checkpoint
from pipeline_core.video import media
from pipeline_core.video.facts import examine, frames_of

CASES = int(os.environ.get("FUZZ", 330))


def cases(share: float):
    """A share of all cases, each within its bounds. A case gives False where what came was refused.

    Derandomised in the suite, so that a run that was green stays green.
    """

    def within(test):
        test.hypothesis.inner_test = counted(test.hypothesis.inner_test)
        return some(test)

    some = settings(
        max_examples=max(1, round(CASES * share)),
        deadline=None,
        database=None,
        derandomize="FUZZ" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    return within


FIGURE = {"value": 0.5, "unit": "dB", "better": "higher", "note": ""}
REPORT = {
    "about": {"frames": 3, "source": "a.mp4"},
    "figures": {"fidelity": {"psnr": FIGURE, "ssim": {**FIGURE, "value": None}}},
    "frames": {"fidelity": {"psnr": [1.0, None, 2.5]}},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip of 5 frames with its buffers beside it."""
    path = tmp_path_factory.mktemp("clip") / "c.mp4"
    arguments = ["render", "--seed", "1", "--frames", "5", "--size", "32x48", "-o", path]
    arguments += ["--buffers", path.parent / "c_buffers"]
    assert keeps_the_promise(path.parent, *arguments, outputs=("c.mp4", "c_buffers")) == 0
    return path


@pytest.fixture
def place(tmp_path_factory):
    """A new empty folder for every case."""
    return lambda: tmp_path_factory.mktemp("case")


@cases(0.15)
@given(spoiled_json(REPORT))
@example("[" * 100_000)
@example('{"figures": {"a": {"b": {"value": 1' + "0" * 400 + ', "unit": "", "better": "", "note": ""}}}}')
def test_reports_of_the_runs_command(place, text):
    folder = place()
    (folder / "r.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    (folder / "good.json").write_text(json.dumps(REPORT))
    arguments = ["runs", folder / "r.json", folder / "good.json", "--csv", folder / "o.csv"]
    return keeps_the_promise(folder, *arguments, "--plots", folder / "o.png", outputs=("o.csv", "o.png")) == 0


@cases(0.12)
@given(st.data())
def test_presets(place, model_folder, data):
    folder = place()
    whole = json.loads((model_folder / "preset.json").read_text())
    (folder / "preset.json").write_text(data.draw(spoiled_json(whole)))
    try:
        preset = read_preset(folder)
    except UserError:
        return False
    assert 0 < preset.sigma_min < preset.sigma_max <= 1e5 and 0 <= preset.overlap < preset.window <= 4097
    assert all(8 <= side <= 8192 for side in preset.size) and preset.max_text_tokens <= 8192


WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
MODEL_FILES = ("preset.json", "model_index.json", "transformer/config.json", "vae/config.json",
               "text_encoder/config.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
               f"transformer/{WEIGHTS_FILE}", f"vae/{WEIGHTS_FILE}")  # fmt: skip


@cases(0.06)
@given(st.data())
def test_model_folders_that_are_damaged(place, model_folder, clip, data):
    folder = place()
    shutil.copytree(model_folder, folder / "model")
    path = folder / "model" / data.draw(st.sampled_from(MODEL_FILES))
    if path.suffix == ".json" and data.draw(st.booleans()):
        path.write_text(data.draw(spoiled_json(json.loads(path.read_text()))))
    else:
        path.write_bytes(data.draw(spoiled_bytes(path.read_bytes())))
    arguments = ["enhance", clip, "-o", folder / "o.mp4", "--model", folder / "model", "--steps", "1"]
    return keeps_the_promise(folder, *arguments, "--start", "noise", outputs=("o.mp4",)) == 0


@cases(0.12)
@given(st.data())
def test_buffers_that_are_damaged(place, clip, data):
    folder = place() / "b"
    shutil.copytree(clip.parent / "c_buffers", folder)
    path = folder / data.draw(st.sampled_from(["buffers.json", "lights.json", "scene.json", "depth/000002.png",
                                               "semantic/000000.png", "flow/000004.png"]))  # fmt: skip
    if path.suffix == ".json" and data.draw(st.booleans()):
        path.write_text(data.draw(spoiled_json(json.loads(path.read_text()))))
    else:
        path.write_bytes(data.draw(spoiled_bytes(path.read_bytes())))
    try:
        buffers = open_buffers(folder, clip)
        assert (buffers.frames, buffers.height, buffers.width) == (5, 32, 48)
        for channel in buffers.channels:
            read = {"semantic": "classes", "instance": "instances"}.get(channel, channel)
            assert len(getattr(buffers, read)()) == 5
    except UserError:
        return False


def exr(path: Path, width=24, height=20):
    """A small EXR of one float channel, by FFmpeg."""
    import av

    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("exr", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "grayf32le"
        frame = av.VideoFrame.from_ndarray(np.linspace(0, 9, width * height, dtype=np.float32).reshape(height, width),
                                           format="grayf32le")  # fmt: skip
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return path.read_bytes()


def wholes(folder: Path) -> dict[str, bytes]:
    values = np.random.default_rng(0).integers(0, 2**16, (20, 24), np.uint16)
    Image.fromarray((values % 256).astype(np.uint8)).save(folder / "grey.png")
    Image.fromarray(values).save(folder / "wide.png")
    np.save(folder / "d.npy", values.astype(np.float32))
    return {"d.exr": exr(folder / "d.exr")} | {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".exr"}


@cases(0.15)
@given(st.data())
def test_pictures_that_are_damaged(place, data):
    folder = place()
    whole = wholes(folder)
    name = data.draw(st.sampled_from(sorted(whole)))
    read_picture(folder / name)
    (folder / name).write_bytes(data.draw(spoiled_bytes(whole[name])))
    try:
        assert read_picture(folder / name).size <= 1 << 26
    except UserError:
        return False


@pytest.mark.parametrize("name", ["d.exr", "grey.png", "wide.png", "d.npy"])
def test_a_picture_that_was_cut_off_is_refused_wherever_it_was_cut(tmp_path, name):
    whole = wholes(tmp_path)[name]
    for share in (0.02, 0.3, 0.5, 0.78):  # beyond it a PNG lacks no pixel, only its end
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UserError):
            read_picture(tmp_path / name)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """{suffix: (a whole clip, its frames)}, an MP4 with its header in front."""
    folder, whole = tmp_path_factory.mktemp("clips"), {}
    for suffix, codec in (("mp4", "libx264"), ("mkv", "libx264"), ("avi", "mpeg4")):
        make_clip(folder / f"c.{suffix}", pictures(9, 32, 48).astype(np.uint8), codec=codec, sound="mp2")
        whole[suffix] = (folder / f"c.{suffix}").read_bytes(), list(media.read_frames(folder / f"c.{suffix}"))
    return whole


@cases(0.1)
@given(st.sampled_from(["mp4", "mkv", "avi"]), st.booleans(), st.data())
def test_clips_that_are_damaged(place, clips, suffix, in_header, data):
    """What is taken for whole gives every frame it announces; one that was cut off gives those of the whole one."""
    (whole, frames), path = clips[suffix], place() / f"c.{suffix}"
    head = len(whole) // 3 if in_header else len(whole)
    spoiled = data.draw(spoiled_bytes(whole[:head])) + whole[head:]
    if not in_header and data.draw(st.booleans()):
        spoiled = whole[: data.draw(st.integers(0, len(whole) - 1))]
    path.write_bytes(spoiled)
    try:
        facts = examine(path)
        facts.refuse_damage("")
        found = list(frames_of(facts))
    except UserError as error:
        assert "\n" not in str(error)
        return False
    assert len(found) == facts.info.frames == len(facts.times)
    assert all(frame.shape == (*facts.size, 3) for frame in found)
    if whole.startswith(spoiled):
        assert len(found) == len(frames) and all(map(torch.equal, found, frames))


WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}


@cases(0.1)
@given(st.data())
def test_safetensors_that_are_damaged(place, data):
    whole, path = save(WEIGHTS), place() / "w.safetensors"
    length = int.from_bytes(whole[:8], "little")
    if data.draw(st.booleans()):
        header = data.draw(spoiled_json(json.loads(whole[8 : 8 + length]))).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + length :])
    else:
        path.write_bytes(data.draw(spoiled_bytes(whole)))
    try:
        load_tensors(path)
    except UserError:
        return False


@cases(0.06)
@given(st.data())
def test_checkpoints_that_are_damaged(place, data):
    path = place() / "w.pt"
    torch.save({"model": WEIGHTS}, path)
    path.write_bytes(data.draw(spoiled_bytes(path.read_bytes())))
    try:
        read_checkpoint(path)
    except UserError:
        return False


NUMBERS = st.sampled_from([*map(str, ODD_NUMBERS), "1", "24", "nan", "x", "", "1" * 5000])
ODD_ARGUMENTS = {
    "--seed": NUMBERS, "--frames": NUMBERS, "--fps": NUMBERS, "--style": st.sampled_from(ODD_TEXTS),
    "--size": st.sampled_from(["0x0", "-8x8", "17000x17000", "8", "8x8x8", "x", "32x48", "nanx8", "1e3x8"]),
}  # fmt: skip


@cases(0.06)
@given(st.data())
def test_arguments_of_render(place, data):
    folder = place()
    name = data.draw(st.sampled_from(sorted(ODD_ARGUMENTS)))
    given_ = {"--seed": "1", "--frames": "2", "--size": "32x48", name: data.draw(ODD_ARGUMENTS[name])}
    arguments = [part for pair in given_.items() for part in pair]
    return keeps_the_promise(folder, "render", *arguments, "-o", folder / "o.mp4", outputs=("o.mp4",)) == 0


# No size and no count of controls that could be: it would be traced, which takes a minute.
ODD_CARDS = {
    "--gpu": st.one_of(NUMBERS, st.sampled_from([*ODD_TEXTS, "0GB", "1e3GB", "16GB", "RTX", "RTX 4090"])),
    "--cfg": NUMBERS, "--steps": NUMBERS, "--model": st.sampled_from(ODD_TEXTS),
    "--controls": NUMBERS.filter(lambda text: text not in ("0", "1")),
    "--size": st.sampled_from(["0x0", "-8x8", "17000x17000", "8", "8x8x8", "x", "nanx8", "1e3x8"]),
}  # fmt: skip


@cases(0.04)
@given(st.data())
def test_arguments_of_plan(place, data):
    name = data.draw(st.sampled_from(sorted(ODD_CARDS)))
    arguments = {"--model": "cosmos_transfer25", "--gpu": "24GB", name: data.draw(ODD_CARDS[name])}
    return keeps_the_promise(place(), "plan", *[f"{option}={value}" for option, value in arguments.items()]) == 0


SETTING = ("--seed", "--steps", "--strength", "--cfg", "--cache", "--realism", "--faithfulness", "--detail",
           "--noise-blend", "--prompt", "--negative", "--controls", "--device", "--handover-share")  # fmt: skip


@cases(0.06)
@given(st.data())
def test_arguments_of_enhance(place, model_folder, clip, data):
    folder = place()
    value = data.draw(st.one_of(NUMBERS, st.sampled_from(ODD_TEXTS)))
    option = data.draw(st.sampled_from(SETTING))
    arguments = ["enhance", clip, "-o", folder / "o.mp4", "--model", model_folder, "--start", "noise"]
    steps = [] if option == "--steps" else ["--steps", "1"]
    return keeps_the_promise(folder, *arguments, *steps, f"{option}={value}", outputs=("o.mp4",)) == 0


PLACES = ("c.mp4", "./c.mp4", "link.mp4", "hard.mp4", "folder", "folder/../c.mp4", "none/o.mp4", "loop.mp4",
          "a" * 250 + ".mp4", "a" * 240 + ".json", "c.mp4/o.json", "pipe.json", "guarded.json", "n\0.json", "k.mp4",
          "c_buffers/buffers.json", "c_buffers/scene.json", "o.mp4.windows/m.json", "o.json", "o.csv")  # fmt: skip


@cases(0.12)
@given(st.sampled_from(["enhance -o", "enhance --report", "metrics --json", "metrics --report", "render -o",
                        "render --buffers", "runs --csv", "runs --plots", "convert -o", "buffers -o",
                        "enhance-folder", "export", "page"]),
       st.sampled_from(PLACES))  # fmt: skip
def test_outputs_anywhere(place, clip, what, output):
    folder = place()
    shutil.copytree(clip.parent, folder, dirs_exist_ok=True)
    shutil.copy(clip, folder / "k.mp4")
    (folder / "link.mp4").symlink_to("c.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    os.link(folder / "c.mp4", folder / "hard.mp4")
    (folder / "folder").mkdir()
    (folder / "folder" / "mine.txt").write_text("kept")
    (folder / "r.json").write_text(json.dumps(REPORT))
    (folder / "w.pt").write_bytes(b"PK none")
    (folder / "guarded.json").write_text("{}")
    (folder / "guarded.json").chmod(0o444)
    os.mkfifo(folder / "pipe.json")
    command, *option = what.split()
    arguments = {
        # A device that is not there ends what gets so far before it takes long.
        "enhance": [folder / "c.mp4", *(["-o", folder / "o.mp4"] if option != ["-o"] else []), "--device", "none"],
        "metrics": [folder / "c.mp4", folder / "k.mp4", "--device", "none"],
        "render": ["--seed=1", "--frames=1", "--size=16x16", *(["-o", folder / "o.mp4"] if option != ["-o"] else [])],
        "runs": [folder / "r.json"],
        "convert": [folder / "w.pt"],
        "buffers": [folder / "c.mp4", "--depth", folder / "c_buffers" / "depth"],
        "enhance-folder": ["--device", "none", folder / "folder"],
        "export": ["--format", "cityscapes", folder / "folder"],
        "page": [],
    }[command]
    replaced = {"o.mp4", "o.json", "o.csv", "o.png"}
    if command == "render":  # it reads nothing, and replaces an older clip of that name
        replaced |= {"c.mp4", "k.mp4", "link.mp4", "hard.mp4"}
    line = [command, *arguments, *option, f"{folder}/{output}"]
    return keeps_the_promise(folder, *line, outputs=replaced, new=(output,)) == 0


@cases(0.05)
@given(st.one_of(spoiled_json(json.loads(plan_text(40, 17, 5, 4))), st.text(), st.sampled_from(ODD_TEXTS)))
@example("{" * 5000)
@example("prompt=" + "a" * 300 + "\0")
@example('{"frames": 1e400, "window": 17, "overlap": 5, "temporal_ratio": 4}')
def test_strings_of_nodes(text):
    refused = []
    for read in (read_plan, parse_settings, parse_controls, parse_seams):
        try:
            read(text)
        except UserError as error:
            refused.append(read)
            assert len(str(error)) < 2000
    return len(refused) < 4


@cases(0.05)
@given(st.data())
def test_folders_of_windows(place, data):
    folder = place()
    chunks = ChunkFolder(folder / "w", {"seed": 1})
    for index in range(2):
        chunks.save(index, Finished(torch.ones(1, 2), torch.zeros(1, 2), {"start": index}, "k"))
    (folder / "mine.safetensors").write_bytes(b"kept")
    name = data.draw(st.sampled_from(["manifest.json", "000000.safetensors"]))
    path = folder / "w" / name
    if name == "manifest.json" and data.draw(st.booleans()):
        path.write_text(data.draw(spoiled_json(json.loads(path.read_text()))))
    else:
        path.write_bytes(data.draw(spoiled_bytes(path.read_bytes())))
    try:
        again = ChunkFolder(folder / "w", {})
        found = [again.load(index, "k") for index in range(2)]
        assert all(one is None or bool((one.latent == 1).all() and (one.noise == 0).all()) for one in found)
        again.remove()
    except UserError:
        return False
    assert (folder / "mine.safetensors").read_bytes() == b"kept"


def test_the_clip_is_what_it_was(clip):
    """The last test of the file: no case has touched what it read."""
    assert media.probe(clip).frames == 5 and open_buffers(clip.parent / "c_buffers", clip).frames == 5
