"""How the form of SimDrop is chosen: on figures whose answer is known."""

import json

import pytest

from benchmarks import simdrop
from benchmarks.simdrop import OFF, RANGES, chosen, forms, guidance_of, holds, promises, tune
from pipeline_core.diffusion import CFG


def figures(name, critic=0.9, frechet=10.0, edge_f1=0.92, colours=0.95, reference="LoRA"):
    values = {"row": name, "critic": critic, "frechet": frechet, "edge_f1": edge_f1, "colours": colours}
    return values | {"form": {"reference": reference}}


def test_the_best_of_those_that_hold_is_chosen_and_none_where_none_does():
    off = figures(OFF)
    rows = [off, figures("far", 0.99, 12.1), figures("edges", 0.99, 10, 0.90), figures("grey", 0.99, 10, 0.92, 0.93)]
    assert chosen(rows) is None and not any(holds(row, off) for row in rows[1:])
    good, better, worse = figures("good", 0.93, 11.9), figures("better", 0.95, 9.0), figures("worse", 0.89)
    assert chosen([*rows, good, better, worse])["row"] == "better"
    prompt = figures("prompt", 0.92, reference="prompt")
    assert chosen([*rows, better, prompt], ["prompt"]) == prompt and chosen([*rows, better], ["prompt"]) is None


def test_promises_are_held_by_what_holds():
    held = {promise.name: promise.held for promise in promises([figures(OFF), figures("chosen", 0.95, 11.0)])}
    assert len(held) == 4 and all(held.values())
    assert not all(promise.held for promise in promises([figures(OFF), figures("chosen", 0.95, 13.0)]))
    assert promises([figures(OFF)]) == []


def test_every_form_asks_for_its_reference_within_its_levels_alone():
    assert not any(form["reference"] == "LoRA" for form in forms(False).values())
    for form in forms(True).values():
        guidance = guidance_of(form)
        branch = "inversion" if form["reference"] == "prompt" else "reference"
        assert branch in guidance.branches(1.0)
        if RANGES[form["range"]]:
            high = RANGES[form["range"]][1]
            assert branch not in guidance.branches(2 * high) and guidance.branches(2 * high) == CFG(1.0).branches()
    assert len({str(form) for form in forms(True).values()}) == len(forms(True))


def test_names_of_forms_say_what_they_are():
    assert "LoRA 0.3 texture, without low frequencies, contrast held" in forms(True)
    assert "prompt 0.03 everywhere" in forms(False)
    with pytest.raises(KeyError):
        guidance_of({"reference": "prompt", "weight": 0.1, "range": "nowhere", "low": 0.0, "rescale": 0.0})


def test_rows_are_written_as_they_are_measured_and_not_measured_again(tmp_path, monkeypatch):
    path, about, asked = tmp_path / "tuned.json", {"seeds": [1, 2], "reference": None}, []
    candidates = {"good": {"weight": 0.1, "reference": "LoRA"}, "stops": {"weight": 0.3, "reference": "LoRA"}}

    def measured(bench, name, form):
        if name == "stops" and len(asked) < 3:
            raise KeyboardInterrupt
        asked.append(name)
        return {**figures(name, 0.95 if name == "good" else 0.9), "form": form}

    monkeypatch.setattr(simdrop, "row", measured)
    with pytest.raises(KeyboardInterrupt):
        tune(None, candidates, path, about)
    written = json.loads(path.read_text())
    assert [row["row"] for row in written["rows"]] == [OFF, "good"] and written["form"] == candidates["good"]
    asked.append("a second run")
    assert len(tune(None, candidates, path, about)) == 3 and asked == [OFF, "good", "a second run", "stops"]
    asked.clear()
    tune(None, {"good": candidates["good"]}, path, {**about, "seeds": [3]})
    assert asked == [OFF, "good"]  # other scenes: from the start
