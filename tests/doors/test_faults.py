"""Kills, terms, full and read-only disks, two writers: one sentence, the right exit code, and nothing half-made."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from launcher import ROOT, Launcher

from pipeline_core.__main__ import main
from pipeline_core.errors import UserError
from pipeline_core.job import run as job_run
from pipeline_core.video import media
from pipeline_core.video.files import atomic_file, atomic_folder, remove_unfinished, write_text

KILLS = int(os.environ.get("FAULTS", 1))  # `make fuzz` takes more
OTHERS = max(1, KILLS * 2 // 5)  # terms, interrupts, full disks
WINDOW = 6000  # bytes: the output of a job here is larger, so that it never fits below a limit under that


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "s.mp4"
    media.write_clip(path, torch.rand(13, 32, 48, 3, generator=torch.Generator().manual_seed(0)), 12.5)
    return path


@pytest.fixture(scope="module")
def command(source, model_folder):
    return ["enhance", str(source), "--model", str(model_folder), "--steps", "12", "--start", "noise", "-o"]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "o.mp4"
    assert main([*command, str(path)]) == 0
    return media.read_clip(path)


def started(arguments, *before):
    python = [sys.executable, *(before or ("-m", "pipeline_core"))]
    pipe = subprocess.PIPE
    return subprocess.Popen([*python, *map(str, arguments)], cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def launch():
    with Launcher() as launcher:
        yield launcher


@pytest.mark.parametrize(
    "number, code, rounds",
    [(signal.SIGTERM, 130, OTHERS), (signal.SIGINT, 130, OTHERS), (signal.SIGKILL, -9, KILLS)],
    ids=["term", "int", "kill"],
)
def test_ended_at_any_moment_it_goes_on_to_the_same_file(
    launch, command, whole, tmp_path, record_property, number, code, rounds
):
    ends = Counter()
    for seed in range(rounds):
        target, windows = tmp_path / f"{seed}.mp4", tmp_path / f"{seed}.mp4.windows"

        def meanwhile(kill):
            # By how far it is and not by the clock alone: a busy machine takes ten times as long. One that gets
            # nowhere is ended too, and fails below.
            pick, begun = random.Random(seed), time.monotonic()
            count = pick.randrange(4)  # of the 3 windows; the last moments are those of the output
            while len(list(windows.glob("*.safetensors"))) < count and time.monotonic() < begun + 300:
                if target.exists():
                    break
                time.sleep(0.002)
            time.sleep(pick.random() * (0.02 if count == 3 else 0.3))
            with suppress(ProcessLookupError):  # it may have been done already
                kill(number)

        ended, said = launch([*command, target], meanwhile)
        # Before the command has begun and after it is done, the system ends the process itself.
        outside = code == 130 and ended == -number and not windows.is_dir()
        assert (outside or ended in (0, code)) and "Traceback" not in said, said
        if ended == 130:
            kept = "; finished windows are kept, and the same command goes on from them" if windows.is_dir() else ""
            assert said.splitlines()[-1] == f"cancelled{kept}"
        ends["in time" if target.exists() else "with windows" if windows.is_dir() else "before the first window"] += 1
        # Whole or not there at all; it may be there and the command not yet done.
        assert torch.equal(media.read_clip(target), whole) if target.exists() else ended != 0
        assert main([*command, str(target)]) == 0
        assert torch.equal(media.read_clip(target), whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{seed}.mp4" for seed in range(rounds))
    record_property("ends", {"signal": number.name, **ends})


# Stands still where it is to import one module, and says so.
IMPORTING = """
import sys, time
class Waiting:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            print("importing", flush=True)
            time.sleep(60)
wanted = sys.argv.pop(1)
sys.meta_path.insert(0, Waiting())
from pipeline_core.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("module", ["pipeline_core.cli.commands", "numpy", "torch", "pipeline_core.cli.render"])
def test_cancelled_while_it_imports_it_ends_with_130_and_promises_nothing(command, tmp_path, module, number):
    process = started([module, *command, tmp_path / "o.mp4"], "-c", IMPORTING)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == 130 and said == "cancelled\n"
    assert list(tmp_path.iterdir()) == []


# A signal that comes while Python is in a destructor or in a library that catches everything.
LOST = """
import os, signal, sys
import pipeline_core.job.run as run
from pipeline_core.__main__ import main
way, number, inputs = sys.argv.pop(1), int(sys.argv.pop(1)), run.window_inputs
class Left:
    def __del__(self):
        os.kill(os.getpid(), number)
        [None for _ in range(100)]
def lost(*arguments):
    if way == "destructor":
        Left()
    else:
        try:
            os.kill(os.getpid(), number)
            [None for _ in range(100)]
        except BaseException:
            pass
    return inputs(*arguments)
run.window_inputs = lost
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("way, number", [("destructor", signal.SIGTERM), ("library", signal.SIGINT)])
def test_a_cancel_that_is_swallowed_is_heard_at_the_next_step(command, tmp_path, way, number):
    process = started([way, int(number), *command, tmp_path / "o.mp4"], "-c", LOST)
    said = process.communicate()[1]
    assert process.returncode == 130 and "Traceback" not in said and said.splitlines()[-1] == "cancelled", said
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing_but_whole_windows(
    launch, command, whole, tmp_path, record_property
):
    limits = [0, 100, 3000, *(random.Random(seed).randrange(WINDOW) for seed in range(OTHERS - 3))]
    for limit in limits:
        code, said = launch([*command, tmp_path / "o.mp4"], limit=limit)
        errors = [line for line in said.splitlines() if "error: " in line]
        assert len(errors) == 1 and "Traceback" not in said, said
        left = [path for path in tmp_path.rglob("*") if path.name != "manifest.json"]
        assert code == 2 and not (tmp_path / "o.mp4").exists() and not [path for path in left if path.suffix == ".part"]
        assert all(any(path.iterdir()) for path in left if path.is_dir())
    assert main([*command, str(tmp_path / "o.mp4")]) == 0  # with the disk free again it goes on
    assert torch.equal(media.read_clip(tmp_path / "o.mp4"), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["o.mp4"]
    record_property("ends", {"full disk": len(limits)})


def test_a_full_stdout_and_a_reader_that_left_are_one_sentence(tmp_path):
    arguments = [sys.executable, "-m", "pipeline_core", "runs", str(ROOT / "models" / "none.json")]
    (tmp_path / "r.json").write_text('{"figures": {}}')
    arguments[-1] = str(tmp_path / "r.json")
    with open("/dev/full", "w") as full:
        done = subprocess.run(arguments, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stderr.splitlines() == ["error: A file found the disk full: free some space "
                                                                 "or choose another folder."]  # fmt: skip
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(arguments, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "stopped reading" in done.stderr


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_takes_no_file_is_one_sentence_before_any_work(command, tmp_path, monkeypatch, capsys, number):
    def refused(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "touch", refused)
    monkeypatch.setattr("pipeline_core.cli.enhance.examine", lambda path: pytest.fail("it began to work"))
    assert main([*command, str(tmp_path / "o.mp4")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith(f"error: The path {tmp_path / 'o.mp4'} for the enhanced clip "), said


def test_a_folder_of_windows_that_is_not_ours_is_refused_before_any_work(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "o.mp4.windows").mkdir()
    (tmp_path / "o.mp4.windows" / "mine.txt").write_text("kept")
    monkeypatch.setattr("pipeline_core.cli.enhance.load_video_model", lambda *_: pytest.fail("it began to work"))
    assert main([*command, str(tmp_path / "o.mp4")]) == 2
    assert "is no folder of finished windows" in capsys.readouterr().err
    assert (tmp_path / "o.mp4.windows" / "mine.txt").read_text() == "kept"


def meanwhile(monkeypatch, act):
    """Call `act` once, when a job has begun to make its second window."""
    inputs = job_run.window_inputs

    def acting(job, index, clip):
        if index == 1:
            act()
        return inputs(job, index, clip)

    monkeypatch.setattr(job_run, "window_inputs", acting)


def test_a_source_that_becomes_another_meanwhile_is_refused_and_the_next_run_is_of_the_new_one(
    command, source, tmp_path, monkeypatch, capsys
):
    mine, other, target = tmp_path / "s.mp4", tmp_path / "other.mp4", tmp_path / "o.mp4"
    shutil.copy(source, mine)
    media.write_clip(other, torch.rand(13, 32, 48, 3, generator=torch.Generator().manual_seed(1)), 12.5)
    again = [command[0], str(mine), *command[2:], str(target)]
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda: shutil.copy(other, mine))
        assert main(again) == 2
    assert "s.mp4 has changed since the job began" in capsys.readouterr().err and not target.exists()
    assert main(again) == 0
    assert main([command[0], str(other), *command[2:], str(tmp_path / "fresh.mp4")]) == 0
    assert torch.equal(media.read_clip(target), media.read_clip(tmp_path / "fresh.mp4"))


def test_a_clock_that_is_set_back_and_a_source_that_is_touched_or_removed_change_nothing(
    command, source, whole, tmp_path, monkeypatch
):
    mine = tmp_path / "s.mp4"
    for name, act in (("back", lambda: os.utime(mine, (0, 0))), ("gone", mine.unlink)):
        shutil.copy(source, mine)
        with monkeypatch.context() as patch:
            meanwhile(patch, act)
            assert main([command[0], str(mine), *command[2:], str(tmp_path / f"{name}.mp4")]) == 0
        assert torch.equal(media.read_clip(tmp_path / f"{name}.mp4"), whole)


def test_windows_of_a_time_to_come_are_gone_on_from(command, whole, tmp_path):
    target = tmp_path / "o.mp4"
    assert main([*command, str(target), "--keep-windows"]) == 0
    for path in (tmp_path / "o.mp4.windows").iterdir():
        os.utime(path, (2**33, 2**33))
    assert main([*command, str(target)]) == 0 and torch.equal(media.read_clip(target), whole)


def test_two_writers_of_one_output_the_second_is_refused_and_the_first_undisturbed(tmp_path):
    with atomic_file(tmp_path / "o.mp4") as unfinished:
        unfinished.write_bytes(b"first")
        with pytest.raises(UserError, match="Another run is writing"):
            remove_unfinished(tmp_path / "o.mp4")
    assert (tmp_path / "o.mp4").read_bytes() == b"first"
    (tmp_path / ".o.mp4.0badcafe.part").write_bytes(b"left by a kill")
    remove_unfinished(tmp_path / "o.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["o.mp4"]


def test_a_folder_is_filled_as_a_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "report"
    for text in ("first", "second"):
        with atomic_folder(folder) as unfinished:
            write_text(unfinished / "a.txt", text)
            (unfinished / "inner").mkdir()
            write_text(unfinished / "inner" / "b.txt", text)
        (folder / "mine.txt").write_text("kept")
    with pytest.raises(KeyboardInterrupt):
        with atomic_folder(folder) as unfinished:
            write_text(unfinished / "a.txt", "third")
            raise KeyboardInterrupt
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.txt")}
    assert found == {"report/a.txt": "second", "report/inner/b.txt": "second", "report/mine.txt": "kept"}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_demo_that_is_cancelled_leaves_nothing(tmp_path, monkeypatch):
    def cancelled(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline_core.cli.demo.enhance_file", cancelled)
    assert main(["demo", "--frames", "5", "-o", str(tmp_path / "deep" / "demo")]) == 130
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_in_a_finished_window_is_computed_again_and_said(command, whole, tmp_path, capsys):
    target = tmp_path / "o.mp4"
    assert main([*command, str(target), "--keep-windows"]) == 0
    window = tmp_path / "o.mp4.windows" / "000001.safetensors"
    content = bytearray(window.read_bytes())
    content[-5] ^= 4
    window.write_bytes(content)
    (tmp_path / "o.mp4.windows" / "notes.txt").write_text("mine")
    capsys.readouterr()
    assert main([*command, str(target)]) == 0
    said = capsys.readouterr().out
    assert "window 2 was damaged" in said and "was left, for something else is in it" in said
    assert torch.equal(media.read_clip(target), whole)
    assert [path.name for path in (tmp_path / "o.mp4.windows").iterdir()] == ["notes.txt"]
