"""The promise of the command line, held to one call: one sentence, exit code 2, nothing lost, nothing half-written."""

import contextlib
import io
import os
from pathlib import Path

from pipeline_core.__main__ import main


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, links and folders among them, by its name."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in folder.rglob("*")
        if not path.is_symlink() or path.is_file()
    }


def keeps_the_promise(folder: Path, *arguments, outputs=(), new=()) -> int:
    """Run a command in this process on files in `folder`; AssertionError unless it ends as promised.

    outputs: names in the folder that it may write when it succeeds; new: others that it may make, a folder with all
    that is in it, but not change. Returns the exit code.
    """
    before, stdout, stderr = contents(folder), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            code = main([os.fspath(argument) for argument in arguments])
            usage = False
        except SystemExit as end:  # argparse, with its usage
            code, usage = end.code, True
    said = [line for line in stderr.getvalue().splitlines() if "error: " in line]
    assert code in (0, 2), (arguments, code)
    assert "Traceback" not in stderr.getvalue(), stderr.getvalue()
    after = contents(folder)
    if code == 2:
        assert len(said) == 1 and "memory is used up" not in said[0], (arguments, said)
        assert usage or said[0].startswith("error: ") and said[0].rstrip().endswith("."), said
        assert after == before, (arguments, said, set(after) ^ set(before))
    for name in after.keys() - before.keys():
        parts = [Path(name), *Path(name).parents]
        assert any(str(part) in (*outputs, *new) for part in parts), (arguments, f"{name} was left")
    for name, content in before.items():
        assert name in outputs or after.get(name) == content, (arguments, f"{name} was changed")
    return code
