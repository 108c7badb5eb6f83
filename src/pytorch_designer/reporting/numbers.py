"""Number formats of pages and logs."""

from __future__ import annotations

import math

_MISSING = "\N{EN DASH}"


def percent(share: float) -> str:
    """A share of 0 to 1 with one decimal; only a whole reads 100%, and only nothing reads 0%."""
    if not math.isfinite(share):
        return _MISSING
    if share in {0, 1}:
        return f"{share:.0%}"
    if share > 0.9995:
        return "> 99.9%"
    return "< 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def whole_percent(share: float) -> str:
    """A share of 0 to 1 without decimals, for running text: "98%"; only a whole reads 100%, only nothing 0%."""
    if not math.isfinite(share):
        return _MISSING
    if 0.995 <= share < 1:
        return "> 99%"
    return "< 1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"


def points(difference: float, unit: str = " points") -> str:
    """The difference of two shares of 0 to 1 in percentage points, with its sign and one decimal."""
    if not math.isfinite(difference):
        return _MISSING
    rounded = round(100 * difference, 1)
    return f"{rounded:+.1f}{unit}" if rounded else f"0.0{unit}"


def probability(value: float) -> str:
    """The probability that chance alone does as much, as p."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def decimal(value: float) -> str:
    """A measurement with three decimals, or three significant digits where decimals say nothing; NaN by name."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("infinity" if value > 0 else "-infinity")
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.3f}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def measured(value: float) -> str:
    """A measurement as `decimal` writes it, and a dash where it is undefined."""
    return decimal(value) if math.isfinite(value) else _MISSING


def duration(seconds: float) -> str:
    """A time span, with two units where the second one says something."""
    if not math.isfinite(seconds):
        return _MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def rate(per_second: float) -> str:
    """A rate, such as images per second."""
    if not math.isfinite(per_second):
        return _MISSING
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}"
