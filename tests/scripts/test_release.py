"""Nobody publishes under a placeholder: one script fills it in, in all files at once, and says where it is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest
import release

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copied(tmp_path):
    for name in release.FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_publishing_is_refused_until_the_owner_is_filled_in(copied, capsys):
    assert release.main(["--check"], copied) == 1
    assert "pyproject.toml:" in capsys.readouterr().err
    assert release.main(["some-account"], copied) == 0
    assert release.main(["--check"], copied) == 0
    text = (copied / "pyproject.toml").read_text(encoding="utf-8")
    assert 'PublisherId = "some-account"' in text and "https://github.com/some-account/ComfyUI-VideoRealism" in text
    assert "https://github.com/some-account/" in (copied / "README.md").read_text(encoding="utf-8")
    assert release.main(["another"], copied) == 2


@pytest.mark.parametrize("owner", ["", "a b", "a--b", "a-", "a/b", "OWNER", "x" * 40])
def test_what_is_no_account_s_name_is_refused_and_nothing_is_written(copied, owner):
    before = [(copied / name).read_bytes() for name in release.FILES]
    assert release.main([owner] if owner else [], copied) == 2
    assert before == [(copied / name).read_bytes() for name in release.FILES]


def test_no_other_file_waits_for_an_owner():
    listed = subprocess.run(["git", "grep", "-lw", release.PLACEHOLDER], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode > 1:
        pytest.skip("no git checkout")
    own = {"scripts/release.py", "tests/scripts/test_release.py"}
    assert set(listed.stdout.split()) - own <= set(release.FILES)
