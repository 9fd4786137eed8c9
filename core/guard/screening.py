"""What is in some texts, and what a policy wants done about it before they cross a border."""

from collections.abc import Sequence
from dataclasses import replace

from core.guard.analyzer import Analyzer
from core.guard.policy import CombinedPolicy
from core.guard.records import Action, Decision, Direction, Findings, Source
from core.kit.errors import Unavailable


def screen(
    texts: Sequence[str], *, policy: CombinedPolicy, direction: Direction, source: Source, analyzer: Analyzer
) -> Findings:
    """What was found and decided. Asks the analyzer only where a rule could hold.

    Raises `Unavailable` when the analyzer does not answer and the policy could redact or block; where it only detects
    the findings are `incomplete`.
    """
    strictest = policy.needs_analyzer(direction, source)
    if strictest is Action.OFF or not texts:
        return Findings(texts=texts)
    try:
        found = analyzer.analyze(texts)
    except Unavailable:
        if strictest.rank >= Action.REDACT.rank:
            raise
        return Findings(incomplete=True, texts=texts)
    decisions = []
    for part, of_text in enumerate(found):
        for finding in of_text:
            action, mode = policy.decide(finding.kind, finding.score, direction, source)
            if action is not Action.OFF:
                decisions.append(Decision(replace(finding, part=part), action, mode))
    return Findings(tuple(decisions), texts=texts)
