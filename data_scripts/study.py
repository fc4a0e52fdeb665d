"""What the scripts of studies share: they are run as `python data_scripts/NAME.py`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable


def mean_sd(values: Iterable[float], form: str = ".1f") -> str:
    """Return "mean (sd)", the mean alone of a single value, or "-" for none."""
    values = list(values)
    if not values:
        return "-"
    mean = format(statistics.mean(values), form)
    sd = format(statistics.stdev(values), form.lstrip("+")) if len(values) > 1 else ""
    return f"{mean} ({sd})" if sd else mean
