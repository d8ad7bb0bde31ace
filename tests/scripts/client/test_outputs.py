"""Where output files go, whatever the server calls them, and what is left of one that did not arrive."""

import pytest

from client.errors import ClientError
from client.files import complete_file
from client.outputs import output_path


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/evil.png", "..\\evil.png", "C:evil.png", "a/b/evil.png"])
def test_outputs_never_leave_the_folder(tmp_path, name):
    taken = set()
    assert output_path(tmp_path, name, "7", taken) == tmp_path / "evil.png"
    assert output_path(tmp_path, "evil.png", "9:../2", taken).parent == tmp_path
    assert len(taken) == 2


@pytest.mark.parametrize("name", ["..", ".", "", "a/.."])
def test_outputs_without_a_file_name_are_refused(tmp_path, name):
    with pytest.raises(ClientError, match="no file name"):
        output_path(tmp_path, name, "7", set())


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_text("before")
    with pytest.raises(KeyError), complete_file(path) as partial:
        partial.write_text("half")
        raise KeyError
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"] and path.read_text() == "before"
    with complete_file(path) as partial:
        partial.write_text("whole")
        assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"] and path.read_text() == "whole"
