"""Oracle: tqdm's own count after the callback was called as long work calls it."""

import tqdm

from pipeline_core.progress import bar


def test_the_bar_follows_the_callback(monkeypatch):
    made = []

    class Recorded(tqdm.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": False})
            made.append(self)

    monkeypatch.setattr(tqdm, "tqdm", Recorded)
    with bar("metrics") as progress:
        progress(16, 19)
        progress(19, 19)
        assert (made[0].n, made[0].total) == (19, 19)


def test_it_is_silent_without_a_terminal(capsys):
    with bar("metrics") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""
