"""The table of long edits runs on a tiny model, and what was measured is not measured again."""

import json

from benchmarks import edits_long, longvideo


def test_rows_are_of_their_hand_overs_and_are_kept(edit_model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(edits_long, "edit_folder", lambda: edit_model_folder)
    monkeypatch.setattr(longvideo, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(longvideo, "SIZE", (32, 48))
    result = tmp_path / "long.json"
    arguments = ["--scenes", "1", "--frames", "17", "--steps", "8", "--overlap", "1", "--rows", "1,3,7"]
    arguments += ["--json", str(result)]
    edits_long.main(arguments)
    rows = {row["row"]: row for row in json.loads(result.read_text())["rows"]}
    assert list(rows) == [list(edits_long.METHODS)[number] for number in (0, 2, 6)]
    assert all(row["at_seams"] > 0 for row in rows.values())
    monkeypatch.setattr(longvideo, "measured", None)
    edits_long.main(arguments)
    assert {row["row"]: row for row in json.loads(result.read_text())["rows"]} == rows
