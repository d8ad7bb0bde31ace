"""The converter: released names in, safetensors out, and one sentence for everything else, with nothing executed."""

import io
import os
import pickle
import zipfile

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transfer1_plain import CONTROL_BLOCKS, WIDTH, base_weights, control_weights, released

from pipeline_core.__main__ import main
from pipeline_core.errors import UserError
from pipeline_core.models.released.convert import convert_transfer1, read_checkpoint, read_header
from pipeline_core.models.released.transfer1 import (
    NetworkSize,
    expected_shapes,
    modality_of,
    network_size,
    token_weights,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    torch.save(released(control_weights(1), "net."), folder / "edge_control.pt")
    torch.save(released(base_weights(2), "base_model.net."), folder / "base_model.pt")
    return folder


def refusal(path, target=None, **options):
    with pytest.raises(UserError) as raised:
        convert_transfer1(path, target or path.with_suffix(".safetensors"), **options)
    message = str(raised.value)
    assert "\n" not in message and message.count(". ") == 0 and message.endswith("."), message
    assert not list(path.parent.glob(".*.part"))
    return message


def test_a_released_control_comes_back_bit_for_bit(folder, tmp_path):
    made = convert_transfer1(folder / "edge_control.pt", tmp_path / "edge.safetensors")
    found, wanted = load_file(made.path), control_weights(1)
    own = {f"net.{name}": value for name, value in wanted.items() if not name.startswith("final_layer.")}
    assert found.keys() == own.keys() and made.tensors == len(own)
    assert all(torch.equal(found[name], own[name]) for name in own)
    assert (made.size.kind, made.size.blocks, made.size.width, made.modality) == (
        "control",
        CONTROL_BLOCKS,
        WIDTH,
        "edge",
    )
    with safe_open(made.path, "pt") as file:
        assert file.metadata()["network"] == "cosmos-transfer1-control"
    assert os.listdir(tmp_path) == ["edge.safetensors"]
    (tmp_path / "plain").touch()
    assert made.path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_base_gets_the_names_comfyui_looks_for(folder, tmp_path):
    made = convert_transfer1(folder / "base_model.pt", tmp_path / "base.safetensors")
    found, wanted = load_file(made.path), base_weights(2)
    assert found.keys() == {f"net.{name}" for name in wanted}
    assert all(torch.equal(found[f"net.{name}"], wanted[name]) for name in wanted)


@pytest.mark.parametrize("wrap", [lambda s: {"model": s}, lambda s: {"ema": {k.replace(".", "-"): s[k] for k in s}}])
def test_a_training_checkpoint_is_unwrapped(wrap, tmp_path):
    state = {f"net.{name}": value for name, value in control_weights(1).items()}
    torch.save(wrap(state), tmp_path / "seg_control.pt")
    made = convert_transfer1(tmp_path / "seg_control.pt", tmp_path / "out.safetensors")
    assert made.modality == "segmentation" and made.size.kind == "control"


def test_a_file_with_both_networks_asks_which(tmp_path):
    both = released(control_weights(1), "net.") | released(base_weights(2), "base_model.net.")
    torch.save(both, tmp_path / "both.pt")
    assert "--part" in refusal(tmp_path / "both.pt")
    for part in ("control", "base"):
        assert convert_transfer1(tmp_path / "both.pt", tmp_path / f"{part}.safetensors", part).size.kind == part


@pytest.mark.parametrize("dtype, kind", [("bf16", torch.bfloat16), ("fp8_e4m3fn", torch.float8_e4m3fn)])
def test_weights_change_type_as_asked(folder, tmp_path, dtype, kind):
    made = convert_transfer1(folder / "edge_control.pt", tmp_path / "edge.safetensors", dtype=dtype)
    found = load_file(made.path)
    assert found["net.blocks.block0.blocks.0.block.attn.to_q.0.weight"].dtype == kind == made.dtype
    assert found["net.zero_blocks.block0.weight"].dtype == torch.bfloat16
    again = convert_transfer1(made.path, tmp_path / "wide.safetensors", dtype="fp32")
    exact = control_weights(1)["blocks.block0.blocks.0.block.attn.to_q.0.weight"]
    error = load_file(again.path)["net.blocks.block0.blocks.0.block.attn.to_q.0.weight"] - exact
    assert error.abs().max() < (0.01 if dtype == "bf16" else 0.1) * exact.abs().max()


@pytest.mark.parametrize(
    "size, billion",
    [
        (NetworkSize(4096, 32, 3, 16384, 1024, 256, 17, (120, 120, 128), hint=128), 0.890),
        (NetworkSize(4096, 32, 28, 16384, 1024, 256, 17, (120, 120, 128), answer=16), 7.236),
        (NetworkSize(4096, 32, 3, 16384, 1024, 256, 16, (120, 120, 128), hint=16), 0.888),  # Sample-AV's
    ],
)
def test_the_released_sizes_are_read_from_their_shapes(size, billion):
    shapes = expected_shapes(size)
    assert network_size(shapes, size.kind) == size
    width, lora = size.width, 256
    block = (4 + 2 + 8) * width**2 + 2 * width * 1024 + 3 * (lora * width + lora * 3 * width) + 4 * 128
    ends = 4 * width**2 + width + 368 * width + 4 * (size.latent + 1) * width
    if size.hint:
        hint = 16 * width + 16 + 272 + 544 + 1056 + 3168 + 9312 + 24832 + 257 * width
        ends += 4 * (size.hint + 1) * width + hint + 3 * (width**2 + width)
    else:
        ends += 64 * width + lora * width + 2 * width * lora
    total = sum(torch.Size(shape).numel() for shape in shapes.values())
    assert total == size.blocks * block + ends
    assert round(total / 1e9, 3) == billion


# -- what is refused ------------------------------------------------------------------------------------------------


def changed(change):
    state = released(control_weights(1), "net.")
    change(state)
    return state


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("net.zero_blocks.block1.bias"), "lacks the tensor net.zero_blocks.block1.bias"),
        (lambda s: s.pop("net.x_embedder2.proj.1.weight"), "lacks the tensor net.x_embedder2.proj.1.weight"),
        (
            lambda s: s.pop("net.blocks.block0.blocks.0.block.attn.to_q.0.weight"),
            "lacks the tensor net.blocks.block0.blocks.0.block.attn.to_q.0.weight",
        ),
        (lambda s: s.update({"net.surprise.weight": torch.ones(2)}), "has the unknown tensor net.surprise.weight"),
        (lambda s: s.update({"surprise": torch.ones(2)}), "has the unknown tensor surprise"),
        (lambda s: s.update({"net.affline_norm.weight": torch.ones(7)}), "net.affline_norm.weight has the shape (7,)"),
        (
            lambda s: s["net.zero_blocks.block0.weight"].fill_(float("nan")),
            "net.zero_blocks.block0.weight holds NaN or Inf",
        ),
        (lambda s: s.pop("net.blocks.block1.blocks.2.block.layer1.weight"), "blocks.block1.blocks.2.block.layer1"),
    ],
)
def test_a_missing_or_unknown_key_is_named(change, words, tmp_path):
    torch.save(changed(change), tmp_path / "edge_control.pt")
    assert words in refusal(tmp_path / "edge_control.pt")


@pytest.mark.parametrize(
    "state, words",
    [
        ({"blocks.0.attn.to_q.lora_A.weight": torch.ones(1)}, "is a LoRA"),
        ({"net.blocks.block0.blocks.0.block.attn.to_q.0.lora_A.weight": torch.ones(1)}, "is a LoRA"),
        ({"encoder.conv1.weight": torch.ones(1), "decoder.conv1.weight": torch.ones(1)}, "is a VAE"),
        ({"shared.weight": torch.ones(1), "encoder.block.0.layer.0.weight": torch.ones(1)}, "is a text encoder"),
        (
            {"transformer_blocks.0.attn1.to_q.weight": torch.ones(1)},
            "is another model (it has the tensor transformer_blocks.0.attn1.to_q.weight, in diffusers what this "
            "release calls blocks.block0.blocks.0.block.attn.to_q.0.weight)",
        ),
        ({"net.blocks.0.mlp.layer1.weight": torch.ones(1)}, "is another model"),
        ({}, "holds no tensors"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_another_kind_of_file_is_called_by_its_name(state, words, suffix, tmp_path):
    path = tmp_path / f"file{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    assert words in refusal(path, tmp_path / "out.safetensors")


class Evil:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def evil_archives(trace):
    """Ways to hide a call: beside good weights, in old formats, under a name built at run time, in a second file."""
    good = released(control_weights(1), "net.")
    zipped = io.BytesIO()
    torch.save({**good, "net.evil": Evil(trace)}, zipped)
    yield "posix.system", zipped.getvalue()
    yield "zip format", pickle.dumps({"evil": Evil(trace)})
    old = io.BytesIO()
    torch.save({"evil": Evil(trace)}, old, _use_new_zipfile_serialization=False)
    yield "zip format", old.getvalue()
    newer = io.BytesIO()
    torch.save({**good, "net.evil": Evil(trace)}, newer, pickle_protocol=4)
    yield "that it hides", newer.getvalue()
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for content in (pickle.dumps(Evil(trace), 2), pickle.dumps({}, 2)):
            archive.writestr("archive/data.pkl", content)
    yield "two files of one name", twice.getvalue()


def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path):
    trace = tmp_path / "it_ran"
    for words, content in evil_archives(trace):
        path = tmp_path / "edge_control.pt"
        path.write_bytes(content)
        assert words in refusal(path)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["edge_control.pt"]
    torch.save({"evil": Evil(trace)}, tmp_path / "evil.pt")
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert trace.exists()  # the trap itself works


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_download_that_stopped_is_refused(folder, tmp_path, share):
    whole = (folder / "edge_control.pt").read_bytes()
    (tmp_path / "edge_control.pt").write_bytes(whole[: int(len(whole) * share)])
    assert "download it again" in refusal(tmp_path / "edge_control.pt")
    made = convert_transfer1(folder / "edge_control.pt", tmp_path / "whole.safetensors").path
    whole = made.read_bytes()
    made.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match="download it again"):
        read_header(made)
    assert "download it again" in refusal(made, tmp_path / "out.safetensors")


def test_a_program_and_a_missing_file_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "autoencoder.jit", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"autoencoder/{name}", pickle.dumps({}, 2))
    with pytest.raises(UserError, match="is a TorchScript program"):
        read_checkpoint(tmp_path / "autoencoder.jit")
    assert "does not exist" in refusal(tmp_path / "nothing.pt")


def test_a_failure_keeps_the_file_that_was_there(folder, tmp_path, monkeypatch):
    target = tmp_path / "edge.safetensors"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="No space left on device"):
        convert_transfer1(folder / "edge_control.pt", target)
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["edge.safetensors"]


def test_the_command_says_what_it_made_and_refuses_with_exit_code_2(folder, tmp_path, capsys):
    target = tmp_path / "edge_control.safetensors"
    assert main(["convert", str(folder / "edge_control.pt"), "-o", str(target), "--dtype", "bf16"]) == 0
    said = capsys.readouterr().out
    assert "edge control: 3 blocks of width 24" in said and "models/controlnet" in said and target.is_file()
    assert main(["convert", str(folder / "base_model.pt"), "-o", str(tmp_path / "base.safetensors")]) == 0
    assert "models/diffusion_models" in capsys.readouterr().out
    for arguments in (
        [target],
        [folder / "edge_control.pt", "-o", tmp_path / "x.pt"],
        [folder / "edge_control.pt", "-o", tmp_path / "no" / "x.safetensors"],
        [folder / "edge_control.pt", "-o", tmp_path / "x.safetensors", "--part", "base"],
        [tmp_path / "nothing.pt"],
    ):
        assert main(["convert", *map(str, arguments)]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1 and said[0].startswith("error: "), said


def test_a_control_says_by_its_name_what_it_follows():
    names = ("Edge_Control.pt", "seg_control.pt", "cosmos_depth.safetensors", "vis_control.pt", "x.pt")
    assert [modality_of(name) for name in names] == ["edge", "segmentation", "depth", "vis", ""]


def test_weight_maps_follow_the_release():
    """A map that is linear in time and place has its value at each token's middle; the first frame stands alone."""
    frames, height, width = 17, 32, 48
    t, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (frames, height, width)), indexing="ij")
    found = token_weights(0.1 * t + 0.2 * y + 0.3 * x, (3, 4, 6))
    assert found.shape == (3, 2, 3)
    rows, columns = torch.arange(2) * 16 + 7.5, torch.arange(3) * 16 + 7.5
    for frame, time in ((0, 0.0), (1, 4.5), (2, 12.5)):
        wanted = 0.1 * time + 0.2 * rows[:, None] + 0.3 * columns
        torch.testing.assert_close(found[frame], wanted, rtol=1e-6, atol=1e-5)
    still = token_weights(torch.rand(1, height, width), (3, 4, 6))
    assert torch.equal(still[0], still[1]) and torch.equal(still[0], still[2])
    assert token_weights(torch.ones(1, 16, 16), (1, 2, 2)).tolist() == [[[1.0]]]
    with pytest.raises(UserError, match="4 frames and the latent stands for 17"):
        token_weights(torch.ones(4, 16, 16), (3, 2, 2))
