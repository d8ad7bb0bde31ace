"""The atomic write: nobody ever sees half a file, and a failure leaves nothing."""

import json
import math
import os
import stat
import sys
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline_core.errors import UserError
from pipeline_core.video.files import atomic_file, remove_unfinished, unfinished_name, write_json, write_text

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with atomic_file(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old" and unfinished.parent == tmp_path
    assert path.read_text() == "new" and names(tmp_path) == ["report.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_and_the_old_file_as_it_was(tmp_path, error):
    path = tmp_path / "a.txt"
    for before in ([], ["a.txt"]):
        with pytest.raises(error), atomic_file(path) as unfinished:
            unfinished.write_text("half")
            raise error
        assert names(tmp_path) == before
        path.write_text("old")
    assert path.read_text() == "old"


def test_a_replacement_that_fails_leaves_nothing_either(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "taken", "x")
    assert names(tmp_path) == ["taken"]


def test_a_writer_may_delete_its_unfinished_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a") as unfinished:
        unfinished.unlink()
    assert names(tmp_path) == []


def test_two_writers_at_once_never_share_a_name_and_one_of_them_wins(tmp_path):
    path, barrier = tmp_path / "a.txt", threading.Barrier(8)
    texts = [str(number) * 100_000 for number in range(8)]

    def write(text):
        barrier.wait()
        write_text(path, text)

    threads = [threading.Thread(target=write, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts and names(tmp_path) == ["a.txt"]
    assert len({unfinished_name(path) for _ in range(50)}) == 50


@posix
def test_a_new_file_has_the_mode_of_any_new_file_even_from_a_writer_that_makes_private_ones(tmp_path):
    with open(tmp_path / "plain", "w"):
        pass
    path = tmp_path / "a.safetensors"
    with atomic_file(path) as unfinished:
        save_file({"x": torch.ones(2)}, unfinished)
        unfinished.chmod(0o600)
    assert mode(path) == mode(tmp_path / "plain") and load_file(path)["x"].tolist() == [1, 1]


@posix
@pytest.mark.parametrize("kept", [0o600, 0o664, 0o644])
def test_a_replaced_file_keeps_its_mode(tmp_path, kept):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(kept)
    write_text(path, "new")
    assert mode(path) == kept and path.read_text() == "new"


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="The output folder .*none does not exist: create it first"):
        write_text(tmp_path / "none" / "a.txt", "x")
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "clip[1].mp4"
    for file in (unfinished_name(path), unfinished_name(path), unfinished_name(tmp_path / "clip1.mp4"), path):
        file.touch()
    remove_unfinished(path)
    left = names(tmp_path)
    assert len(left) == 2 and left[0].startswith(".clip1.mp4.") and left[1] == "clip[1].mp4"


def test_json_is_written_whole_and_has_no_nan(tmp_path):
    path = tmp_path / "r.json"
    write_json(path, {"a": 1, "b": None})
    assert json.loads(path.read_text()) == {"a": 1, "b": None} and path.read_text().endswith("}\n")
    with pytest.raises(ValueError):
        write_json(path, {"a": math.nan})
    assert json.loads(path.read_text())["a"] == 1 and os.listdir(tmp_path) == ["r.json"]
