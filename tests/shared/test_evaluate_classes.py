"""`milopyp evaluate` of several classes: each by the particles of its own, and which was taken for which."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import milopyp
from milopyp_shared.coordinate_lists import (
    read_classes,
    read_coordinate_list,
    write_classes,
    write_coordinate_list,
)
from milopyp_shared.errors import InputError
from milopyp_shared.formats.mod import model_points, read_mod
from running import Outcome, run_line
from toys import TOY_OF_TWO, clean_phantom, write_tomogram

CLASSES = ("ribosome", "proteasome")
TRUTH = "truth.tsv"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tomograms with 4 and 5 particles, every second one a proteasome.

    The toy sees a ribosome and a proteasome in each of them; of the latter the best two of each tomogram are picks.
    """
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(place)
        truth: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in CLASSES}
        for seed, name in enumerate("ab", 1):
            phantom = clean_phantom(seed, shape_zyx=(24, 48, 64), particles=3 + seed)
            write_tomogram(Path(f"{name}.mrc"), phantom.volume, voxel_size=10.0)
            for number, kind in enumerate(CLASSES):
                truth[kind][name] = phantom.particles_xyz[number::2]
        write_classes(TRUTH, truth)
        done(f"milopyp-infer a.mrc b.mrc --model {TOY_OF_TWO} --out picks --threads 1 --no-exclusive --K proteasome=2")
        done("milopyp collect picks --to list -o listed")
        done("milopyp collect picks --to csv -o tables")
    return place


@pytest.fixture(autouse=True)
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def judge(picks: str = "picks", more: str = "") -> tuple[dict[str, Any], Outcome]:
    outcome = done(f"milopyp evaluate {picks} --truth {TRUTH} --json figures.json {more}")
    return json.loads(Path("figures.json").read_text()), outcome


def without(kind: str) -> None:
    """Take the rows of a class out of the truth."""
    write_classes(TRUTH, {name: own for name, own in read_classes(TRUTH).items() if name != kind})


def test_a_run_of_several_classes() -> None:
    found, outcome = judge(more="--out judged")
    assert list(found["classes"]) == list(CLASSES) and found["tomograms"] == ["a", "b"]
    ribosome, proteasome = (found["classes"][kind] for kind in CLASSES)
    assert (ribosome["radius"], proteasome["radius"]) == (5.0, 4.0)  # half of what each class is
    # 5 ribosomes and 4 proteasomes: all nine were picked as ribosomes
    assert (ribosome["picks"]["n_picks"], ribosome["picks"]["n_hits"], ribosome["n_truth"]) == (9, 5, 5)
    assert (proteasome["picks"]["n_picks"], proteasome["n_truth"]) == (4, 4)
    right = proteasome["picks"]["n_hits"]
    confusion = found["confusion"]
    assert confusion["picks"]["ribosome"] == {"on": {"ribosome": 5, "proteasome": 4}, "on_none": 0, "all": 9}
    assert confusion["picks"]["proteasome"]["on"] == {"ribosome": 4 - right, "proteasome": right}
    assert confusion["particles"]["proteasome"] == {
        "picked_as": {"ribosome": 4, "proteasome": right}, "not_picked": 0, "picked_again": right, "all": 4,
    }  # fmt: skip
    for line in ("ribosome            5      9      0.556   1.000  0.714", "picks of      on ribosome  on proteasome"):
        assert line in outcome.out
    text = Path("judged/evaluation.md").read_text()
    assert "| `ribosome` | 5 | 4 | 0 | 9 |" in text and "within 5 (ribosome), 4 (proteasome) voxels" in text
    assert json.loads(Path("judged/evaluation.json").read_text()) == found
    with Image.open("judged/evaluation.png") as picture:
        assert picture.size[0] > 800


def test_each_class_has_the_figures_of_its_run_alone() -> None:
    together, _ = judge()
    for kind in CLASSES:
        alone, outcome = judge(f"picks/{kind}")  # takes the rows of its class of the same list
        assert alone.pop("made_by") and alone == together["classes"][kind]
        assert "picks       " in outcome.out
        python = milopyp.evaluate(f"picks/{kind}", TRUTH)
        assert python.to_dict()["auprc"] == alone["auprc"] and python.n_truth == alone["n_truth"]
    with pytest.raises(InputError, match="no class 'ribo'"):
        milopyp.evaluate("picks/ribosome", TRUTH, class_="ribo")


def test_another_name_of_the_class() -> None:
    own = read_classes(TRUTH)
    write_classes(TRUTH, {"80S": own["ribosome"], "proteasome": own["proteasome"]})
    outcome = run_line(f"milopyp evaluate picks/ribosome --truth {TRUTH}")
    expected = "no class 'ribosome'; expected one of 80S, proteasome. Another name of it: --class"
    assert outcome.code == 2 and expected in outcome.err
    found, _ = judge("picks/ribosome", "--class 80S")
    assert found["n_truth"] == 5
    found, outcome = judge()
    assert list(found["classes"]) == ["proteasome"]
    assert f"{TRUTH} has no class ribosome: its picks stand in the confusion table only" in outcome.err
    assert "no picks are of class 80S: its particles stand in the confusion table only" in outcome.err
    assert found["confusion"]["picks"]["ribosome"]["on"] == {"80S": 5, "proteasome": 4}
    assert "--radius" not in outcome.err


def test_the_radius_of_a_class_that_nothing_was_picked_of() -> None:
    own = read_classes(TRUTH)
    far = {name: xyz + np.array([0, 0, 3.0]) for name, xyz in own["ribosome"].items()}
    write_classes(TRUTH, {"gold": far, "proteasome": own["proteasome"]})
    assert judge()[0]["confusion"]["picks"]["ribosome"]["on"]["gold"] == 5  # within the 5 voxels of a ribosome
    assert judge(more="--radius gold=2")[0]["confusion"]["picks"]["ribosome"]["on"]["gold"] == 0


def test_lengths_of_classes() -> None:
    found, outcome = judge(more="--radius ribosome=30A,proteasome=2 --distance ribosome=200")
    assert [found["classes"][kind]["radius"] for kind in CLASSES] == [3.0, 2.0]
    assert found["classes"]["ribosome"]["n_candidates"] == 2  # one of each tomogram
    assert "half the particle" not in outcome.out
    found, outcome = judge(more="--radius ribosome=3")
    assert [found["classes"][kind]["radius"] for kind in CLASSES] == [3.0, 4.0]
    assert "radius 4 voxels: half the particle of the run of proteasome" in outcome.out


@pytest.mark.parametrize(
    ("picks", "word"), [("listed/particles.tsv", "a coordinate list"), ("tables/particles.csv", "csv")]
)
def test_a_list_of_picks_of_several_classes(picks: str, word: str) -> None:
    run, _ = judge()
    found, outcome = judge(picks, "--radius ribosome=5,proteasome=4")
    assert found["confusion"] == run["confusion"]
    for kind in CLASSES:
        ours, theirs = (each["classes"][kind]["picks"] for each in (run, found))
        assert [theirs[name] for name in ("n_picks", "n_hits")] == [ours[name] for name in ("n_picks", "n_hits")]
    assert f"{picks}: 4 picks of proteasome, read as {word}" in outcome.out


def test_a_table_is_a_truth_of_several_classes() -> None:
    """The picks themselves are right, all of them."""
    done("milopyp evaluate picks --truth tables/particles.csv --json f.json")
    found = json.loads(Path("f.json").read_text())
    assert {kind: own["picks"]["f1"] for kind, own in found["classes"].items()} == dict.fromkeys(CLASSES, 1.0)
    done("milopyp evaluate picks/proteasome --truth tables/particles.csv --json f.json")
    assert json.loads(Path("f.json").read_text())["n_truth"] == 4
    done("milopyp report picks --truth tables/particles.csv")


@pytest.mark.parametrize("picks", ["listed/particles.tsv", "tables/particles.csv"])
def test_a_tomogram_without_picks_of_a_class_is_judged(picks: str) -> None:
    path = Path(picks)
    rows = [row for row in path.read_text().splitlines() if not (row.startswith("b") and "proteasome" in row)]
    path.write_text("\n".join(rows) + "\n")
    found, outcome = judge(picks, "--radius 5")
    assert found["tomograms"] == ["a", "b"] and found["classes"]["proteasome"]["n_truth"] == 4
    assert "left out" not in outcome.err
    alone, outcome = judge(picks, "--radius 5 --class proteasome")
    assert (alone["n_truth"], alone["n_picks"]) == (4, 2) and "left out" not in outcome.err


def test_a_tomogram_without_particles_of_a_class_is_said() -> None:
    own = read_classes(TRUTH)
    del own["proteasome"]["b"]
    write_classes(TRUTH, own)
    found, outcome = judge()
    assert found["classes"]["proteasome"]["n_truth"] == 2
    assert outcome.err.count("no proteasome is known of b: all picks of proteasome there count as false") == 1
    del own["ribosome"]["b"]
    write_classes(TRUTH, own)
    _, outcome = judge()
    assert "no ribosome is known of b" in outcome.err and "no proteasome is known of b" in outcome.err
    assert "no particles are known" not in outcome.err


def test_a_truth_of_one_class_with_a_name() -> None:
    without("proteasome")
    found, outcome = judge()
    assert list(found["classes"]) == ["ribosome"] and "has no class proteasome" in outcome.err
    own = found["confusion"]["picks"]["proteasome"]
    assert own["on"]["ribosome"] + own["on_none"] == own["all"] == 4


def test_runs_of_one_class_are_compared_by_its_particles() -> None:
    shutil.copytree("picks/ribosome", "older")  # a run of a model whose class has no name
    found, _ = judge("older picks/ribosome")
    assert [own["n_truth"] for own in found["compared"].values()] == [5, 5]
    outcome = run_line(f"milopyp evaluate picks/ribosome picks/proteasome --truth {TRUTH} --radius 5")
    assert outcome.code == 2 and "runs of different classes, ribosome, proteasome" in outcome.err
    found, _ = judge("picks/ribosome listed/particles.tsv")
    assert [own["picks"]["n_picks"] for own in found["compared"].values()] == [9, 9]


def test_a_truth_whose_class_differs_in_case_is_said_to() -> None:
    own = read_classes(TRUTH)
    write_classes(TRUTH, {"Ribosome": own["ribosome"], "proteasome": own["proteasome"]})
    hint = "Only the case differs: 'ribosome' and 'Ribosome'."
    _, outcome = judge()
    assert f"{TRUTH} has no class ribosome: its picks stand in the confusion table only. {hint}\n" in outcome.err
    assert f"no true positions of it are shown. {hint}\n" in done(f"milopyp report picks --truth {TRUTH}").err
    write_classes(TRUTH, {"Ribosome": own["ribosome"]})
    outcome = run_line(f"milopyp report picks --truth {TRUTH}")
    assert outcome.code == 2 and "Only the case differs: 'Ribosome' and 'ribosome'. Or make" in outcome.err


def test_candidates_without_records_have_no_confusion() -> None:
    for kind in CLASSES:
        shutil.rmtree(f"picks/{kind}/records")
    found, outcome = judge(more="--radius 5")
    assert found["confusion"] is None and "Which class was taken for which is not known" in outcome.out


@pytest.mark.parametrize("picks", ["models", "'models/*.mod'"])
def test_models_with_an_object_for_each_class_are_judged_as_the_run(picks: str) -> None:
    """From the folder of `collect`, with its table of classes; also where one of the tomograms has none of a class."""
    options = "--tomogram a.mrc --tomogram b.mrc --radius ribosome=5,proteasome=4"
    own = read_classes("listed/particles.tsv")
    own["proteasome"]["a"] = own["proteasome"]["a"][:0]
    write_classes("mended.tsv", own)
    done("milopyp apply picks/proteasome mended.tsv")
    counts = done("milopyp collect picks --to imod -o models").out
    assert "a: 4 ribosome, 0 proteasome" in counts, counts
    assert [item.name for item in read_mod(Path("models/a.mod")).objects] == [*CLASSES]
    run, _ = judge()
    found, outcome = judge(picks, options)
    assert found["confusion"] == run["confusion"]
    assert "9 picks of ribosome" in outcome.out and "classes.tsv" not in outcome.err
    for line in ("milopyp evaluate picks --truth models --json t.json", "milopyp report picks --truth models"):
        done(line)
    assert json.loads(Path("t.json").read_text())["classes"]["ribosome"]["picks"]["f1"] == 1.0
    found, _ = judge("models", "--tomogram a.mrc --tomogram b.mrc --radius 5 --class ribosome")
    assert (found["picks"]["n_picks"], found["n_truth"]) == (9, 5)
    done("milopyp prepare -d . -e .mrc -o lists --no-pictures --labels ribosome=models --labels b=models#proteasome")
    labels = read_classes("lists_train_coords.txt")
    assert {kind: [len(own[name]) for name in "ab"] for kind, own in labels.items()} == {
        "ribosome": [4, 5],
        "b": [0, 2],
    }


@pytest.mark.parametrize(("to", "path"), [("relion4", "particles.star"), ("dynamo", "particles.tbl")])
def test_a_class_of_numbered_picks(to: str, path: str) -> None:
    """Whatever the truth calls it; and without the option the message names the one that chooses."""
    done(f"milopyp collect picks --to {to} -o out")
    written = read_classes(TRUTH)["proteasome"]
    write_coordinate_list("one.tsv", written)
    options = "--radius 4 --json figures.json"
    alone, _ = judge("picks/proteasome", "--radius 4")
    for truth in (f"{TRUTH} --class proteasome", "one.tsv"):
        outcome = done(f"milopyp evaluate out/{path} --picks-class 2 --truth {truth} {options}")
        assert "several classes" not in outcome.err
        found = json.loads(Path("figures.json").read_text())["picks"]
        assert [found[name] for name in ("n_picks", "n_hits", "f1")] == [
            alone["picks"][name] for name in ("n_picks", "n_hits", "f1")
        ]
    outcome = done(f"milopyp evaluate out/{path} --truth one.tsv {options}")
    assert f"{path} has several classes, of which all are taken: 1 (9), 2 (4); --class of milopyp convert or " in (
        outcome.err
    )
    assert "--picks-class of this command takes one" in outcome.err


def test_the_report_of_a_class_has_its_truth() -> None:
    done(f"milopyp report picks/proteasome --truth {TRUTH}")
    page = Path("picks/proteasome/report.html").read_text()
    assert '"truth"' in page
    outcome = run_line(f"milopyp report picks/proteasome --truth {TRUTH} --class gold")
    assert outcome.code == 2 and "no class 'gold'; expected one of ribosome, proteasome" in outcome.err


def test_a_class_is_taken_out_of_a_list() -> None:
    done(f"milopyp convert {TRUTH} ribosomes.tsv --class ribosome")
    own, found = read_classes(TRUTH)["ribosome"], read_coordinate_list("ribosomes.tsv")
    assert list(found) == list(own)
    for name, xyz in own.items():
        np.testing.assert_allclose(found[name], xyz, atol=0.005)
    done(f"milopyp convert {TRUTH} models --to mod --class proteasome --tomogram a.mrc --tomogram b.mrc")
    assert len(model_points(read_mod(Path("models/a.mod")))) == len(read_classes(TRUTH)["proteasome"]["a"])
    assert len(milopyp.read_picks(TRUTH, format="list", name="a", class_="proteasome")) == 2


def test_labels_of_a_class_of_a_list() -> None:
    labels = f"--labels ribosome={TRUTH} --labels other={TRUTH}#proteasome"
    done(f"milopyp prepare -d . -e .mrc -o lists --no-pictures {labels}")
    own, found = read_classes(TRUTH), read_classes("lists_train_coords.txt")
    for name, kind in (("ribosome", "ribosome"), ("other", "proteasome")):
        for image, xyz in own[kind].items():
            np.testing.assert_allclose(found[name][image], xyz, atol=0.011)


def test_mended_picks_of_all_classes_are_applied_to_one() -> None:
    before = json.loads(Path("picks/proteasome/run.json").read_text())["picks"]
    done("milopyp apply picks/proteasome listed/particles.tsv")
    assert json.loads(Path("picks/proteasome/run.json").read_text())["picks"] == before
