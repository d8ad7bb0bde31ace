"""Every command on the pages: carried out in one folder of small clips, or taken by its own parser.

A page's blocks say which after their language (docs/development.md). `run` is carried out with a tiny network and few
steps, a folder of clips up to its plan; tests/batch/test_first_dataset.py carries out first-dataset.md whole.
"""

import re
import runpy
import shlex
import subprocess

import pytest
from carla_town import write_town
from page_commands import (
    CLASSES,
    OURS,
    ROOT,
    blocks,
    commands,
    commands_of_class,
    inline_commands,
    options_of,
    pages,
    parse_only,
)

from pipeline_core.__main__ import main
from pipeline_core.models.folders import loading

ELSEWHERE = {"git", "pip", "cd", ".", "ffmpeg", "hf"}
PAGES = [page for page in pages() if page.name != "first-dataset.md"]
TOWN = 5  # frames
names = {"ids": lambda page: str(page.relative_to(ROOT))}


def all_of(name):
    return [pytest.param(line, id=f"{page.name}: {line}") for page in pages() for line in commands_of_class(page, name)]


@pytest.mark.parametrize("page", pages(), **names)
def test_every_block_of_commands_has_a_class_and_no_command_stands_outside_one(page):
    for block in blocks(page):
        if block.language == "sh":
            assert len(block.words) == 1 and block.words[0] in CLASSES, block.text
            for command in commands(block.text):
                ours = shlex.split(command)[0] in OURS
                assert ours != (block.words[0] == "elsewhere"), command
        else:
            assert not re.search(r"^(python|make) ", block.text, re.MULTILINE), block.text
    assert not re.search(r"^    (python|make) ", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("command", all_of("elsewhere"))
def test_other_programs_are_the_ones_we_know(command):
    assert shlex.split(command)[0] in ELSEWHERE


@pytest.mark.parametrize("command", all_of("parse"))
def test_a_command_is_taken_by_its_own_parser(command):
    parse_only(command)


@pytest.mark.parametrize("page", pages(), **names)
def test_options_that_the_text_names_exist(page):
    for command in inline_commands(page):
        named = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", command)) - {"-m"}
        assert named <= {"--help", *re.findall(r"--?[a-z][\w-]*", options_of(command))}, command


def test_a_renamed_option_and_a_renamed_command_would_fail():
    for wrong in ("enhance a.mp4 -o b.mp4 --realness 1", "improve a.mp4 -o b.mp4", "enhance a.mp4"):
        with pytest.raises(SystemExit):
            parse_only(f"python -m pipeline_core {wrong}")
    with pytest.raises(SystemExit):
        parse_only("python benchmarks/detail.py --no-such-option")
    for wrong in ("python -m pipeline_core improve", "python -m training.no", "make no", "python scripts/no.py"):
        with pytest.raises((ValueError, ImportError, OSError, subprocess.CalledProcessError)):
            options_of(wrong)
    assert "--no-such-option" not in options_of("python benchmarks/detail.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the pages take for there: a clip with and one without buffers, a recording, a recipe."""
    folder = tmp_path_factory.mktemp("pages")
    for name, frames in (("drive", 5), ("long", 9)):
        files = ["-o", str(folder / f"{name}.mp4"), "--buffers", str(folder / f"{name}_buffers")]
        assert main(["render", "--seed", "1", "--frames", str(frames), "--size", "64x96", *files]) == 0
    write_town(folder, TOWN, (48, 80))
    (folder / "recipe.yaml").write_text("looks: [day]\ngate: false\n")
    return folder


@pytest.mark.parametrize("page", PAGES, **names)
def test_the_commands_of_a_page_run_in_the_order_of_the_pages(page, folder, model_folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    quick = ["--model", str(model_folder), "--steps", "2", "--method", "euler"]
    smaller = {
        "enhance": [*quick, "--inversion-steps", "2"],
        "enhance-folder": [*quick, "--dry-run"],
        "render": ["--frames", "3", "--size", "32x48"],
        "render-cg": ["--frames", "3", "--size", "32x48", "--clips", "1", "--quality", "low"],
    }
    for command in commands_of_class(page, "run"):
        python, module, package, *words = shlex.split(command)
        assert (python, module, package) == ("python", "-m", "pipeline_core")
        assert main([*words, *smaller.get(words[0], [])]) == 0, (command, capsys.readouterr().err)
        for output in re.findall(r"-o (\S+)|--(?:json|report|buffers) (\S+)", command):
            assert (folder / (output[0] or output[1])).exists(), command


@pytest.mark.parametrize("page", pages(), **names)
def test_python_on_a_page_runs(page, tmp_path, monkeypatch, model_folder):
    monkeypatch.chdir(tmp_path)
    tiny = loading.load_video_model(model_folder)
    monkeypatch.setattr(loading, "load_video_model", lambda: tiny)
    (tmp_path / "page.py").write_text("".join(block.text for block in blocks(page) if block.language == "python"))
    runpy.run_path("page.py")
