"""How far people agree beyond chance: Cohen's kappa between each two of them.

Claim    Each two people are told, with the number of texts that both have answered, or that these
         are too few. The last answer of a person counts. Of entities, words are compared.
Paper    Cohen (1960), https://doi.org/10.1177/001316446002000104; the standard error behind the
         95 % interval: Fleiss, Cohen & Everitt (1969), https://doi.org/10.1037/h0028106.
Differs  Words of a sentence depend on each other, so there is no interval for entities.
Proof    tests/data/test_agreement.py
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, combinations

from minift.data.intervals import Z


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> tuple[float, float]:
    """Return kappa, at most 1, and its standard error; nan where both always say one thing."""
    n = len(first)
    agree = sum(a == b for a, b in zip(first, second, strict=True)) / n
    counts, others = Counter(first), Counter(second)
    chance = sum(counts[label] * others[label] for label in counts) / n**2
    if chance == 1:
        return math.nan, math.nan
    found = (agree - chance) / (1 - chance)
    terms = [(a == b) - (1 - found) * (others[a] + counts[b]) / n for a, b in zip(first, second)]
    spread = sum(term**2 for term in terms) / n - (found - chance * (1 - found)) ** 2
    return found, math.sqrt(max(spread, 0) / n) / (1 - chance)


def agreement(answers: Iterable[tuple[str, str, str | Sequence[str]]]) -> list[str]:
    """Say how far each two people agree, from (text, person, its class or its words' tags)."""
    given, said, few = dict[str, dict[str, str | Sequence[str]]](), list[str](), list[str]()
    for text, person, label in answers:
        given.setdefault(person, {})[text] = label
    if len(given) == 1:
        return [f"all labels are by {''.join(given)}; for kappa, two people label the same texts"]
    for one, other in combinations(given, 2):
        shared = [text for text in given[one] if text in given[other]]
        if len(shared) < 2:
            few.append(f"{one} and {other}")
            continue
        first, second = ([given[who][text] for text in shared] for who in (one, other))
        unit, sure = "texts", ""
        if words := not isinstance(first[0], str):
            unit = f"words of {len(shared)} texts"
            first, second = [*chain.from_iterable(first)], [*chain.from_iterable(second)]
        value, error = kappa(first, second)
        if error > 0 and not words:
            low, high = max(value - Z * error, -1), min(value + Z * error, 1)
            sure = f" (95% CI {low:.2f} to {high:.2f})"
        told = f"kappa {value:.2f}{sure}"
        told = told if value == value else "no kappa, as only one label occurs"
        said.append(f"{one} and {other}: {told}, {len(first)} {unit}")
    return said + [f"fewer than 2 texts in common: {', '.join(few)}"] * bool(few)
