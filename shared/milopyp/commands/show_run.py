"""What a run of picking says of itself: how it was picked, what has been chosen since, what is in it."""

from __future__ import annotations

from pathlib import Path

from milopyp_inference.batch.chosen import as_chosen, written_words
from milopyp_inference.batch.folder_doubts import folder_doubts
from milopyp_inference.batch.records import Picked, RunSummary
from milopyp_shared.names import listed
from milopyp_shared.wording import counted


def describe_run(summary: RunSummary, folder: Path) -> str:
    """The summary of a run for people, one fact per line."""
    stays = as_chosen(summary.call, summary.typed, summary, summary.model_sha256).stays
    levels = sorted({level for own in summary.tomograms for level in getattr(own, "warnings", ()) if " W15 " in level})
    mended = [
        f"{own.name} ({own.applied.words})" for own in summary.tomograms if isinstance(own, Picked) and own.applied
    ]
    rows = [
        ("run", f"{folder}: {counted(summary.picks, 'pick')} in {counted(summary.done, 'tomogram')}"),
        ("model", "; ".join(f"{model} ({counted(count, 'tomogram')})" for model, count in summary.models) or "-"),
        (
            "suggested",
            "-" if summary.suggested is None else f"{summary.suggested.score:.2f} ({summary.suggested.basis})",
        ),
        ("written", written_words(summary.options)),
        ("chosen", ", ".join(stays) or "nothing since the last milopyp-infer"),
        ("by hand", listed(mended) if mended else "nothing"),
        ("names", summary.named or "as the files"),
        ("failed", listed(summary.failed) if summary.failed else "none"),
        ("grey levels", listed(levels) if levels else "no doubt"),
        *(("doubt", doubt.removeprefix(f"{folder}: ")) for doubt in folder_doubts(folder, summary)),
    ]
    return "\n".join(f"{title:<12}{text}" for title, text in rows)
