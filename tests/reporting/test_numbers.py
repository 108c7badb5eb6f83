from __future__ import annotations

import math

import pytest

from pytorch_designer.reporting.numbers import decimal, duration, percent, points, probability, rate, whole_percent


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0%"),
        (0.0001, "< 0.1%"),
        (0.5, "50.0%"),
        (0.9424, "94.2%"),
        (0.99999, "> 99.9%"),
        (1.0, "100%"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_a_share_reads_0_or_100_only_where_it_is(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.000"),
        (1.23456, "1.235"),
        (0.0993, "0.099"),
        (0.001234, "0.00123"),
        (12345.6, "12,346"),
        (3.4e38, "3.4e+38"),
        (math.nan, "NaN"),
        (-math.inf, "-infinity"),
    ],
)
def test_measurements_have_sensible_digits(value: float, shown: str) -> None:
    assert decimal(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (106, "1 min 46 s"),
        (600, "10 min"),
        (3599, "1 h 00 min"),
        (3 * 3600 + 300, "3 h 05 min"),
        (math.inf, "\N{EN DASH}"),
    ],
)
def test_time_spans_are_read_in_their_largest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_rates_lose_their_decimal_when_they_are_large() -> None:
    assert (rate(14.83), rate(1045.2), rate(math.nan)) == ("14.8", "1,045", "\N{EN DASH}")


def test_a_difference_of_shares_is_in_points_with_its_sign() -> None:
    assert points(0.123) == "+12.3 points"
    assert points(-0.05, "") == "-5.0"
    assert points(0.0001) == points(-0.0001) == "0.0 points"
    assert points(math.nan) == "\N{EN DASH}"


def test_a_small_probability_is_a_bound() -> None:
    assert probability(0.0004) == "p < 0.001"
    assert probability(0.04) == "p = 0.040"


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0%"),
        (0.004, "< 1%"),
        (0.978, "98%"),
        (0.996, "> 99%"),
        (1.0, "100%"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_a_share_in_running_text_has_no_decimals(share: float, shown: str) -> None:
    assert whole_percent(share) == shown
