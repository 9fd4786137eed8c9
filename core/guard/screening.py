"""What a policy says about texts that are about to cross a border: what is found in them, and what is done about it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from core.guard.analyzer import Analyzer
from core.guard.errors import GuardUnavailable
from core.guard.policy import CombinedPolicy, GuardPolicy
from core.guard.records import Action, Decision, Direction, Finding, Findings, RedactionMode, Source
from core.guard.terms import TermFinder
from core.kit.errors import Unavailable
from core.registry.data_classes import DataClass

_PREPARED: WeakKeyDictionary[CombinedPolicy, "_Prepared"] = WeakKeyDictionary()


def screen(
    texts: Sequence[str],
    *,
    policy: CombinedPolicy,
    direction: Direction,
    source: Source,
    analyzer: Analyzer,
    least: Action = Action.DETECT,
) -> Findings:
    """What is found in `texts`, and what the policy wants done about it; a finding's `part` is the index of its text.

    The analyzer is asked only for kinds whose findings could matter: could meet an action as strict as `least`. Raises
    `core.kit.errors.Unavailable` when it does not answer and the policy could redact or block one of them here; where
    it can only detect, the findings are `incomplete`. Findings may overlap: `core.guard.redaction` puts one thing in
    the place of those that do.
    """
    kinds = policy.kinds_wanted(direction, source, least)
    found: list[tuple[Finding, DataClass | None]] = []
    incomplete = False
    if kinds != frozenset() and any(texts):
        try:
            analyzed = analyzer.analyze(texts, kinds)
        except Unavailable:
            if policy.kinds_wanted(direction, source, Action.REDACT) != frozenset():
                raise
            incomplete = True
        else:
            found += [(replace(each, part=part), None) for part, of_text in enumerate(analyzed) for each in of_text]
    prepared = _prepare(policy)
    for part, text in enumerate(texts):
        for finder in prepared.finders:
            found += finder.find(text, part)
    return prepared.decide(found, texts, direction, source, incomplete=incomplete)


class AbsentAnalyzer(Analyzer):
    """Stands where no analyzer is configured: what needs one is refused."""

    def analyze(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:  # noqa: ARG002
        """Raise `GuardUnavailable`."""
        raise GuardUnavailable(f"no analyzer is configured, and {len(texts)} texts need one: set WAYBILL_GUARD_URL")


class _Prepared:
    """A policy, with what it finds by itself and its allow-lists made ready."""

    def __init__(self, policies: Iterable[GuardPolicy]) -> None:
        self._policies = [(policy, frozenset(map(_plain, policy.allow))) for policy in policies]
        self.finders = [
            finder for policy, _ in self._policies for finder in [TermFinder(policy)] if not finder.is_empty
        ]

    def decide(
        self,
        found: Iterable[tuple[Finding, DataClass | None]],
        texts: Sequence[str],
        direction: Direction,
        source: Source,
        *,
        incomplete: bool,
    ) -> Findings:
        decisions: list[Decision] = []
        classes: list[DataClass] = []
        for finding, given in found:
            value = _plain(texts[finding.part][finding.start : finding.end])
            action, mode = Action.OFF, RedactionMode.PSEUDONYMIZE
            is_allowed = True
            for policy, allowed in self._policies:
                # Each policy's allow-list speaks for that policy only: a project's does not relax its organization's.
                if value in allowed:
                    continue
                is_allowed = False
                wanted = policy.decide(finding.kind, finding.score, direction, source)
                if wanted[0].rank > action.rank:
                    action, mode = wanted
                if wanted[0] is not Action.OFF and finding.kind in policy.classes:
                    classes.append(policy.classes[finding.kind])
            if given is not None and not is_allowed:
                classes.append(given)
            if action is not Action.OFF:
                decisions.append(Decision(finding, action, mode))
        decisions.sort(key=lambda each: (each.finding.part, each.finding.start, each.finding.end))
        highest = max(classes, key=lambda each: each.rank, default=None)
        return Findings(tuple(decisions), incomplete, texts, highest)


def _prepare(policy: CombinedPolicy) -> _Prepared:
    prepared = _PREPARED.get(policy)
    if prepared is None:
        prepared = _PREPARED[policy] = _Prepared(policy.policies)
    return prepared


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
