"""Numbers that stand side by side have the same decimals."""

import pytest

from longtail.facts.digits import MOST, alike


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((-0.689, -1.38, 0.0004), ["-0.69", "-1.38", "0.00"]),
        ((0.0123, -0.00001), ["0.0123", "0.0000"]),
        ((1234.5, 0.3), ["1234", "0"]),
        ((0.0, 0.0), ["0", "0"]),
        ((1e-14,), ["0." + "0" * MOST]),
        ((), []),
    ],
)
def test_decimals_are_those_of_the_largest(values: tuple[float, ...], shown: list[str]) -> None:
    assert alike(values) == shown


def test_signs_are_shown_where_asked() -> None:
    assert alike((1.5, -0.25, 0.0001), "+") == ["+1.50", "-0.25", "+0.00"]
