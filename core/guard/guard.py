"""The guard of one job attempt: screening, redaction and restoring at every border that its text crosses."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Protocol
from uuid import UUID

from core.guard.analyzer import Analyzer, open_analyzer
from core.guard.examples import Embed, ExampleClasses, highest
from core.guard.holdback import RedactingStream
from core.guard.policies import PolicyCache
from core.guard.policy import CombinedPolicy, Disclosure
from core.guard.pseudonyms import PseudonymKeys, Pseudonyms
from core.guard.records import Action, Decision, Direction, EntityKind, Findings, RedactionMode, Source
from core.guard.rewriting import Rewritten, literals, rewrite
from core.guard.screening import AbsentAnalyzer, screen
from core.guard.tokens import TOKEN, Token, token_of
from core.guard.values import map_texts, texts_in
from core.kit.db import Executor
from core.kit.errors import CapabilityFailure, Outage, Unavailable
from core.kit.metrics.guard import observe_findings, observe_verdict
from core.kit.settings import Settings

# Receives the findings in texts of a source, whatever the policy does about them.
Report = Callable[[Source, Findings], None]
_KINDS = frozenset(EntityKind)
# Texts that models read and did not write.
_READ = frozenset(Source) - {Source.MODEL_OUTPUT}
# The borders whose rules determine what observers must not see.
_SEEN = (
    (Direction.TO_MODEL, Source.INPUT),
    (Direction.TO_MODEL, Source.DOCUMENT),
    (Direction.TO_CLIENT, Source.MODEL_OUTPUT),
)


class Policies(Protocol):
    """Returns a project's policy. Called before every screening, so it must answer from memory."""

    def of(self, executor: Executor, organization_id: UUID, project_id: UUID) -> CombinedPolicy:
        """The organization's and the project's policies, combined."""


class OfProject(Protocol):
    """The part of a job's context that identifies its project."""

    organization_id: UUID
    project_id: UUID

    @property
    def executor(self) -> Executor | None:
        """Single statements as the job's tenant."""


@dataclass(frozen=True, slots=True)
class Guard:
    """State shared by the attempts of a process."""

    policies: Policies
    analyzer: Analyzer
    keys: PseudonymKeys
    examples: ExampleClasses = field(default_factory=ExampleClasses)

    def policy_of(self, job: "OfProject") -> CombinedPolicy:
        """The policy of the job's organization and project."""
        assert job.executor is not None
        return self.policies.of(job.executor, job.organization_id, job.project_id)

    def disclosure_of(self, executor: Executor, organization_id: UUID, project_id: UUID) -> Disclosure:
        """The disclosure of machine-made text that the organization and the project want."""
        return self.policies.of(executor, organization_id, project_id).disclosure

    def for_job(
        self, executor: Executor, *, organization_id: UUID, project_id: UUID, root_job_id: UUID, report: Report
    ) -> "JobGuard":
        """The guard of one attempt. Its tokens are those of the job tree below `root_job_id`."""
        pseudonyms = Pseudonyms(executor, self.keys, organization_id, root_job_id)
        return JobGuard(self, executor, organization_id, project_id, pseudonyms=pseudonyms, report=report)


def open_guard(settings: Settings, embed: Embed | None = None) -> Guard:
    """The guard of a process, opened after any fork. Nothing is read, requested or loaded before a job needs it.

    `embed` turns texts into unit vectors; without it, jobs whose policy has examples fail.
    """
    analyzer = open_analyzer(settings) or AbsentAnalyzer()
    return Guard(PolicyCache(settings), analyzer, PseudonymKeys(settings), ExampleClasses(embed))


@dataclass(frozen=True, slots=True)
class Redacted:
    """Texts after redaction, and the spellings of every value that one of their tokens stands for."""

    texts: tuple[Rewritten, ...]
    spellings: Mapping[Token, frozenset[str]] = field(default_factory=dict)


class JobGuard:
    """The guard of one attempt. Thread-safe.

    Its methods raise `CapabilityFailure`: ``guard_blocked``, which names kinds and no values; ``guard_unavailable``, an
    outage, when the analyzer does not answer where the policy could redact or block; ``guard_model_missing`` where
    texts are to be compared with examples and there is no embedding model.
    """

    def __init__(
        self,
        guard: Guard,
        executor: Executor,
        organization_id: UUID,
        project_id: UUID,
        *,
        pseudonyms: Pseudonyms,
        report: Report,
    ) -> None:
        self._guard = guard
        self._executor = executor
        self._organization_id = organization_id
        self._project_id = project_id
        self._report = report
        self.pseudonyms = pseudonyms

    def strictest(self, direction: Direction, source: Source) -> Action:
        """The strictest action that a text of this source could meet at this border."""
        return self._policy().strictest(direction, source)

    def looks_at(self, direction: Direction, source: Source) -> bool:
        """Whether such texts are searched for anything, or compared with examples."""
        return self.strictest(direction, source) is not Action.OFF or self._compares(direction, source)

    def screen(self, texts: Sequence[str], direction: Direction, source: Source) -> Findings:
        """The findings in the texts, counted in the metrics, and their class. The caller handles blocking."""
        findings = Findings(texts=texts)
        if self.strictest(direction, source) is not Action.OFF:
            findings = self._found(texts, direction, source)
        return self._classified(findings) if self._compares(direction, source) else findings

    def _found(self, texts: Sequence[str], direction: Direction, source: Source) -> Findings:
        findings = self._screen(texts, direction, source)
        observe_findings(
            (each.finding.kind if each.finding.kind in _KINDS else "custom", each.action.value)
            for each in findings.decisions
        )
        return findings

    def _compares(self, direction: Direction, source: Source) -> bool:
        """Whether such texts are compared with examples: those that models read but did not write."""
        is_read = direction is Direction.TO_MODEL and source in _READ
        return is_read and any(each.examples for each in self._policy().policies)

    def _classified(self, findings: Findings) -> Findings:
        given = self._guard.examples.highest(self._policy(), findings.texts)
        return replace(findings, data_class=highest((findings.data_class, given)))

    def redact(
        self,
        texts: Sequence[tuple[Source, str]],
        direction: Direction,
        *,
        mode: RedactionMode | None = None,
        escapes: bool = False,
        blocks_only: bool = False,
        compares: Collection[Source] = _READ,
        exempt: Collection[str] = (),
    ) -> Redacted:
        """The texts as they may cross the border, in order. Findings are reported.

        `mode` replaces pseudonyms, where no text comes back. Where it does, as from a model, existing text that
        looks like a token gets its own token; with `escapes` even when there is no other. `blocks_only`: where only
        ``block`` guards. Texts from the sources `compares` are compared with examples. Values of `exempt` kinds stay,
        unless they are blocked.
        """
        least = Action.BLOCK if blocks_only else Action.DETECT
        decisions: list[list[Decision]] = [[] for _ in texts]
        for source in dict.fromkeys(source for source, _ in texts):
            is_screened = self.strictest(direction, source).rank >= least.rank
            is_compared = source in compares and self._compares(direction, source)
            if not is_screened and not is_compared:
                continue
            places = [place for place, (whose, text) in enumerate(texts) if whose is source and text]
            findings = Findings(texts=[texts[place][1] for place in places])
            if is_screened:
                findings = self._found(findings.texts, direction, source)
            if is_compared:
                findings = self._classified(findings)
            self._report(source, findings)
            refuse_blocked(findings)
            for each in findings.decisions:
                if each.action is Action.REDACT and not blocks_only and each.finding.kind not in exempt:
                    decisions[places[each.finding.part]].append(each)
        if mode is not None:
            decisions = [[replace(each, mode=_instead(each.mode, mode)) for each in group] for group in decisions]
        is_named = any(each.mode is RedactionMode.PSEUDONYMIZE for group in decisions for each in group)
        if escapes or (is_named and direction is not Direction.TO_CLIENT):
            decisions = [group + literals(text) for group, (_, text) in zip(decisions, texts, strict=True)]
        return self._rewritten([text for _, text in texts], decisions)

    def masked(self, texts: Sequence[str]) -> list[str]:
        """The texts with everything masked by its kind that is redacted or blocked for models or clients.

        For observers, such as a trace's reader: nothing is reported, named or refused.
        """
        for direction, source in _SEEN:
            if self.strictest(direction, source).rank < Action.REDACT.rank:
                continue
            found = self._screen(texts, direction, source, least=Action.REDACT)
            decisions: list[list[Decision]] = [[] for _ in texts]
            for each in found.decisions:
                decisions[each.finding.part].append(replace(each, mode=RedactionMode.MASK))
            texts = [each.text for each in self._rewritten(texts, decisions).texts]
        return list(texts)

    def redact_value(self, value: Any, direction: Direction, source: Source, *, escapes: bool = False) -> Any:
        """A JSON value as it may cross the border; the same object when nothing in it is redacted."""
        if self.strictest(direction, source).rank < Action.REDACT.rank:
            return value
        texts = texts_in(value)
        redacted = self.redact([(source, text) for text in texts], direction, escapes=escapes)
        changed = {text: new.text for text, new in zip(texts, redacted.texts, strict=True) if new.edits}
        return map_texts(value, lambda text: changed.get(text, text)) if changed else value

    def for_tool(self, arguments: Mapping[str, Any], exempt: Collection[str]) -> tuple[Any, Mapping[Token, str]]:
        """The arguments as a tool may get them, and the values of the tokens in them. `exempt` as in `redact`."""
        if self.strictest(Direction.TO_TOOL, Source.MODEL_OUTPUT) is Action.OFF:
            return arguments, {}
        texts = texts_in(arguments)
        redacted = self.redact([(Source.MODEL_OUTPUT, text) for text in texts], Direction.TO_TOOL, exempt=exempt)
        changed = {text: new.text for text, new in zip(texts, redacted.texts, strict=True) if new.edits}
        if not changed:
            return arguments, {}
        return map_texts(arguments, lambda text: changed.get(text, text)), self.values_of(redacted)

    def values_of(self, redacted: Redacted) -> dict[Token, str]:
        """The values behind the tokens of a redaction, to restore text that comes back.

        In the spelling used there, so that quotes stay word for word; with several spellings, the first.
        """
        values: dict[Token, str] = {}
        for token, spellings in redacted.spellings.items():
            value = next(iter(spellings)) if len(spellings) == 1 else self.pseudonyms.value(token)
            values[token] = min(spellings) if value is None else value
        return values

    def restore_value(self, value: Any) -> Any:
        """A JSON value with the tree's tokens replaced by the real values."""
        texts = [text for text in texts_in(value) if TOKEN.search(text)]
        self.pseudonyms.load(token_of(found) for text in texts for found in TOKEN.finditer(text))
        return map_texts(value, self.pseudonyms.restore) if texts else value

    def stream(self) -> RedactingStream | None:
        """Redacts a stream on its way to the client; None where the policy neither redacts nor blocks there."""
        if self.strictest(Direction.TO_CLIENT, Source.MODEL_OUTPUT).rank < Action.REDACT.rank:
            return None
        return RedactingStream(self._decide_on_stream, self._name)

    def _decide_on_stream(self, text: str) -> Sequence[Decision]:
        # A stream is screened several times over, and only findings that change it matter.
        findings = self._screen([text], Direction.TO_CLIENT, Source.MODEL_OUTPUT, least=Action.REDACT)
        refuse_blocked(findings)
        # An injection covers the whole text, and a stream has no whole.
        return [each for each in findings.decisions if each.finding.kind != EntityKind.INJECTION]

    def _rewritten(self, texts: Sequence[str], decisions: Sequence[Sequence[Decision]]) -> Redacted:
        asked: dict[tuple[str, str], None] = {}

        def note(kind: str, value: str, mode: RedactionMode) -> str:
            if mode is RedactionMode.PSEUDONYMIZE:
                asked[kind, value] = None
            return ""

        # Only rewriting shows which values need names; collecting them first makes it one round trip.
        for text, group in zip(texts, decisions, strict=True):
            rewrite(text, group, note)
        self.pseudonyms.name_all(asked)
        spellings: dict[Token, set[str]] = {}
        for kind, value in asked:
            found = TOKEN.fullmatch(self.pseudonyms.name(kind, value))
            if found is not None:
                spellings.setdefault(token_of(found), set()).add(value)
        return Redacted(
            tuple(rewrite(text, group, self._name) for text, group in zip(texts, decisions, strict=True)),
            {token: frozenset(values) for token, values in spellings.items()},
        )

    def _name(self, kind: str, value: str, mode: RedactionMode) -> str:
        """The replacement for a value. See `core.guard.redaction.Namer`."""
        match mode:
            case RedactionMode.DROP:
                return ""
            case RedactionMode.MASK:
                return f"<{kind.upper()}>"
            case RedactionMode.HASH:
                return f"<{kind.upper()}:{self.pseudonyms.digest(kind, value)}>"
            case RedactionMode.PSEUDONYMIZE:
                return self.pseudonyms.name(kind, value)

    def _screen(
        self, texts: Sequence[str], direction: Direction, source: Source, least: Action = Action.DETECT
    ) -> Findings:
        policy, analyzer = self._policy(), self._guard.analyzer
        began = perf_counter()
        try:
            findings = screen(texts, policy=policy, direction=direction, source=source, analyzer=analyzer, least=least)
        except Unavailable as error:
            observe_verdict(direction, source, "unavailable", perf_counter() - began)
            raise CapabilityFailure(
                "The guard analyzer does not answer, and the policy lets nothing pass that it has not seen.",
                code="guard_unavailable",
                outage=Outage("guard analyzer", error.retry_after_seconds),
            ) from None
        observe_verdict(direction, source, _verdict_of(findings), perf_counter() - began)
        return findings

    def _policy(self) -> CombinedPolicy:
        return self._guard.policies.of(self._executor, self._organization_id, self._project_id)


def refuse_blocked(findings: Findings) -> None:
    """Raise `CapabilityFailure` (``guard_blocked``) when one of the findings must not pass."""
    kinds = sorted({each.finding.kind for each in findings.decisions if each.action is Action.BLOCK})
    if kinds:
        raise CapabilityFailure(
            f"the guard's policy lets no text pass that holds: {', '.join(kinds)}", code="guard_blocked"
        )


def _verdict_of(findings: Findings) -> str:
    """The label for metrics: the strictest decision."""
    if findings.incomplete:
        return "incomplete"
    strictest = max((each.action for each in findings.decisions), key=lambda action: action.rank, default=Action.OFF)
    return {Action.BLOCK: "blocked", Action.REDACT: "redacted", Action.DETECT: "detected"}.get(strictest, "clean")


def _instead(mode: RedactionMode, other: RedactionMode) -> RedactionMode:
    return other if mode is RedactionMode.PSEUDONYMIZE else mode
