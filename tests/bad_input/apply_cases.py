"""Rows of the bad-input table for ``milopyp apply``."""

from __future__ import annotations

from bad_input.builders import COORDINATES, Build, Case, both, edited, picked, text
from bad_input.expected import FROM_INFER, IMAGE_NAME, LIST, NUMBER, RUN, TEXT
from milopyp_shared.errors import ContradictionError, InputError, UsageError

APPLY = "milopyp apply picks e.tsv"
SCORED = COORDINATES.replace("\n", " score\n")
PUBLISHED = b'{"limit": 900, "nms": 3, "cutoff_z": 10, "fibre": null}'


def edits(rows: str, header: str = SCORED) -> Build:
    """``e.tsv``, and a run over the tomogram ``a`` with a candidate at 10, 10, 8."""
    return both(picked("a.mrc"), text("e.tsv", header + rows))


CASES = [
    Case("edits of no run", APPLY, InputError, "picks", RUN, text("e.tsv", SCORED + "a 1 2 3 1\n")),
    Case("edits of a damaged record", APPLY, InputError, "picks/records/a.json", FROM_INFER,
         both(edits("a 1 2 3 1\n"), text("picks/records/a.json", "{"))),
    Case("edits without candidates", APPLY, InputError, "picks/a.candidates.csv", "a table written by milopyp-infer",
         both(edits("a 1 2 3 1\n"), text("picks/a.candidates.csv", "1,2,3\n"))),
    Case("neither edits nor undo", "milopyp apply picks", UsageError, "picks", "EDITS, a list of picks, or --undo",
         picked("a.mrc")),
    Case("edits and undo", f"{APPLY} --undo", UsageError, "EDITS and --undo", "one of them", edits("a 1 2 3 1\n")),
    Case("nothing to undo", "milopyp apply picks --undo", InputError, "picks", "a run that milopyp apply has changed",
         picked("a.mrc")),
    Case("edits that are not there", APPLY, InputError, "e.tsv", LIST, picked("a.mrc")),
    Case("edits that are a model", APPLY, InputError, "e.tsv", TEXT, both(picked("a.mrc"), text("e.tsv", b"\0\1"))),
    Case("edits of one tomogram, as a table", APPLY, InputError, "e.tsv, line 1",
         "the header 'image_name x_coord y_coord z_coord'", edits("1,2,3,0.5\n", "x,y,z,score\n")),
    Case("edits without a row", APPLY, InputError, "e.tsv", "at least one row", edits("")),
    Case("edits of an unknown tomogram", APPLY, InputError, "e.tsv", "names of finished tomograms of picks: a",
         edits("a 1 2 3 1\nb 1 2 3 1\n"), facts=("has picks of b",)),
    Case("edits with a name that climbs", APPLY, InputError, "e.tsv, line 2", IMAGE_NAME, edits("../a 1 2 3 1\n")),
    Case("edits whose head names a tomogram that climbs", APPLY, InputError, "e.tsv", IMAGE_NAME,
         edits("a 1 2 3 1\n", "# tomograms:\ta\t../a\n" + SCORED)),
    Case("edits whose head names an unknown tomogram", APPLY, InputError, "e.tsv",
         "names of finished tomograms of picks: a", edits("a 1 2 3 1\n", "# tomograms:\ta\tb\n" + SCORED),
         facts=("has picks of b",)),
    Case("edits with NaN", APPLY, InputError, "e.tsv, line 3", NUMBER, edits("a 1 2 3 1\na 1 nan 3 1\n")),
    Case("edits with a score that is NaN", APPLY, InputError, "e.tsv, line 2", NUMBER, edits("a 1 2 3 nan\n")),
    Case("edits that are cut short", APPLY, InputError, "e.tsv, line 3",
         "values for image_name x_coord y_coord z_coord", edits("a 1 2 3 1\na 10 10\n")),
    Case("edits that hold and do not hold a pick", APPLY, InputError, "e.tsv, line 2",
         "coordinates, or one row of none", edits("a none none none none\na 1 2 3 1\n")),
    Case("edits outside the tomogram", APPLY, ContradictionError, "e.tsv, a",
         "positions inside 32 x 32 x 16 voxels (order xyz)", edits("a 10 10 8 0.9\na 40 2 3 1\n"),
         facts=("1 of 2 picks", "40.0, 2.0, 3.0")),
    Case("many edits outside the tomogram", APPLY, ContradictionError, "e.tsv, a",
         "positions inside 32 x 32 x 16 voxels (order xyz)", edits("a 40 2 3 1\n" * 200_000),
         facts=("200000 of 200000 picks",)),
    Case("edits of another run", APPLY, InputError, "e.tsv",
         "picks of this run's page, and the score 1 for those by hand", edits("a 10.5 10 8 0.9\na 1 2 3 1\n"),
         facts=("1 of 1 pick of a with a score", "10.50, 10.00, 8.00", "milopyp report")),
    Case("edits of a run as the published program picks", APPLY, InputError, "picks", "a run without it",
         both(edits("a 1 2 3 1\n"), edited("picks/records/a.json", lambda stored: stored.replace(
             b'"published": null', b'"published": ' + PUBLISHED))),
         facts=("a was picked with milopyp-infer --published",)),
]  # fmt: skip
