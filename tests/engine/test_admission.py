"""How many trainings a GPU gets at once: a pretended device whose speed and memory follow from their number."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from longtail.engine.admission import MOST, Admission, ByMeasurement


class Card:
    """A device with so much memory, on which n trainings make `speed(n)` steps per second."""

    def __init__(self, speed: Callable[[int], float], memory: int = 1000, each: int = 10) -> None:
        self.speed, self.memory, self.each = speed, memory, each
        self.now, self.running = 0.0, 0

    def free_memory(self) -> int:
        return self.memory - self.each * self.running

    def admission(self, most: int | None = None) -> ByMeasurement:
        return ByMeasurement(most, self.free_memory, lambda: self.now)


def admit(card: Card, rule: Admission) -> None:
    while rule.admits(card.running):
        rule.begin()
        card.running += 1


def work(card: Card, rule: Admission, seconds: float = 60.0) -> int:
    """Let all that are admitted go on for a while; return how many there are then."""
    end = card.now + seconds
    admit(card, rule)
    while card.now < end:
        card.now += 1 / card.speed(card.running)
        rule.note_step(card.running)
        admit(card, rule)
    return card.running


def test_the_first_is_alone_until_its_speed_is_known() -> None:
    card = Card(lambda n: 100.0 * n)
    rule = card.admission()
    admit(card, rule)
    assert card.running == 1
    assert work(card, rule, 0.5) == 1
    assert work(card, rule, 5.0) > 1


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (lambda n: 100.0 * n, MOST),  # a card that is never full
        (lambda n: 100.0, 2),  # the second one brings nothing
        (lambda n: 100.0 * min(n, 3.5), 5),  # the fourth brings 17 %, the fifth nothing
        (lambda n: 100.0 * 1.05**n, 2),  # 5 % each
    ],
)
def test_one_more_as_long_as_the_last_one_paid(speed: Callable[[int], float], expected: int) -> None:
    card = Card(speed)
    assert work(card, card.admission()) == expected


def test_where_the_last_one_slowed_all_down_its_place_is_not_filled_again() -> None:
    card = Card(lambda n: 100.0 * (n if n < 3 else 1.5))
    rule = card.admission()
    assert work(card, rule) == 3
    card.running -= 1
    rule.end()
    assert work(card, rule) == 2


def test_no_more_than_asked() -> None:
    card = Card(lambda n: 100.0 * n)
    assert work(card, card.admission(4)) == 4
    card = Card(lambda n: 100.0 * n)
    assert work(card, card.admission(1)) == 1


def test_memory_bounds_it() -> None:
    # free beside n: 100 - 20 n; a further one needs 1.3 x 20
    card = Card(lambda n: 100.0 * n, memory=100, each=20)
    rule = card.admission()
    assert work(card, rule) == 4
    card.memory = 200
    assert work(card, rule) == 9


def test_one_that_ended_is_replaced_without_a_measurement() -> None:
    card = Card(lambda n: 100.0 * min(n, 3))
    rule = card.admission()
    assert work(card, rule) == 4
    card.running -= 2
    rule.end()
    rule.end()
    admit(card, rule)
    assert card.running == 4


def test_those_that_begin_together_have_memory_for_all() -> None:
    card = Card(lambda n: 100.0 * min(n, 4), memory=300, each=20)
    rule = card.admission()
    assert work(card, rule) == 5
    card.running, card.memory = 0, 60
    for _ in range(5):
        rule.end()
    while rule.admits(card.running):  # their memory is not taken before they run
        rule.begin()
        card.running += 1
        card.memory += card.each
    assert card.running == 2


def test_after_a_want_of_memory_no_further_one() -> None:
    card = Card(lambda n: 100.0 * n)
    rule = card.admission()
    assert work(card, rule, 6.0) > 2
    card.running = 2
    rule.lack_memory(2)
    rule.end()
    assert work(card, rule) == 2


def test_everything_at_once_without_a_rule() -> None:
    assert Admission().admits(10**6)
    assert [n for n in range(5) if Admission(3).admits(n)] == [0, 1, 2]
