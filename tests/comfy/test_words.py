"""The words that Video Metrics begins with: of what was measured, and of nothing else. No server is needed."""

from nodes.shared.figures import node_text, words


def figure(value):
    return {"value": value, "unit": "", "better": "higher", "note": ""}


def test_words_tell_what_was_measured_and_leave_out_what_was_not():
    figures = {
        "to the source": {"edge_f1": figure(0.94), "chroma_ratio": figure(1.5), "hue_distance": figure(None)},
        "objects": {"lights_kept": figure(1.0), "signs_kept": figure(0.8), "vehicles_kept": figure(None)},
        "realism": {"critic": figure(0.99)},
    }
    report = {"figures": figures, "lost": []}
    expected = ["edges kept 94%", "lights kept 100%, signs kept 80%", "colours 1.50 x as strong"]
    assert words(report) == [*expected, "photoreal to the critic 99%"]
    assert node_text(report).splitlines()[0] == expected[0] and "2 more figures" in node_text(report)


def test_a_report_without_any_of_them_has_no_words():
    report = {"figures": {"time": {"flicker": figure(0.1)}}}
    assert words(report) == [] and node_text(report).splitlines()[0] == "time"
