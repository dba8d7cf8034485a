"""`milopyp apply`: picks that were mended on the page, put into the run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import imodmodel
import numpy as np
import pytest
import starfile

from milopyp.run_edits import threshold_said
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.formats.candidates import read_candidates, write_candidates
from milopyp_shared.picks import Picks
from running import Outcome, outputs, run_line, tree
from threshold_toys import INFER, change, cut, infer, record, write_run, write_tomograms
from toys import TOY

HEADER = "image_name\tx_coord\ty_coord\tz_coord\tscore"
BY_HAND = (12.0, 10.5, 11.25)
SAVED = "picks_above_0.500.tsv"

Row = tuple[float, float, float, float]


@pytest.fixture(autouse=True)
def picks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over two tomograms, one of them with another axis order; five candidates of each score above 0.5."""
    monkeypatch.chdir(tmp_path)
    write_run()
    for name in ("xyz", "xzy"):
        path = Path(f"picks/{name}.candidates.csv")
        xyz = read_candidates(path).xyz
        write_candidates(path, Picks(xyz, np.linspace(0.93, 0.05, len(xyz)) - 0.003 * (name == "xzy")))
    cut("--value 0.5")
    return tmp_path / "picks"


def candidates(name: str) -> list[Row]:
    """Best first, as the table has them."""
    found = read_candidates(Path(f"picks/{name}.candidates.csv"))
    return [(*xyz, score) for xyz, score in zip(found.xyz.tolist(), found.score.tolist(), strict=True)]


def above(name: str, threshold: float) -> list[Row]:
    """Candidates that a page without edits shows as picks."""
    shown = record(name)["suppression_distance"]
    kept: list[Row] = []
    for row in candidates(name):
        if all(np.linalg.norm(np.subtract(row[:3], own[:3])) >= shown for own in kept):
            kept.append(row)
    return [row for row in kept if row[3] > threshold]


def save_all(wanted: dict[str, list[Row]], threshold: float | None = 0.5, path: str = SAVED) -> None:
    """What the page's button writes."""
    lines = [HEADER] if threshold is None else [f"# picks above {threshold} and by hand", HEADER]
    for name, rows in wanted.items():
        lines += ["\t".join([name, *["none"] * 4])] * (not rows)
        lines += ["\t".join([name, *(f"{value:.2f}" for value in row[:3]), f"{row[3]:.6f}"]) for row in rows]
    Path(path).write_text("\n".join(lines) + "\n")


def apply(words: str = f"picks {SAVED}") -> Outcome:
    outcome = run_line(f"milopyp apply {words}")
    assert outcome.code == 0, outcome.err
    return outcome


def assert_picks(name: str, wanted: Iterable[Row], folder: str = "picks") -> None:
    """The model holds these picks, as an independent reader has them, and no others."""
    columns = [0, 2, 1] if name == "xzy" else [0, 1, 2]
    rows = np.array([row[:3] for row in wanted]).reshape(-1, 3)[:, columns] + [0.5, 0.5, 0.0]
    found = np.empty((0, 3))
    if len(rows):  # imodmodel reads no model without points
        found = imodmodel.read(f"{folder}/{name}.mod")[["x", "y", "z"]].to_numpy()
    assert len(found) == len(rows) == sum(map(bool, Path(f"{folder}/{name}.txt").read_text().splitlines()))
    apart = np.abs(found[:, None] - rows).max(axis=2)
    assert (np.sort(apart, axis=1)[:, :1] < 0.01).all()
    assert (np.sort(apart, axis=0)[:1] < 0.01).all()


def of_one_each() -> dict[str, list[Row]]:
    """The best pick taken out, a weak candidate put in, one added by hand; in the other tomogram nothing changed."""
    shown = above("xyz", 0.0)
    weak = next(row for row in shown if row[3] <= 0.5)
    return {"xyz": [*above("xyz", 0.5)[1:], weak, (*BY_HAND, 1.0)], "xzy": above("xzy", 0.5)}


def test_the_picks_of_the_run_are_those_of_the_list() -> None:
    wanted = of_one_each()
    save_all(wanted)
    before = tree(Path("picks"))
    said = apply()
    assert "xyz: 1 taken out, 1 put in, 1 added by hand: 6 picks" in said.out
    assert "1 tomogram of 2 changed, 11 picks" in said.out
    assert_picks("xyz", wanted["xyz"])
    changed = {name for name, content in tree(Path("picks")).items() if before[name] != content}
    assert changed == {"xyz.txt", "xyz.mod", "records/xyz.json", "run.json"}
    assert np.loadtxt("picks/xyz.txt")[0, 3] == 1.0  # by hand, and best first
    applied = record("xyz")["applied"]
    assert applied["file"] == SAVED
    assert applied["edits"]["by_hand"] == [list(BY_HAND)]
    assert (len(applied["edits"]["taken_out"]), len(applied["edits"]["put_in"])) == (1, 1)
    assert record("xyz")["picks"] == 6
    assert json.loads(Path("picks/run.json").read_text())["picks"] == 11
    shown = run_line("milopyp show picks")
    assert f"xyz (1 taken out, 1 put in, 1 added by hand, of {SAVED}" in shown.out


def test_the_same_list_again_changes_nothing() -> None:
    save_all(of_one_each())
    apply()
    before = tree(Path("picks"))
    assert "0 tomograms of 2 changed" in apply().out
    assert tree(Path("picks")) == before


def test_a_dry_run_only_counts() -> None:
    save_all(of_one_each())
    before = tree(Path("picks"))
    said = apply(f"picks {SAVED} --dry-run")
    assert "xyz: 1 taken out, 1 put in, 1 added by hand\n1 tomogram of 2 would be changed in picks" in said.out
    assert tree(Path("picks")) == before


def test_edits_stay_whatever_threshold_is_chosen() -> None:
    wanted = of_one_each()
    save_all(wanted)
    apply()
    best, weak = above("xyz", 0.5)[0], wanted["xyz"][-2]
    for value in (0.05, 0.3, 0.5, 0.9):
        said = cut(f"--value {value}")
        assert "(1 taken out, 1 put in, 1 added by hand, which stays)" in said.out
        mended = ({*above("xyz", value)} - {best}) | {weak, (*BY_HAND, 1.0)}
        assert_picks("xyz", mended)
        assert_picks("xzy", above("xzy", value))
    cut("--value 0.3 --out other")
    assert_picks("xyz", ({*above("xyz", 0.3)} - {best} | {(*BY_HAND, 1.0)}), "other")


def test_no_candidate_comes_beside_a_pick_by_hand() -> None:
    """Or one particle would be picked twice when the threshold is lowered."""
    weak = above("xyz", 0.0)[-2]
    beside = (weak[0] + 2, weak[1] - 1, weak[2], 1.0)
    save_all({"xyz": [*above("xyz", 0.5), beside]})
    apply()
    cut("--value 0.05")
    assert_picks("xyz", ({*above("xyz", 0.05)} - {weak} | {beside}))


def test_what_is_wanted_beside_a_pick_by_hand_stays() -> None:
    rows = above("xyz", 0.5)
    wanted = [*rows, (rows[0][0] + 1, *rows[0][1:3], 1.0)]
    save_all({"xyz": wanted})
    apply()
    assert_picks("xyz", wanted)


def test_a_total_counts_what_was_put_in() -> None:
    save_all(of_one_each())
    apply()
    cut("--total 8")
    assert sum(len(np.loadtxt(f"picks/{name}.txt", ndmin=2)) for name in ("xyz", "xzy")) == 8
    refused = run_line("milopyp threshold picks --total 1")
    assert refused.code == 2
    assert "2 picks put in with milopyp apply, which stay" in refused.err


def test_a_tomogram_without_a_pick() -> None:
    save_all({"xyz": [], "xzy": above("xzy", 0.5)})
    assert "xyz: 5 taken out: 0 picks" in apply().out
    assert_picks("xzy", above("xzy", 0.5))
    assert Path("picks/xyz.txt").read_text() == ""


def test_another_axis_order_and_other_formats() -> None:
    cut("--format tbl,relion5")
    wanted = [(*BY_HAND, 1.0), *above("xzy", 0.5)[:2]]
    save_all({"xzy": wanted})
    before = tree(Path("picks"))
    apply()
    assert_picks("xzy", wanted)
    assert len(starfile.read("picks/xzy.star")) == len(np.loadtxt("picks/xzy.tbl", ndmin=2)) == 3
    apply("picks --undo")
    assert tree(Path("picks")) == before


def test_the_threshold_of_the_page_is_that_of_the_run_if_it_shows_all_of_it() -> None:
    before = tree(Path("picks"))
    save_all({name: above(name, 0.3) for name in ("xyz", "xzy")}, 0.3)
    assert "picks above 0.3, as on the page" in apply().out
    assert record("xyz")["options"]["selection"]["threshold"] == 0.3
    assert record("xyz")["applied"]["edits"] == {"taken_out": [], "put_in": [], "by_hand": []}
    assert json.loads(Path("picks/run.json").read_text())["options"]["selection"]["threshold"] == 0.3
    apply("picks --undo")
    assert tree(Path("picks")) == before


def test_the_threshold_of_a_page_of_some_tomograms_is_theirs_alone() -> None:
    """`milopyp-infer`, given again, would cut others back otherwise."""
    save_all({"xyz": above("xyz", 0.3)}, 0.3)
    assert "xyz: 3 put in: 8 picks" in apply().out
    assert record("xyz")["options"]["selection"]["threshold"] == 0.5


def test_a_tomogram_that_is_only_named_has_no_picks() -> None:
    """The page writes no row of it, because one would tell a training that it holds no particle."""
    save_all({"xyz": above("xyz", 0.5)})
    Path(SAVED).write_text(Path(SAVED).read_text().replace("\n", "\n# tomograms:\txyz\txzy\n", 1))
    assert "xzy: 5 taken out: 0 picks" in apply().out
    assert_picks("xzy", [])


def test_a_tomogram_that_is_only_named_is_not_labelled() -> None:
    save_all({"xyz": above("xyz", 0.5)})
    Path(SAVED).write_text(Path(SAVED).read_text().replace("\n", "\n# tomograms:\txyz\txzy\n", 1))
    write_tomograms()
    outcome = run_line(f"milopyp prepare -d . -e .mrc -o round2 --picks {SAVED} --no-pictures")
    assert (outcome.code, "xzy.mrc has no picks" in outcome.err) == (0, True)
    assert list(read_coordinate_list("round2_train_coords.txt")) == ["xyz"]


def test_undo_goes_back_by_one_list() -> None:
    save_all(of_one_each())
    apply()
    first = tree(Path("picks"))
    save_all({"xyz": [], "xzy": []}, path="none.tsv")
    apply("picks none.tsv")
    assert "xyz: 1 taken out, 1 put in, 1 added by hand: 6 picks" in apply("picks --undo").out
    assert tree(Path("picks")) == first
    apply("picks --undo")
    refused = run_line("milopyp apply picks --undo")
    assert (refused.code, "nothing was applied" in refused.err) == (2, True)


def test_an_edit_is_kept_by_a_later_list_of_another_threshold() -> None:
    """What was taken out stays out though the next page, with a higher threshold, does not show it."""
    best, *others = above("xyz", 0.5)
    save_all({"xyz": [best, *others[:-1]]})
    apply()
    cut("--value 0.9")
    save_all({"xyz": [best, (*BY_HAND, 1.0)]}, None)
    apply()
    cut("--value 0.5")
    assert_picks("xyz", [best, *others[:-1], (*BY_HAND, 1.0)])


def test_picks_that_were_moved_and_picks_that_are_there_twice_are_said() -> None:
    first, second, *others = above("xyz", 0.5)
    moved = (first[0] + 1.5, *first[1:])
    save_all({"xyz": [moved, second, *others, second]})
    said = apply()
    assert f"{SAVED}: 1 pick of xyz with a score at no candidate: added by hand" in said.err
    assert f"{SAVED}: 1 pick of xyz given twice, and counted once" in said.err
    assert_picks("xyz", [moved, second, *others])


def test_a_model_that_was_mended_in_3dmod_can_be_applied() -> None:
    others = above("xyz", 0.5)[1:]
    write_tomograms()
    run_line("milopyp convert picks/xyz.mod all.csv --tomogram xyz.mrc")
    rows = Path("all.csv").read_text().splitlines()
    Path("mended.csv").write_text("\n".join([*rows[:3], *rows[4:]]))
    assert run_line("milopyp convert mended.csv mended.mod --tomogram xyz.mrc").code == 0
    assert run_line("milopyp convert mended.mod mended.tsv --tomogram xyz.mrc --name xyz").code == 0
    assert "xyz: 1 taken out: 4 picks" in apply("picks mended.tsv").out
    assert_picks("xyz", others)


def test_undo_leaves_a_threshold_that_was_chosen_since() -> None:
    save_all(of_one_each())
    apply()
    cut("--value 0.3")
    apply("picks --undo")
    assert_picks("xyz", above("xyz", 0.3))


def test_files_that_a_person_has_changed_are_kept() -> None:
    mine = change("xyz.mod")
    save_all(of_one_each())
    said = apply()
    assert "xyz.mod is not as it was written: kept as xyz_changed.mod" in said.err
    assert Path("picks/xyz_changed.mod").read_bytes() == mine


@pytest.mark.parametrize("threshold", [None, 0.3, 0.5])
def test_applied_and_undone_every_file_is_as_it_was(threshold: float | None) -> None:
    before, random = tree(Path("picks")), np.random.default_rng(5)
    for names in (("xyz", "xzy"), ("xzy",)) * 3:
        share = random.random()
        wanted = {
            name: [row for row in above(name, 0.0) if random.random() < share]
            + [(*np.round(place, 2).tolist(), 1.0) for place in random.uniform(0, 23, (random.integers(4), 3))]
            for name in names
        }
        save_all(wanted, threshold)
        apply()
        for name, rows in wanted.items():
            assert_picks(name, rows)
        apply("picks --undo")
        assert tree(Path("picks")) == before


def test_picking_again_leaves_what_was_mended() -> None:
    save_all(of_one_each())
    apply()
    mended = outputs(Path("picks"))
    assert "xyz is already done: 6 picks" in infer().out
    assert outputs(Path("picks")) == mended
    infer("--format", "tbl")
    assert len(np.loadtxt("picks/xyz.tbl", ndmin=2)) == 6


@pytest.mark.parametrize("more", ["", "--workers 2"])
def test_picked_anew_the_edits_are_lost_and_the_files_kept(more: str) -> None:
    save_all(of_one_each())
    apply()
    mended = Path("picks/xyz.mod").read_bytes()
    write_tomograms()
    said = run_line(f"{INFER} {more}", "--overwrite")
    assert said.code == 0
    assert "xyz is picked anew, without what milopyp apply has changed (1 taken out, 1 put in, 1 added" in said.err
    assert "xyz.mod is not as it was written: kept as xyz_changed.mod" in said.err
    assert Path("picks/xyz_changed.mod").read_bytes() == mended
    assert "applied" not in record("xyz")


def test_that_edits_will_be_lost_is_said_before() -> None:
    save_all(of_one_each())
    apply()
    write_tomograms()
    Path("picks/xyz_hm.mrc").unlink()
    said = run_line(INFER, "--dry-run")
    assert "missing: xyz_hm.mrc; without what milopyp apply has changed" in said.out


def test_a_failure_does_not_forget_that_the_files_are_mended() -> None:
    save_all(of_one_each())
    apply()
    mended = Path("picks/xyz.mod").read_bytes()
    write_tomograms()
    whole = Path("xyz.mrc").read_bytes()
    Path("xyz.mrc").write_bytes(whole[:5000])
    assert run_line(INFER).code == 1
    Path("xyz.mrc").write_bytes(whole)
    assert run_line(INFER).code == 0
    assert Path("picks/xyz_changed.mod").read_bytes() == mended


def test_the_page_begins_with_what_was_applied() -> None:
    write_tomograms()
    wanted = of_one_each()
    save_all(wanted)
    apply()
    assert run_line("milopyp report picks").code == 0
    page = Path("picks/report.html").read_text()
    facts = json.loads(page.partition('id="runs">')[2].partition("</script>")[0])[0]["tomograms"][0]
    forced = dict(facts["forced"])
    assert sorted(forced.values()) == [False, True]
    shown = [row for index, row in enumerate(facts["picks"]) if forced.get(index, row[3] > 0.5)]
    np.testing.assert_allclose(
        [*(row[:3] for row in shown), *facts["added"]], [row[:3] for row in wanted["xyz"]], atol=0.01
    )


def test_what_is_judged_is_what_was_mended() -> None:
    wanted = of_one_each()
    save_all(wanted)
    apply()
    judged = run_line(f"milopyp evaluate picks --truth {SAVED} --json figures.json")
    assert judged.code == 0
    figures = json.loads(Path("figures.json").read_text())
    assert (figures["picks"]["precision"], figures["picks"]["recall"]) == (1.0, 1.0)


def test_what_the_page_saves_is_labels_picks_and_truth() -> None:
    wanted = of_one_each() | {"xzy": []}
    save_all(wanted)
    write_tomograms()
    assert run_line(f"milopyp prepare -d . -e .mrc -o round2 --picks {SAVED} --no-pictures").code == 0
    for path in ("round2_train_coords.txt", SAVED):
        labels = read_coordinate_list(path)
        np.testing.assert_allclose(sorted(labels["xyz"].tolist()), sorted(row[:3] for row in wanted["xyz"]), atol=0.006)
        assert labels["xzy"].shape == (0, 3)
    judged = run_line(f"milopyp evaluate {SAVED} --truth round2_train_coords.txt --radius 3 --json figures.json")
    assert judged.code == 0
    figures = json.loads(Path("figures.json").read_text())
    assert figures["picks"]["precision"] == 1.0
    assert figures["auprc"] == 1.0  # the list has scores


@pytest.mark.parametrize(("said", "score"), [
    ("0.5", 0.5), ("1", 1.0), ("0", 0.0), ("1.5e-7", 1.5e-7), ("1e-05", 1e-5), ("0.123456", 0.123456),
    ("12", None), ("1.5", None),
])  # fmt: skip
def test_the_threshold_of_the_list_is_read_as_the_page_writes_it(said: str, score: float | None) -> None:
    Path("list.tsv").write_text(f"# picks above {said} and by hand\n{HEADER}\n")
    assert threshold_said(Path("list.tsv")) == score


def test_converted_with_the_run_tomograms_are_called_as_in_it() -> None:
    write_tomograms()
    Path("two.txt").write_text("image_name\trec_path\ttomo_name\nxyz\txyz.mrc\tTS_01\nxzy\txzy.mrc\tTS_02\n")
    assert run_line(f"milopyp-infer two.txt --model {TOY} --out named --threads 1").code == 0
    save_all({"xyz": above("xyz", 0.5), "xzy": above("xzy", 0.5)})
    outcome = run_line(f"milopyp convert {SAVED} all.star --to relion5 --tomogram named")
    assert outcome.code == 0, outcome.err
    assert set(starfile.read("all.star")["rlnTomoName"]) == {"TS_01", "TS_02"}
