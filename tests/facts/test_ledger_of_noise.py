"""Published numbers with wrong labels: found by benchmark and method, and without the source's own errors."""

from __future__ import annotations

import pytest

from longtail.comparison.benchmarks import usual_protocol
from longtail.facts import ledger

ABSGD = "absgd(base='sce', lam=switch(0.666, inf, -1.0))"
"""Plain for 80 of 120 epochs, as its code has it."""
TCE = "gce(every=0.008, k=0.5, start=0.667)"
"""Rows are left out from epoch 81 of 120 on, computed anew before every epoch."""
ROWS = ledger.published()
PROTOCOLS = ledger.protocols()


class TestWrongLabels:
    rows = tuple(row for row in ROWS if row.benchmark in ledger.NOISY)

    def errors(self, source: str, method: str) -> dict[str, float]:
        found = [row for row in self.rows if (row.source, row.method) == (source, method)]
        return {row.benchmark: row.error for row in found}

    def test_the_numbers_of_both_tables_are_found_by_benchmark_and_method(self) -> None:
        absgd = self.errors("Qi et al. 2023, table 6", ABSGD)
        assert absgd["cifar10-noise-symmetric-0.4"] == pytest.approx(100 - 88.65)
        assert absgd["cifar100-noise-asymmetric-0.4"] == pytest.approx(100 - 49.60)
        rcal = self.errors("Zhang et al. 2023 (RCAL)", "rcal")
        assert rcal["cifar10-lt-100-noise-proportional-0.4"] == pytest.approx(100 - 69.78)
        assert len(rcal) == 10
        assert len({row.benchmark for row in self.rows}) == 22

    def test_every_method_of_table_6_has_all_eight_cells_but_the_typing_error(self) -> None:
        for method in ("ce", TCE, "sce", "eg(base='sce')", ABSGD):
            assert len(self.errors("Qi et al. 2023, table 6", method)) == (7 if method == "ce" else 8), method
        assert "cifar100-noise-asymmetric-0.4" not in self.errors("Qi et al. 2023, table 6", "ce")
        assert "typing error" in PROTOCOLS["absgd-noise"].note

    def test_flips_one_after_the_other_are_not_ours(self) -> None:
        flipped = "subset all images, flipped pair after pair"
        (row,) = [row for row in self.rows if (row.benchmark, row.method) == ("cifar10-noise-asymmetric-0.2", "ce")]
        assert flipped in row.not_comparable(usual_protocol(row.benchmark))
        (row,) = [row for row in self.rows if (row.benchmark, row.method) == ("cifar100-noise-asymmetric-0.2", "ce")]
        assert flipped not in row.not_comparable(usual_protocol(row.benchmark)), "its code draws these row by row"

    def test_a_uniform_weight_and_logits_of_one_length_are_no_part_of_absgd(self) -> None:
        found = {row.benchmark: row.variant for row in self.rows if row.method == ABSGD}
        assert all("uniform 1" in variant for variant in found.values())
        assert {name for name, variant in found.items() if "divided by their norm" in variant} == {
            "cifar100-noise-symmetric-0.2", "cifar100-noise-symmetric-0.4",
        }  # fmt: skip

    def test_lines_that_the_source_has_wrong_are_no_targets(self) -> None:
        assert not [row for row in self.rows if row.protocol.key == "rcal" and row.method in ("ce-drw", "har-drw")]
        assert all(name in PROTOCOLS["rcal"].note for name in ("ERM-DRW", "HAR-DRW"))

    def test_every_part_that_rcals_ablation_takes_away_makes_it_worse(self) -> None:
        source = "Zhang et al. 2023 (RCAL), ablation"
        specs = ("rcal", "rcal(base='ce')", "rcal(base='ce', beta=0.0)", "rcal(base='ce', beta=0.0, sampled=0.0)", "ce")
        for ratio in (10, 100):
            for rate in ("0.2", "0.4"):
                name = f"cifar100-lt-{ratio}-noise-proportional-{rate}"
                errors = [self.errors(source, spec)[name] for spec in specs]
                assert errors == sorted(errors), name

    def test_more_noise_is_harder(self) -> None:
        for method in ("ce", "co-teaching", "cdr", "mislas", "rolt-drw", "rcal"):
            errors = self.errors("Zhang et al. 2023 (RCAL)", method)
            for ratio in (10, 100):
                by_rate = [errors[f"cifar10-lt-{ratio}-noise-proportional-0.{tenth}"] for tenth in range(1, 6)]
                assert by_rate == sorted(by_rate), (method, ratio)

    def test_the_recipe_is_absgds_but_for_what_it_tunes(self) -> None:
        for benchmark, network in (
            ("cifar10-noise-symmetric-0.4", "sce-cnn"),
            ("cifar100-noise-symmetric-0.4", "ResNet-34"),
        ):
            (row,) = [row for row in self.rows if (row.benchmark, row.method) == (benchmark, "ce")]
            assert row.protocol.network == network
            assert row.not_comparable(usual_protocol(benchmark)) == [
                *(["rotation"] if network == "ResNet-34" else []),
                "lr tuned",
                "weight decay tuned",
            ]
