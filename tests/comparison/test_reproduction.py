"""`reproduce` on a small stand-in for CIFAR: our numbers, the differences to the published ones, and their labels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from tests.tiny_cifar import LARGEST, tiny_cifar

from longtail.comparison import compare, prepare
from longtail.comparison.benchmarks import BENCHMARKS, benchmark, with_noise
from longtail.comparison.estimate import estimate
from longtail.comparison.plan import plan
from longtail.comparison.reproduction import deviations, differences, prepare_benchmark, reproduce
from longtail.data.simulate.noise import noise_of
from longtail.engine.default_recipe import LDAM, USB
from longtail.engine.protocol import protocol
from longtail.facts import ledger
from longtail.methods import catalogue
from longtail.report import reproduction as report
from resealing import resealed

METHODS = "ce,ldam-drw,logit-adjusted-posthoc"
EPOCHS, LOOKS = 4, 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield tiny_cifar(tmp_path_factory.mktemp("tiny"), patch)


def run(data: Path, out: Path, **changes: Any) -> Any:
    options = {"methods": METHODS, "seeds": 2, "epochs": EPOCHS, "evaluations": LOOKS, "model": "linear", "jobs": 1}
    return reproduce("cifar10-lt-10", data_dir=data, out=out, **{**options, **changes})


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("done") / "out"
    return run(data, out), out


def folders(out: Path, method: str) -> list[Path]:
    return sorted(p for p in out.glob("*/seed-*") if json.loads((p / "run.json").read_text())["method"] == method)


def errors(folder: Path) -> list[float]:
    """The error after every evaluated epoch, straight from the file."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [100 - 100 * r["scores"]["accuracy"] for r in records if "scores" in r]


def stamps(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.glob("*/seed-*/run.json")}


class TestNames:
    def test_every_name_says_data_profile_and_ratio(self) -> None:
        assert len(BENCHMARKS) == 32 + 21 + 34
        found = benchmark("cifar100-step-50")
        assert (found.data, found.profile, found.ratio) == ("cifar100", "step", 50.0)
        assert benchmark("cifar10-lt-200").profile == "exp"
        sets = benchmark("cifar100-lt-50-ambiguity-0.03")
        assert (sets.data, sets.profile, sets.ratio, sets.ambiguity) == ("cifar100", "exp", 50.0, "0.03")
        assert found.ambiguity is None
        few = benchmark("cifar10-lt-100-labeled-1500-unlabeled-3000-ratio-50")
        assert (few.ratio, few.labeled, few.unlabeled_size, few.unlabeled_ratio) == (100.0, 1500, 3000, 50.0)
        assert benchmark("cifar100-lt-10-labeled-150-unlabeled-300-reversed").unlabeled_ratio == "reversed"
        assert benchmark("cifar10-lt-200-labeled-0.1").options == {
            "ratio": 200.0, "profile": "exp", "ambiguity": None, "labeled": 0.1, "unlabeled_size": None,
            "unlabeled_ratio": None, "noise": None,
        }  # fmt: skip

    def test_with_noise(self) -> None:
        tail = benchmark("cifar100-lt-10-noise-proportional-0.3")
        assert (tail.data, tail.profile, tail.ratio, tail.noise) == ("cifar100", "exp", 10.0, "proportional:0.3")
        every = benchmark("cifar10-noise-symmetric-0.4")
        assert (every.data, every.ratio, every.noise) == ("cifar10", 1.0, "symmetric:0.4")
        unpublished = benchmark("cifar10-step-20-noise-pair-flip-0.45")
        assert unpublished.name not in BENCHMARKS
        assert (unpublished.profile, unpublished.ratio, unpublished.noise) == ("step", 20.0, "pair-flip:0.45")
        few = benchmark("cifar10-lt-100-labeled-1500-unlabeled-3000-noise-uniform-0.2")
        assert (few.labeled, few.noise) == (1500, "uniform:0.2")
        assert set(ledger.NOISY) <= set(BENCHMARKS) & set(ledger.NAMES)
        for name in ledger.NOISY:
            assert noise_of(BENCHMARKS[name].noise).text == BENCHMARKS[name].noise
        assert with_noise("cifar10-lt-10", "proportional:.1") == "cifar10-lt-10-noise-proportional-0.1"
        assert with_noise("cifar10-lt-10", None) == "cifar10-lt-10"
        with pytest.raises(ValueError, match="benchmark must be"):
            benchmark("cifar10-lt-100-ambiguity-0.5-noise-symmetric-0.4")

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("cifar10-lt-1000", "did you mean 'cifar10-lt-100'?"),
            ("cifar-10-lt-100", "did you mean 'cifar10-lt-100'?"),
            ("cifar10-lt-100-ambiguity-0.4", "did you mean 'cifar10-lt-100-ambiguity-0."),
            ("cifar100-exp-50", "did you mean 'cifar100-step-50'?"),
            ("xyzzy", "as in cifar10-lt-100"),
        ],
    )
    def test_an_unknown_one_gets_the_nearest(self, name: str, told: str) -> None:
        with pytest.raises(ValueError, match="benchmark must be cifar10 or cifar100") as found:
            reproduce(name)
        assert told in str(found.value)
        assert "\n" not in str(found.value)


class TestNumbers:
    def test_last_is_the_mean_over_seeds_of_the_final_error(self, done: tuple[Any, Path]) -> None:
        result, out = done
        assert [row["method"] for row in result.rows] == ["ce", "ldam-drw", "logit-adjusted-posthoc"]
        for row in result.rows:
            runs = [json.loads((f / "run.json").read_text()) for f in folders(out, row["method"])]
            a, b = (100 - 100 * r["scores"]["accuracy"] for r in runs)
            assert row["last"]["mean"] == pytest.approx((a + b) / 2)
            assert row["last"]["std"] == pytest.approx(abs(a - b) / math.sqrt(2))
            assert row["seconds"] == pytest.approx(sum(r["seconds"] for r in runs) / 2)

    def test_best_test_is_the_mean_over_seeds_of_the_smallest_evaluated_error(self, done: tuple[Any, Path]) -> None:
        result, out = done
        for row in result.rows[:2]:
            looks = [errors(folder) for folder in folders(out, row["method"])]
            assert [len(look) for look in looks] == [LOOKS, LOOKS]
            a, b = map(min, looks)
            assert row["best_test"]["mean"] == pytest.approx((a + b) / 2)
            assert row["best_test"]["std"] == pytest.approx(abs(a - b) / math.sqrt(2))
            assert row["best_test"]["mean"] <= row["last"]["mean"]
            assert row["evaluations"] == LOOKS

    def test_best_test_comes_from_an_epoch_before_the_last_where_that_is_better(
        self, done: tuple[Any, Path], data: Path, tmp_path: Path
    ) -> None:
        run(data, tmp_path, methods="ce", seeds=1)
        (folder,) = folders(tmp_path, "ce")
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        next(r for r in records if "scores" in r)["scores"]["accuracy"] = 0.995
        (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        resealed(folder / "run.json")
        (row,) = run(data, tmp_path, methods="ce", seeds=1).rows
        assert row["best_test"]["mean"] == pytest.approx(0.5)
        assert row["last"]["mean"] > 5

    def test_a_changed_record_is_noticed_and_the_run_done_again(
        self, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = run(data, tmp_path, methods="ce", seeds=1).rows[0]
        path = folders(tmp_path, "ce")[0] / "metrics.jsonl"
        path.write_text(path.read_text().replace('"accuracy": 0.', '"accuracy": 0.9', 1))
        after = run(data, tmp_path, methods="ce", seeds=1).rows[0]
        assert (after["best_test"], after["last"]) == (before["best_test"], before["last"])
        assert f"{path} was changed since the run was finished (its checksum is off); running it again" in caplog.text

    def test_a_post_hoc_row_has_last_only(self, done: tuple[Any, Path]) -> None:
        result, out = done
        row = result.rows[2]
        assert row["best_test"] is None
        assert row["reuses"].startswith("ce-")
        wrong = []
        for folder in folders(out, "logit-adjusted-posthoc"):
            arrays = load_file(folder / "predictions.safetensors")
            wrong.append(100 * float((arrays["adjusted_scores"].argmax(1) != arrays["targets"]).mean()))
        assert row["last"]["mean"] == pytest.approx(sum(wrong) / 2)

    def test_differences_are_ours_less_each_published_number(self, done: tuple[Any, Path]) -> None:
        for row in done[0].rows:
            numbers = [p for p in ledger.published() if (p.benchmark, p.method) == ("cifar10-lt-10", row["method"])]
            assert [p["error"] for p in row["published"]] == [p.error for p in numbers]
            for number in row["published"]:
                assert number["difference"]["last"] == pytest.approx(row["last"]["mean"] - number["error"])
                best = number["difference"]["best_test"]
                if row["best_test"] is None:
                    assert best is None
                else:
                    assert best == pytest.approx(row["best_test"]["mean"] - number["error"])
        assert [p["error"] for p in done[0].rows[1]["published"]] == [11.84, 12.04]
        assert done[0].rows[2]["published"] == []

    def test_speed_is_training_images_per_second_of_training(self, done: tuple[Any, Path]) -> None:
        result, out = done
        images = sum(result.summary["data"]["class_counts"])
        assert result.summary["data"]["class_counts"][0] == LARGEST
        records = [
            json.loads(line)
            for folder in folders(out, "ldam-drw")
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ]
        seconds = sum(r["seconds"] for r in records)
        assert result.rows[1]["images_per_second"] == pytest.approx(images * 2 * EPOCHS / seconds)

    def test_knobs_moved_by_hand_have_no_published_number(self, data: Path, tmp_path: Path) -> None:
        result = run(data, tmp_path, methods="ldam-drw(scale=20)", seeds=1)
        row = next(row for row in result.rows if row["key"] == "ldam-drw")
        assert row["published"] == []
        assert "no number is published for it" in repr(result)


class TestLabels:
    def test_a_short_run_or_another_network_is_not_the_published_protocol(self, done: tuple[Any, Path]) -> None:
        for text in (repr(done[0]), done[0].to_markdown()):
            assert "NOT THE PUBLISHED PROTOCOL (epochs 4 instead of 200; model linear instead of resnet32)" in text
        assert all(row["deviations"] for row in done[0].rows)

    def test_the_published_protocol_is_what_nothing_asked_for_gives(self, data: Path) -> None:
        asked_for, prepared = prepare_benchmark("cifar10-lt-10", data_dir=data)
        assert deviations(asked_for, prepared) == []
        assert prepared.recipe.epochs == 200
        assert prepared.splits.facts["profile"] == "exp"
        published = {p.method for p in ledger.published() if p.benchmark == "cifar10-lt-10"}
        asked = [m.spec for m in prepared.methods]
        assert set(asked) == {spec for spec in published if spec.partition("(")[0] in catalogue()}
        assert asked[0] == "ce"
        assert asked.index("absgd") + 1 == asked.index("absgd(base='ce-drw')")
        assert str(prepared.out) == "runs/cifar10-lt-10"

    def test_candidate_sets_are_drawn_and_compared_by_methods_of_sets(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = "cifar10-lt-100-ambiguity-0.5"
        monkeypatch.setitem(BENCHMARKS, name, replace(BENCHMARKS[name], ratio=10.0))  # the stand-in is too small
        _, prepared = prepare_benchmark(name, data_dir=data, out=tmp_path)
        assert prepared.splits.facts["ambiguity"] == "0.5"
        published = {p.method for p in ledger.published() if p.benchmark == name}
        assert published <= {m.spec for m in prepared.methods}
        options = {"methods": "cc,proden", "epochs": 1, "model": "linear", "jobs": 1, "evaluations": 1}
        result = reproduce(name, data_dir=data, out=tmp_path, **options)
        rows = {row["method"]: row for row in result.rows}
        (number,) = rows["proden"]["published"]
        assert number["difference"]["last"] == pytest.approx(rows["proden"]["last"]["mean"] - 50.77)
        assert rows["proden"]["command"] is None
        assert "of the chosen training images" in repr(result)
        changed = result.summary["deviations"]
        assert changed == ["epochs 1 instead of 800", "model linear instead of resnet18"]

    def test_few_labels_have_the_recipe_of_usb(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = "cifar10-lt-100-labeled-1500-unlabeled-3000"
        tiny = replace(BENCHMARKS[name], ratio=4.0, labeled=8, unlabeled_size=10)  # the stand-in is too small
        monkeypatch.setitem(BENCHMARKS, name, tiny)
        _, prepared = prepare_benchmark(name, data_dir=data, out=tmp_path)
        assert prepared.recipe == USB
        assert deviations(tiny, prepared) == []
        assert len(prepared.splits.unlabeled) < len(prepared.splits.train) * 2  # type: ignore[arg-type]
        published = {p.method for p in ledger.published() if p.benchmark == name}
        assert {m.spec for m in prepared.methods} == {p for p in published if p.partition("(")[0] in catalogue()}
        options = {"methods": "fixmatch", "epochs": 1, "steps": 2, "model": "linear", "jobs": 1, "evaluations": 1}
        result = reproduce(name, data_dir=data, out=tmp_path, **options)
        row = next(row for row in result.rows if row["method"] == "fixmatch")
        usb, theirs = (
            next(number for number in row["published"] if number["protocol"]["key"] == key) for key in ("usb", "darp")
        )
        assert usb["difference"]["last"] == pytest.approx(row["last"]["mean"] - 23.3)
        assert usb["not_comparable"] == [
            "WRN-28-2", "crop of reflected padding", "262144 steps", "subset not said",
        ]  # fmt: skip
        assert "Adam" in theirs["not_comparable"]
        assert row["deviations"] == [
            "epochs 1 instead of 256", "model linear instead of wide_resnet",
            "model_args {} instead of {'momentum': 0.001}", "steps 2 instead of 1024",
        ]  # fmt: skip

    def test_both_selections_are_told_with_the_number_they_were_picked_from(self, done: tuple[Any, Path]) -> None:
        text = repr(done[0])
        row = done[0].rows[1]
        ours = (
            f"ldam-drw   last {row['last']['mean']:.2f} ± {row['last']['std']:.2f}, best-test "
            f"{row['best_test']['mean']:.2f} ± {row['best_test']['std']:.2f} (picked from 2 evaluations)"
        )
        assert ours in text
        assert "no best-test (only the final scores are corrected)" in text
        assert "common recipe, 4 epochs, 2 seeds (0, 1), float32, " in text
        assert " images/s on 1 thread, training shared with ce; " in text
        for source in ("Cao et al. 2019, table 2", "Wang et al. 2023, README", "best-test", "last - published"):
            assert source in text
        assert f"{row['best_test']['mean'] - 11.84:+.2f}" in text

    def test_published_numbers_are_marked_and_reasons_given_once_a_source(self, done: tuple[Any, Path]) -> None:
        (number, _) = done[0].rows[1]["published"]
        assert number["not_comparable"] == ["ResNet-32", "200 epochs"]  # ours: linear, 4 epochs
        assert number["protocol"]["key"] == "ldam"
        assert number["select"] == "best-test"
        sources = ("Cao et al. 2019, table 2", "Wang et al. 2023, README")
        lines = [f"≠ {source}: ResNet-32; 200 epochs" for source in sources]
        assert report.not_comparable(done[0].rows[1]["published"]) == lines
        for text in (repr(done[0]), done[0].to_markdown()):
            assert "= comparable with ours, ≠ not comparable" in text
            assert all(line in text for line in lines)

    def test_under_the_published_protocol_they_are_comparable(self) -> None:
        row = {"last": {"mean": 30.0}, "best_test": None}
        numbers = [
            {**ledger.beside(p, protocol(LDAM)), "difference": differences(row, p.error)}
            for p in ledger.published()
            if p.benchmark == "cifar10-lt-100" and p.method in ("ldam-drw", "sam(base='ldam-drw')")
        ]
        marks = {number["source"]: report.published(number)[-2] for number in numbers}
        assert marks["Cao et al. 2019, table 2"] == "="
        assert marks["Wang et al. 2023, README, 400 epochs"] == "≠"
        assert report.not_comparable(numbers) == [
            "≠ Wang et al. 2023, README, weight decay tuned: weight decay tuned",
            "≠ Wang et al. 2023, README, 400 epochs: AutoAugment, Cutout; 400 epochs; weight decay tuned; schedule not "
            "said",
        ]

    def test_one_evaluation_is_told_to_be_the_last_epoch(self, data: Path, tmp_path: Path) -> None:
        result = run(data, tmp_path, methods="ce", seeds=1, evaluations=1)
        assert "(1 evaluation, the last epoch's)" in repr(result)
        assert result.rows[0]["best_test"] == result.rows[0]["last"]
        assert result.rows[0]["last"]["std"] is None

    def test_which_images_is_told(self, done: tuple[Any, Path]) -> None:
        found = done[0].summary
        assert f"Images: hash {found['data']['facts']['images'][:16]}" in repr(done[0])


class TestFiles:
    def test_they_hold_what_is_shown(self, done: tuple[Any, Path]) -> None:
        result, out = done
        assert json.loads((out / "reproduction.json").read_text()) == json.loads(json.dumps(result.summary))
        assert (out / "reproduction.md").read_text() == result.to_markdown()
        assert (out / "comparison.json").exists()

    def test_a_copy_into_the_ledger_publishes_it(
        self, done: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "measured").mkdir()
        (tmp_path / "measured" / "cifar10-lt-10.json").write_bytes((done[1] / "reproduction.json").read_bytes())
        monkeypatch.setattr(ledger, "files", lambda package: tmp_path)
        ledger.measured.cache_clear()
        try:
            rows = ledger.measured()
        finally:
            ledger.measured.cache_clear()
        assert list(rows) == json.loads(json.dumps(done[0].rows))
        wanted = {"benchmark", "method", "epochs", "seeds", "recipe", "precision", "last", "best_test", "evaluations",
                  "seconds", "images_per_second", "machine", "command"}  # fmt: skip
        assert all(wanted <= set(row) for row in rows)
        assert not [key for key in rows[0] if "date" in key or "time" in key]
        assert str(done[1]) not in json.dumps(rows)

    def test_the_machine_is_the_one_a_run_was_trained_on(self, done: tuple[Any, Path]) -> None:
        result, out = done
        facts = json.loads((folders(out, "ce")[0] / "config.json").read_text())["machine"]
        assert facts["cores"] >= 1
        assert result.rows[0]["machine"] == f"{facts['cpu']}, {facts['cores']} cores"

    @pytest.mark.slow
    def test_the_command_gives_the_row_again(self, data: Path, tmp_path: Path, done: tuple[Any, Path]) -> None:
        result = run(data, tmp_path, methods="ce", seeds=1, epochs=1, model="auto", model_args={}, precision="float32")
        assert result.rows[0]["command"] is None  # "auto" is another network, and the command has no word for it
        assert done[0].rows[0]["command"] is None
        result = run(data, tmp_path / "as-published", methods="ce", seeds=1, epochs=1, model="resnet32")
        assert result.rows[0]["command"] == (
            "longtail reproduce cifar10-lt-10 --methods ce --seeds 1 --epochs 1 --evaluations 1"
        )


class TestResume:
    @pytest.mark.slow
    def test_the_same_call_trains_nothing_again(self, data: Path, tmp_path: Path) -> None:
        first = run(data, tmp_path, seeds=1)
        before = stamps(tmp_path)
        assert len(before) == 3
        assert run(data, tmp_path, seeds=1).summary == first.summary
        assert stamps(tmp_path) == before
        more = run(data, tmp_path, seeds=2, methods="ce,focal")
        assert {p: s for p, s in stamps(tmp_path).items() if p in before} == before
        assert {row["method"]: len(row["seeds"]) for row in more.rows} == {
            "ce": 2, "focal": 2, "ldam-drw": 2, "logit-adjusted-posthoc": 2,
        }  # fmt: skip

    def test_other_evaluations_are_the_same_runs_and_each_says_its_own(self, data: Path, tmp_path: Path) -> None:
        run(data, tmp_path, methods="ce", seeds=1, evaluations=2)
        result = run(data, tmp_path, methods="ce", seeds=2, evaluations=4)
        assert result.rows[0]["evaluations"] == [2, 4]
        assert "picked from 2 to 4 evaluations" in repr(result)

    def test_how_often_the_test_part_is_looked_at_changes_no_prediction(self, data: Path, tmp_path: Path) -> None:
        for looks in (1, 4):
            run(data, tmp_path / str(looks), methods="ldam-drw", seeds=1, evaluations=looks)
        one, four = (
            sorted(p.read_bytes() for p in (tmp_path / k).glob("*/*/predictions.safetensors")) for k in ("1", "4")
        )
        assert one == four

    def test_other_epochs_are_refused(self, done: tuple[Any, Path], data: Path) -> None:
        with pytest.raises(ValueError, match=r"recipe\.epochs is 4 there, 5 was asked"):
            run(data, done[1], epochs=5)

    def test_what_is_missing_is_told(self, data: Path, tmp_path: Path) -> None:
        result = run(data, tmp_path, methods="ce,focal", seeds=1, budget=1e-9)
        assert result.rows == []
        assert "2 runs were not begun; give the same command again" in repr(result)
        assert result.ok


OWN = "logit-adjusted,balanced-softmax,logit-adjusted-posthoc,ldam-drw"


@pytest.fixture(scope="module")
def own(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("own")
    return run(data, out, methods=OWN, seeds=1, kind="own"), out


class TestOwnRecipe:
    def test_methods_with_other_recipes_share_no_training(self, own: tuple[Any, Path], data: Path) -> None:
        rows = {row["method"]: row for row in own[0].rows}
        assert all(row["reuses"] is None for row in rows.values())
        assert rows["logit-adjusted"]["recipe_changes"] == {"weight_decay": 1e-4, "drop": 0.1}
        assert rows["balanced-softmax"]["recipe_changes"] == {}
        common, apart = (
            prepare("cifar10", data_dir=data, ratio=10, methods=OWN, seeds=1, kind=kind, out="nowhere")
            for kind in ("common", "own")
        )
        waves = [plan(prepared).waves() for prepared in (common, apart)]
        assert [[len(wave) for wave in pair] for pair in waves] == [[3, 2], [5]]

    def test_they_are_marked_and_not_compared(self, own: tuple[Any, Path]) -> None:
        summary = json.loads((own[1] / "comparison.json").read_text())
        rows = {row["method"]: row for row in summary["rows"]}
        marked = {"logit-adjusted", "logit-adjusted-posthoc"}
        assert {name for name, row in rows.items() if not row["comparable"]} == marked
        for name in marked:
            assert rows[name].get("difference") is None
            assert name not in [*summary["verdict"]["winners"], *summary["verdict"]["undecided"]]
        assert rows["ldam-drw"]["difference"] is not None
        text = (own[1] / "comparison.md").read_text()
        assert "| logit-adjusted † |" in text
        assert "| logit-adjusted-posthoc † |" in text  # no *: its training is its own
        assert "| ldam-drw |" in text
        assert "† trained under its own paper's recipe, not comparable with the other rows" in text
        assert "logit-adjusted: weight_decay 0.0001, drop 0.1" in text
        assert summary["gain"]["method"] not in marked

    def test_a_reproduction_says_so(self, own: tuple[Any, Path]) -> None:
        text = repr(own[0])
        assert "Trained under its own paper's recipe, so not comparable with the other rows: logit-adjusted: " in text
        assert "own recipe, 4 epochs, 1 seed (0)" in text
        rows = {row["method"]: row for row in own[0].rows}
        assert {name for name, row in rows.items() if row["recipe"] == "own"} == {
            "logit-adjusted",
            "logit-adjusted-posthoc",
        }

    def test_with_nothing_else_to_compare_there_is_no_verdict(self, data: Path, tmp_path: Path) -> None:
        result = compare("cifar10", data_dir=data, ratio=10, methods="logit-adjusted", seeds=1, epochs=1, jobs=1,
                         model="linear", kind="own", out=tmp_path)  # fmt: skip
        assert (
            result.verdict == "No verdict: it needs finished runs of ce and of another method under the recipe of ce."
        )
        assert result.summary["gain"] is None


class TestRefused:
    def test_bad_arguments_are_one_line(self, data: Path, tmp_path: Path) -> None:
        for change, told in (
            ({"evaluations": 0}, "evaluations must be an integer >= 1, got 0; 1 evaluates the last epoch only"),
            ({"evaluations": True}, "evaluations must be an integer >= 1, got True"),
            ({"epochs": 0}, "epochs must be an integer >= 1, got 0"),
            ({"seeds": 0}, "seeds must be an integer >= 1"),
            ({"kind": "mine"}, "kind must be one of common, own, got 'mine'"),
            ({"precision": "float8"}, "precision must be one of auto, float32, bfloat16, float16, got 'float8'"),
            ({"methods": "ldam-dwr"}, "did you mean ldam-drw"),
        ):
            with pytest.raises(ValueError, match=r"must|unknown") as found:
                run(data, tmp_path / "out", **change)
            assert told in str(found.value)
            assert "\n" not in str(found.value)
        assert not (tmp_path / "out").exists()

    def test_a_benchmark_nobody_published_needs_methods(self, data: Path) -> None:
        with pytest.raises(ValueError, match="no number is published for cifar10-step-50; name the methods"):
            reproduce("cifar10-step-50", data_dir=data)

    def test_a_folder_of_images_for_other_data(self, data: Path) -> None:
        with pytest.raises(
            ValueError, match=r"data_dir \(--data-dir\) is read for cifar10 and cifar100, not for digits"
        ):
            compare("digits", data_dir=data)


@pytest.mark.slow
def test_a_dry_run_measures_time_and_memory(data: Path, tmp_path: Path) -> None:
    _, prepared = prepare_benchmark("cifar10-lt-10", methods=METHODS, seeds=2, epochs=50, data_dir=data,
                                    model="linear", out=tmp_path / "out")  # fmt: skip
    found = estimate(prepared, jobs=1, evaluations=10)
    assert (found["runs"], found["trainings"]) == (6, 4)
    assert found["seconds"] > 4 * found["seconds_per_training"] > 0
    assert found["memory"] > 50e6  # torch alone
    assert found["gpu_memory"] == 0
    two, four = (estimate(prepared, jobs=jobs)["memory"] for jobs in (2, 4))  # measured in workers
    assert four > 1.3 * two
    assert not (tmp_path / "out").exists()
