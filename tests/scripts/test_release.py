"""Nobody publishes under a placeholder: one script fills it in, in all files at once, and says where it is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import release

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
    assert release.main(["another"], copied) == 2


def test_one_place_in_the_metadata_and_all_addresses_follow_from_it(copied):
    assert sum(place.startswith("pyproject.toml:") for place in release.unfilled(copied)) == 1
    before = tomllib.loads((copied / "pyproject.toml").read_text(encoding="utf-8"))
    release.main(["some-account"], copied)
    filled = tomllib.loads((copied / "pyproject.toml").read_text(encoding="utf-8"))
    comfy, urls = filled["tool"]["comfy"], filled["project"].pop("urls")
    assert comfy["PublisherId"] == "some-account" and all(comfy.values())
    assert urls["Repository"] == "https://github.com/some-account/ComfyUI-VideoRealism"
    addresses = [*urls.values(), comfy.pop("Icon"), comfy.pop("Banner")]
    assert all(address.startswith("https://") and "/some-account/" in address for address in addresses)
    for address in addresses[-2:]:
        assert (ROOT / address.partition("/main/")[2]).is_file()
    comfy["PublisherId"] = release.PLACEHOLDER
    assert filled == before


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
