"""Outputs that would destroy something are refused; what can be written is what really can."""

import argparse
import os
from pathlib import Path

import pytest

from pipeline_core.cli import enhance, metrics
from pipeline_core.doors import check_paths, writable
from pipeline_core.errors import UserError


def refused(reads, writes, folders=None):
    try:
        check_paths(reads, writes, folders)
    except UserError:
        return True
    return False


def test_an_output_is_no_input_by_whatever_name(tmp_path):
    source = tmp_path / "c.mp4"
    source.write_bytes(b"clip")
    os.link(source, tmp_path / "hard.mp4")
    (tmp_path / "soft.mp4").symlink_to(source)
    (tmp_path / "here").symlink_to(tmp_path)
    for name in ("c.mp4", "./c.mp4", "hard.mp4", "soft.mp4", "here/c.mp4", "here/soft.mp4"):
        assert refused({"the input": source}, {"-o": tmp_path / name}), name
    assert not refused({"the input": source}, {"-o": tmp_path / "d.mp4", "--report": None})


def test_outputs_are_distinct_and_not_inside_each_others_folders(tmp_path):
    (tmp_path / "here").symlink_to(tmp_path)
    assert refused({}, {"-o": tmp_path / "o", "--report": tmp_path / "here" / "o"})
    assert refused({}, {"-o": tmp_path / "f" / "o.mp4"}, {"--buffers": tmp_path / "f"})
    assert refused({"--depth": tmp_path / "f" / "depth"}, {}, {"-o": tmp_path / "here" / "f"})
    assert not refused({}, {"-o": tmp_path / "o.mp4"}, {"--buffers": tmp_path / "f"})


def test_a_file_in_a_folder_that_is_read_is_kept_and_a_new_one_beside_it_allowed(tmp_path):
    (tmp_path / "buffers.json").write_text("{}")
    assert refused({"--buffers": tmp_path}, {"--json": tmp_path / "buffers.json"})
    assert not refused({"--buffers": tmp_path}, {"--json": tmp_path / "new.json"})


@pytest.mark.parametrize(
    "command, line, outputs",
    [(enhance, ["c.mp4", "-o", "o.mp4"], {"output", "report"}), (metrics, ["c.mp4", "d.mp4"], {"json", "report"})],
)
def test_whatever_path_a_command_reads_is_none_of_its_outputs(tmp_path, command, line, outputs):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    (tmp_path / "x").write_text("mine")
    inputs = {action.dest for action in parser._actions if action.type is Path} - outputs
    assert "c.mp4" in {str(getattr(parser.parse_args(line), name)) for name in inputs}
    for name in inputs:
        for output in outputs:
            options = parser.parse_args(line)
            setattr(options, name, tmp_path / "x")
            setattr(options, output, tmp_path / "x")
            with pytest.raises(UserError, match="itself and would be written over|would be replaced"):
                command.check_outputs(options)


def test_names_that_differ_in_case_are_one_where_the_disk_says_so(tmp_path, monkeypatch):
    pair = {"-o": tmp_path / "o.json", "--report": tmp_path / "O.JSON"}
    assert not refused({}, pair)
    monkeypatch.setattr("pipeline_core.doors.paths._ignores_case", lambda folder: True)
    assert refused({}, pair)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said_before_and_leaves_nothing(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    (tmp_path / "guarded.json").write_text("{}")
    (tmp_path / "guarded.json").chmod(0o400)
    os.mkfifo(tmp_path / "pipe")
    before = sorted(path.name for path in tmp_path.iterdir())
    bad = {
        "none/x": "does not exist", ".": "is a folder", "loop": "link that leads to itself", "clip.mp4/x": "exist",
        "guarded.json": "write-protected", "pipe": "device or pipe", "a" * 250: "too long", "x" * 242: "too long",
        "n\0": "character", "clip.mp4": "something else",
    }  # fmt: skip
    for name, said in bad.items():
        with pytest.raises(UserError, match=said):
            writable(f"{tmp_path}/{name}", "the report")
    assert writable(tmp_path / ("x" * 240), "the report") and writable(tmp_path / "f", "the report", folder=True)
    assert writable(tmp_path / "clip.mp4", "the clip", suffixes=(".mp4",))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with pytest.raises(UserError, match="/dev/null is a device"):
        writable("/dev/null", "the report")
