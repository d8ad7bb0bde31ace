"""Finished windows on disk: found under their key only, whole or not at all, and nobody else's folder is touched."""

import json

import pytest
import torch

from pipeline_core.errors import UserError
from pipeline_core.longvideo import ChunkFolder, Finished
from pipeline_core.longvideo.chunks import MANIFEST, hash_of


def window(seed, key="k"):
    latent, noise = torch.randn(2, 1, 4, 2, 3, 3, generator=torch.Generator().manual_seed(seed)).unbind()
    return Finished(latent, noise.double(), {"start": seed, "calls": [1, 2.5]}, key)


def same(a, b):
    return torch.equal(a.latent, b.latent) and torch.equal(a.noise, b.noise) and (a.entry, a.key) == (b.entry, b.key)


def test_what_was_saved_is_found_again_under_its_key_only(tmp_path):
    folder = ChunkFolder(tmp_path / "w", {"seed": 1})
    assert folder.load(0, "k") is None and not (tmp_path / "w").exists()
    for i in range(3):
        folder.save(i, window(i))
    folder.save(1, window(7, "other"))
    again = ChunkFolder(tmp_path / "w", {})
    assert again.count == 3 and same(again.load(0, "k"), window(0)) and same(again.load(1, "other"), window(7, "other"))
    assert again.load(1, "k") is None and again.load(3, "k") is None
    assert json.loads((tmp_path / "w" / MANIFEST).read_text())["about"] == {"seed": 1}
    again.remove()
    assert not list(tmp_path.iterdir())


def test_damage_costs_the_damaged_window_and_no_other(tmp_path):
    folder = ChunkFolder(tmp_path, {})
    for i in range(3):
        folder.save(i, window(i))
    whole = (tmp_path / "000001.safetensors").read_bytes()
    (tmp_path / "000001.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "000002.safetensors").unlink()
    (tmp_path / ".000003.safetensors.abcd.part").write_bytes(b"half")
    again = ChunkFolder(tmp_path, {})
    assert [again.load(i, "k") is not None for i in range(4)] == [True, False, False, False]
    for text in ("", "[]", '{"version": 0, "windows": []}', '{"version": 1, "windows": [{}]}'):
        (tmp_path / MANIFEST).write_text(text)
        assert ChunkFolder(tmp_path, {}).count == 0


def test_a_folder_that_is_something_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"picture")
    with pytest.raises(UserError, match="move it away"):
        ChunkFolder(tmp_path, {})
    with pytest.raises(UserError, match="move it away"):
        ChunkFolder(tmp_path / "holiday.jpg", {})
    assert (tmp_path / "holiday.jpg").read_bytes() == b"picture"


def test_the_hash_tells_apart_what_differs_in_any_way():
    a = torch.tensor([1.0, 2.0])
    parts = [(a,), (a.double(),), (a[None],), (a + 1,), (a, a), ("ab",), ("a", "b"), ("a", "b", ""), ()]
    assert len({hash_of(*p) for p in parts}) == len(parts)
    assert hash_of("x", torch.arange(6).reshape(2, 3).T) == hash_of("x", torch.arange(6).reshape(2, 3).T.contiguous())
