from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from pytorch_designer.evaluation.comparison import NotPaired, PairedTest, compare
from tests.evaluation.scored_rows import scored

NAN = math.nan
CAT, DOG, COW = np.eye(3).tolist()


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (0, 1), (5, 0), (3, 9), (40, 60), (700, 800), (4, 4)])
def test_p_value_is_that_of_the_exact_binomial_test(only_first: int, only_second: int) -> None:
    different = only_first + only_second
    tail = sum(math.comb(different, count) for count in range(min(only_first, only_second) + 1))
    wanted = float(min(Fraction(1), Fraction(2 * tail, 2**different)))

    assert PairedTest(10, only_first, only_second, 3).p_value == pytest.approx(wanted, rel=1e-9)


def test_p_value_of_very_many_images_is_zero_and_no_overflow() -> None:
    assert PairedTest(0, 200_000, 1000, 0).p_value == 0


def test_difference_is_second_minus_first() -> None:
    assert PairedTest(num_both=5, num_only_first=1, num_only_second=3, num_neither=1).difference == pytest.approx(0.2)


def test_interval_holds_the_difference_and_narrows_with_more_images() -> None:
    low, high = PairedTest(50, 10, 20, 20).interval
    lower, higher = PairedTest(5000, 1000, 2000, 2000).interval

    assert low < 0.1 < high
    assert lower < 0.1 < higher
    assert higher - lower < (high - low) / 8


def test_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    # Probabilities of both, only the first, only the second, neither: the true difference is 0.1.
    draws = np.random.default_rng(0).multinomial(100, [0.5, 0.1, 0.2, 0.2], size=2000)
    intervals = [PairedTest(*map(int, draw)).interval for draw in draws]

    assert np.mean([low <= 0.1 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)


def test_images_are_matched_by_id_in_any_order() -> None:
    first = scored([CAT, CAT, DOG, COW], ["cat", "dog", "dog", "cat"], ids=["a", "b", "c", "d"])
    second = scored([COW, CAT, DOG, CAT], ["cat", "dog", "dog", "cat"], ids=["d", "c", "b", "a"])

    # a: both right; b: only the second; c: only the first; d: neither
    assert compare(first, second) == PairedTest(1, 1, 1, 1)


def test_images_are_matched_by_their_files_where_both_datasets_name_the_same() -> None:
    labels = ["cat", "dog"]
    first = scored([CAT, CAT], labels, files=["a.png", "b.png"])
    renumbered = scored([DOG, CAT], ["dog", "cat"], files=["b.png", "a.png"])
    assert compare(first, renumbered) == PairedTest(1, 0, 1, 0)
    elsewhere = scored([CAT, DOG], labels, files=["x/a.png", "x/b.png"])
    assert compare(first, elsewhere) == PairedTest(1, 0, 1, 0)
    assert compare(first, scored([CAT, DOG], labels)) == PairedTest(1, 0, 1, 0)


def test_labels_are_compared_by_name() -> None:
    first = scored([CAT], ["zebra"], classes=("cat", "dog", "cow"))
    second = scored([[0, 1]], ["zebra"], classes=("dog", "zebra"))

    assert compare(first, second) == PairedTest(0, 0, 1, 0)


def test_images_that_one_of_the_two_did_not_score_are_left_out() -> None:
    first = scored([[NAN] * 3, CAT, CAT], ["cat", "cat", "cat"])
    second = scored([CAT, CAT, [NAN] * 3], ["cat", "cat", "cat"])

    assert compare(first, second) == PairedTest(1, 0, 0, 0)


@pytest.mark.parametrize(
    ("ids", "labels"),
    [([0, 2], ["cat", "cat"]), ([0, 0], ["cat", "cat"]), (["0", "1"], ["cat", "cat"]), ([0, 1], ["cat", "dog"])],
    ids=["other ids", "repeated ids", "ids of another type", "other labels"],
)
def test_other_images_are_not_compared_one_by_one(ids: list[object], labels: list[str]) -> None:
    first = scored([CAT, CAT], ["cat", "cat"])

    assert isinstance(compare(first, scored([CAT, CAT], labels, ids=ids)), NotPaired)


def test_a_subset_of_the_images_is_not_compared_one_by_one() -> None:
    assert isinstance(compare(scored([CAT, CAT], ["cat", "cat"]), scored([CAT], ["cat"])), NotPaired)


def test_datasets_without_a_common_scored_image_are_not_compared() -> None:
    first = scored([[NAN] * 3, CAT], ["cat", "cat"])
    second = scored([CAT, [NAN] * 3], ["cat", "cat"])

    assert isinstance(compare(first, second), NotPaired)
