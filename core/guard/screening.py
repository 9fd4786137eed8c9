"""Applies a policy to texts that are about to cross a border: findings, and the decisions about them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from core.guard.analyzer import Analyzer
from core.guard.errors import GuardUnavailable
from core.guard.escapes import Unescaped, unescape
from core.guard.policy import CombinedPolicy, GuardPolicy
from core.guard.records import Action, Decision, Direction, Finding, Findings, RedactionMode, Source
from core.guard.terms import TermFinder
from core.kit.errors import Unavailable
from core.registry.data_classes import DataClass

# A finding, and the class that it gives to the content that holds it.
_Found = tuple[Finding, DataClass | None]
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
    """The findings in `texts`, and the policy's decisions about them; a finding's `part` is the index of its text.

    The analyzer is called only for kinds whose findings could meet an action as strict as `least`. Raises
    `core.kit.errors.Unavailable` when it does not answer and the policy could redact or block one of them here; where
    it can only detect, the findings are `incomplete`. Findings may overlap: `core.guard.redaction` replaces overlapping
    ones together. A text with letters that JSON has escaped is read both as written and decoded.
    """
    kinds = policy.kinds_wanted(direction, source, least)
    found: list[_Found] = []
    incomplete = False
    meant = {len(texts) + at: each for at, each in enumerate(_meant(texts))}
    read = [*texts, *(each.text for _, each in meant.values())]
    if kinds != frozenset() and any(texts):
        try:
            analyzed = analyzer.analyze(read, kinds)
        except Unavailable:
            if policy.kinds_wanted(direction, source, Action.REDACT) != frozenset():
                raise
            incomplete = True
        else:
            found += [(replace(each, part=part), None) for part, of_text in enumerate(analyzed) for each in of_text]
    prepared = _prepare(policy)
    for part, text in enumerate(read):
        for finder in prepared.finders:
            found += finder.find(text, part)
    if meant:
        found = _as_written(found, meant)
    return prepared.decide(found, texts, direction, source, incomplete=incomplete)


def _meant(texts: Sequence[str]) -> Iterator[tuple[int, Unescaped]]:
    """The texts that contain escapes, by their index, decoded."""
    for part, text in enumerate(texts):
        said = unescape(text)
        if said is not None:
            yield part, said


def _as_written(found: Iterable[_Found], meant: Mapping[int, tuple[int, Unescaped]]) -> list[_Found]:
    """Findings in decoded texts, at their positions in the written ones; once when found in both."""
    kept: dict[tuple[int, str, int, int], _Found] = {}
    for finding, given in found:
        if finding.part in meant:
            part, said = meant[finding.part]
            start, end = said.original(finding.start, finding.end)
            finding = replace(finding, part=part, start=start, end=end)  # noqa: PLW2901 - the same, elsewhere
        place = (finding.part, finding.kind, finding.start, finding.end)
        if place not in kept or kept[place][0].score < finding.score:
            kept[place] = (finding, given)
    return list(kept.values())


class AbsentAnalyzer(Analyzer):
    """Used when no analyzer is configured: refuses every call that needs one."""

    def analyze(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:  # noqa: ARG002
        """Raise `GuardUnavailable`."""
        raise GuardUnavailable(f"no analyzer is configured, and {len(texts)} texts need one: set WAYBILL_GUARD_URL")


class _Prepared:
    """A policy, with its own finders and allow-lists prepared."""

    def __init__(self, policies: Iterable[GuardPolicy]) -> None:
        self._policies = [(policy, frozenset(map(_plain, policy.allow))) for policy in policies]
        self.finders = [
            finder for policy, _ in self._policies for finder in [TermFinder(policy)] if not finder.is_empty
        ]

    def decide(
        self,
        found: Iterable[_Found],
        texts: Sequence[str],
        direction: Direction,
        source: Source,
        *,
        incomplete: bool,
    ) -> Findings:
        decisions: list[Decision] = []
        classes: list[DataClass] = []
        for finding, given in found:
            values = _spellings(texts[finding.part][finding.start : finding.end])
            action, mode = Action.OFF, RedactionMode.PSEUDONYMIZE
            is_allowed = True
            for policy, allowed in self._policies:
                # Each policy's allow-list affects that policy only: a project's does not relax its organization's.
                if not allowed.isdisjoint(values):
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


def _spellings(text: str) -> list[str]:
    said = unescape(text)
    return [_plain(text)] if said is None else [_plain(text), _plain(said.text)]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
