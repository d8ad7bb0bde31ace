"""The page as HTML: one table of results, one of failures; styles and the few lines of script stand in it."""

from __future__ import annotations

import time
from collections import Counter
from html import escape
from pathlib import Path
from urllib.parse import quote

from .. import quarantine
from ..results import Results
from ..rows import DONE, FAILED, REJECTED
from .thumbnails import Thumbnails

_HERE = Path(__file__).parent
STATUSES = (DONE, REJECTED, FAILED)


def page(results: Results, entries: list[tuple[dict, Thumbnails]]) -> str:
    """The whole page. entries: every row with its thumbnails."""
    counts = Counter(row["status"] for row, _ in entries)
    named = (name for row, _ in entries for name, value in row["figures"].items() if value is not None)
    figures = list(dict.fromkeys(named))
    columns = ["clip", "variant", "status", "before | after", "worst frame", "verdict", *figures, "seconds", "seed"]
    head = "".join(f'<th tabindex="0">{escape(name.replace("_", " "))}</th>' for name in columns)
    body = "\n".join(_row(results, row, thumbnails, figures) for row, thumbnails in entries)
    title = escape(Path(str(results.manifest.get("input", ""))).name or results.out.name)
    table = f'<table id="results"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}: {len(entries)} results</title>",
            f"<style>{_text('page.css')}</style></head><body>",
            f"<h1>{title}</h1>",
            _summary(results, counts),
            _filters(counts),
            table if entries else "<p>No result yet.</p>",
            _failures(results, entries),
            "".join(f'<p class="failed">{escape(reason)}</p>' for reason in results.damaged),
            f"<script>{_text('page.js')}</script></body></html>\n",
        ]
    )


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _summary(results: Results, counts: Counter) -> str:
    judged = counts[DONE] + counts[REJECTED]
    clips = len(results.manifest["clips"])
    parts = [f"{clips} clip{'s' * (clips != 1)}", *(f"{counts[name]} {name}" for name in STATUSES)]
    if counts[REJECTED]:
        parts.append(f"{counts[DONE] / judged:.0%} of those judged are good enough")
    written = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    return f"<p>{', '.join(parts)}. Written {written}; load the page again for what has come since.</p>"


def _filters(counts: Counter) -> str:
    buttons = [f'<button data-show="" class="on">all {sum(counts.values())}</button>']
    buttons += [f'<button data-show="{name}">{name} {counts[name]}</button>' for name in STATUSES]
    search = '<input id="search" type="search" placeholder="clip or variant" aria-label="clip or variant">'
    return f"<p>{''.join(buttons)}{search} A click on a column's head sorts by it.</p>"


def _row(results: Results, row: dict, thumbnails: Thumbnails, figures: list[str]) -> str:
    output = row.get("output") if results.output_of(row) is not None else None
    name = escape(row["id"])
    clip = f'<a href="{quote(output)}">{name}</a>' if output else name
    failed_checks = {check.get("name") for check in _checks(row) if check.get("passed") is False}
    cells = [
        f"<td>{clip}</td>",
        f"<td>{escape(row['variant'])}</td>",
        f'<td class="{escape(row["status"])}">{escape(row["status"])}</td>',
        f"<td>{_picture(thumbnails.middle, 'before and after')}</td>",
        _sortable(thumbnails.frame, _worst(thumbnails)),
        f"<td>{_verdict(row)}</td>",
        *(_figure(row["figures"].get(name), name in failed_checks) for name in figures),
        _figure((row.get("timings") or {}).get("seconds"), False),
        f"<td>{escape(str(row.get('seed', '')))}</td>",
    ]
    return f'<tr data-status="{escape(row["status"])}">{"".join(cells)}</tr>'


def _picture(path: str | None, what: str) -> str:
    return f'<img loading="lazy" src="{quote(path)}" alt="{what}">' if path else ""


def _worst(thumbnails: Thumbnails) -> str:
    picture = _picture(thumbnails.worst, "worst frame, before and after")
    return picture and f"{picture}<small>frame {thumbnails.frame}</small>"


def _sortable(value: float | None, shown: str, kind: str = "") -> str:
    number = "" if value is None else f' data-value="{value!r}"'
    return f"<td{number}{kind}>{shown}</td>"


def _figure(value: object, failed: bool) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "<td></td>" if value is None else f"<td>{escape(str(value))}</td>"
    return _sortable(value, f"{value:.4g}", ' class="failed"' if failed else "")


def _checks(row: dict) -> list[dict]:
    return (row.get("verdict") or {}).get("checks") or []


def _verdict(row: dict) -> str:
    """Why it was rejected or failed; else how many checks it passed."""
    if row.get("reason"):
        return escape(str(row["reason"]))
    checks = _checks(row)
    passed, missing = (sum(check.get("passed") is value for check in checks) for value in (True, None))
    attempts = (row.get("verdict") or {}).get("attempts") or 1
    again = f", best of {attempts}" if attempts > 1 else ""
    lacking = f", {missing} could not be made" if missing else ""
    return f"{passed} of {len(checks) - missing} checks passed{lacking}{again}" if checks else ""


def _failures(results: Results, entries: list[tuple[dict, Thumbnails]]) -> str:
    """The quarantine's last line on every result that is not there."""
    there = {(row["id"], row["variant"]) for row, _ in entries if row["status"] != FAILED}
    lines = {(line["id"], line["variant"]): line for line in quarantine.lines(results.out)}
    rows = [
        "<tr>"
        + "".join(f"<td>{escape(str(line.get(name, '')))}</td>" for name in ("id", "variant", "reason", "attempts"))
        + f"<td><code>{escape(str(line.get('command', '')))}</code></td></tr>"
        for key, line in lines.items()
        if key not in there
    ]
    if not rows:
        return ""
    names = ("clip", "variant", "why", "attempts", "what does the same again")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f"<h2>Quarantine</h2><table><tr>{head}</tr>{''.join(rows)}</table>"
