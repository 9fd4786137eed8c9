"""Agreement of two labelers beyond chance.

Source: J. Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20 (1960), with its standard
error of the difference from chance given there (formula 7).
"""

import math
from collections import Counter
from collections.abc import Sequence

_Z = 1.959963984540054


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> tuple[float, float | None, float | None, float | None]:
    """The share on which two agree, kappa, and the ends of its 95 % interval.

    `pairs` are the labels of the first and the second for each case; there is at least one. Kappa is None when both
    give every case the same label, so that chance alone makes them agree.
    """
    count = len(pairs)
    agreed = sum(first == second for first, second in pairs) / count
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    by_chance = sum(firsts[each] * seconds[each] for each in firsts) / count**2
    if by_chance >= 1:
        return agreed, None, None, None
    kappa = (agreed - by_chance) / (1 - by_chance)
    error = math.sqrt(agreed * (1 - agreed) / (count * (1 - by_chance) ** 2))
    return agreed, kappa, max(-1.0, kappa - _Z * error), min(1.0, kappa + _Z * error)
