"""The policy of an organization or a project: a document of rules, versioned and audited as a whole."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.guard.records import Action, Direction, EntityKind, KindName, RedactionMode, Source
from core.kit.data_classes import DataClass

TemplateName = Literal["off", "observe", "balanced", "strict"]
RegionName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
DEFAULT_THRESHOLD = 0.5
DEFAULT_SIMILARITY = 0.55
EXAMPLES_MAX, EXAMPLE_MAX_CHARACTERS = 200, 2_000
# All kinds except two that are everywhere in ordinary business text.
PERSONAL = tuple(
    kind
    for kind in EntityKind
    if kind not in {EntityKind.SECRET, EntityKind.INJECTION, EntityKind.LOCATION, EntityKind.ORGANIZATION}
)


class Rule(BaseModel):
    """A rule of a policy. A condition left empty matches everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: tuple[str, ...] = Field((), max_length=50, description="Kinds of findings. Empty means all.")
    directions: tuple[Direction, ...] = Field((), description="Borders where the rule applies. Empty means all.")
    sources: tuple[Source, ...] = Field((), description="Where the text comes from; anywhere when empty.")
    action: Action
    threshold: float = Field(
        DEFAULT_THRESHOLD, ge=0, le=1, description="Minimum score. Findings with a lower score are ignored."
    )
    mode: RedactionMode = RedactionMode.PSEUDONYMIZE

    def holds_for(self, kind: str, direction: Direction, source: Source) -> bool:
        """Whether it applies to such a finding."""
        return (not self.kinds or kind in self.kinds) and self.holds_at(direction, source)

    def holds_at(self, direction: Direction, source: Source) -> bool:
        """Whether it applies to any finding at this border."""
        return (not self.directions or direction in self.directions) and (not self.sources or source in self.sources)


class Dictionary(BaseModel):
    """Terms defined by the tenant that count as findings of `kind` and can raise the class of their content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: KindName
    terms: tuple[str, ...] = Field(min_length=1, max_length=10_000)
    data_class: DataClass | None = None


class Pattern(BaseModel):
    """A linear (RE2) expression defined by the tenant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: KindName
    expression: str = Field(min_length=1, max_length=500)
    score: float = Field(0.8, ge=0, le=1)
    data_class: DataClass | None = None


class Example(BaseModel):
    """An example text. Content that is as similar to it as the policy requires gets its class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1, max_length=EXAMPLE_MAX_CHARACTERS, pattern=r"\S")
    data_class: DataClass


class Disclosure(BaseModel):
    """Disclosure of machine-generated content: a notice in replies, and marks in generated files and results.

    Both are on unless a policy turns them off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    notice: bool | None = None
    marks: bool | None = None
    text: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        pattern=r"\S",
        description="The notice. Default: Waybill's own sentence in the language of the reply.",
    )


class Untrusted(BaseModel):
    """Measures that keep text from documents, tools, the web and other agents from giving instructions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    marks: bool = Field(True, description="Mark untrusted text as data before a model reads it.")
    effects: bool = Field(True, description="An effect that untrusted text asks for needs a person's approval.")
    links: bool = Field(True, description="A model that has read untrusted text may only link to `link_hosts`.")
    canary: bool = Field(True, description="Cut an answer that repeats its system prompt.")
    tool_calls: Literal[Action.OFF, Action.DETECT, Action.BLOCK] = Field(
        Action.DETECT, description="What to do about calls of the client's own tools that only untrusted text asks for."
    )
    reading_tools: tuple[str, ...] = Field(
        (),
        max_length=1000,
        description=("The client's own tools that change nothing, in addition to those whose names say so."),
    )

    @classmethod
    def off(cls) -> "Untrusted":
        """No measures."""
        return cls(marks=False, effects=False, links=False, canary=False, tool_calls=Action.OFF)


class GuardPolicy(BaseModel):
    """The whole policy of an organization or a project. The first rule that matches a finding decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Rule, ...] = Field((), max_length=200)
    allow: tuple[str, ...] = Field((), max_length=10_000, description="Texts that are never a finding.")
    dictionaries: tuple[Dictionary, ...] = Field((), max_length=50)
    patterns: tuple[Pattern, ...] = Field((), max_length=100)
    examples: tuple[Example, ...] = Field(
        (),
        max_length=EXAMPLES_MAX,
        description="Example texts. Content similar to one of them gets its class.",
    )
    example_similarity: float = Field(
        DEFAULT_SIMILARITY, ge=0, le=1, description="Minimum similarity: the cosine of the vectors of both texts."
    )
    classes: Mapping[str, DataClass] = Field(
        default_factory=dict, description="Data class by kind of finding, for everything that contains one."
    )
    regions: Mapping[DataClass, tuple[RegionName, ...]] = Field(
        default_factory=dict,
        description="Where models outside this installation may run if they process data of this class or above.",
    )
    link_hosts: tuple[str, ...] = Field((), max_length=1000, description="Hosts that an answer may link to.")
    untrusted: Untrusted = Untrusted()
    disclosure: Disclosure = Disclosure()

    def decide(self, kind: str, score: float, direction: Direction, source: Source) -> tuple[Action, RedactionMode]:
        """The action for such a finding; `Action.OFF` when no rule applies or the score is too low."""
        for rule in self.rules:
            if rule.holds_for(kind, direction, source):
                if score < rule.threshold:
                    break
                return rule.action, rule.mode
        return Action.OFF, RedactionMode.PSEUDONYMIZE

    def strictest(self, direction: Direction, source: Source) -> Action:
        """The strictest action that a finding at this border could have: off means nothing is searched for."""
        possible = (rule.action for rule in self.rules if rule.holds_at(direction, source))
        return max(possible, key=lambda action: action.rank, default=Action.OFF)

    def kinds_wanted(
        self, direction: Direction, source: Source, least: Action = Action.DETECT
    ) -> frozenset[str] | None:
        """The built-in kinds whose findings could meet an action as strict as `least` at this border; None for all.

        Kinds of dictionaries and patterns are not included: finding these needs no analyzer.
        """
        actions: dict[str, Action] = {}
        for rule in self.rules:
            if rule.holds_at(direction, source):
                for kind in rule.kinds or EntityKind:
                    actions.setdefault(kind, rule.action)
        return _none_if_all(kind for kind in EntityKind if actions.get(kind, Action.OFF).rank >= least.rank)


_DETECT_ALL = Rule(action=Action.DETECT)
TEMPLATES: Mapping[TemplateName, GuardPolicy] = {
    "off": GuardPolicy(untrusted=Untrusted.off()),
    "observe": GuardPolicy(rules=(_DETECT_ALL,)),
    "balanced": GuardPolicy(
        rules=(
            Rule(kinds=(EntityKind.SECRET,), action=Action.REDACT, mode=RedactionMode.MASK),
            Rule(kinds=(EntityKind.INJECTION,), sources=(Source.INPUT,), action=Action.DETECT),
            # No rule for everything: it would make the language model read each answer on its way to the client.
            Rule(kinds=PERSONAL, directions=(Direction.TO_MODEL,), action=Action.REDACT),
        ),
        classes={EntityKind.SECRET: DataClass.RESTRICTED, EntityKind.CARD: DataClass.CONFIDENTIAL},
    ),
    "strict": GuardPolicy(
        rules=(
            Rule(kinds=(EntityKind.SECRET,), action=Action.BLOCK),
            Rule(kinds=(EntityKind.INJECTION,), sources=(Source.INPUT,), action=Action.BLOCK),
            Rule(kinds=(EntityKind.CARD, EntityKind.NATIONAL_ID), action=Action.REDACT, mode=RedactionMode.MASK),
            Rule(kinds=PERSONAL, directions=(Direction.TO_MODEL, Direction.TO_TOOL), action=Action.REDACT),
            _DETECT_ALL,
        ),
        classes={
            **dict.fromkeys(PERSONAL, DataClass.CONFIDENTIAL),
            EntityKind.SECRET: DataClass.RESTRICTED,
            EntityKind.NATIONAL_ID: DataClass.RESTRICTED,
        },
        untrusted=Untrusted(tool_calls=Action.BLOCK),
    ),
}


class CombinedPolicy:
    """The policies of an organization and of a project. The stricter decision about a finding applies."""

    def __init__(self, policies: Iterable[GuardPolicy]) -> None:
        self.policies = tuple(policies)

    def decide(self, kind: str, score: float, direction: Direction, source: Source) -> tuple[Action, RedactionMode]:
        """See `GuardPolicy.decide`."""
        decided = [policy.decide(kind, score, direction, source) for policy in self.policies]
        return max(decided, key=lambda each: each[0].rank, default=(Action.OFF, RedactionMode.PSEUDONYMIZE))

    def strictest(self, direction: Direction, source: Source) -> Action:
        """See `GuardPolicy.strictest`."""
        return max(
            (policy.strictest(direction, source) for policy in self.policies),
            key=lambda action: action.rank,
            default=Action.OFF,
        )

    def kinds_wanted(
        self, direction: Direction, source: Source, least: Action = Action.DETECT
    ) -> frozenset[str] | None:
        """See `GuardPolicy.kinds_wanted`: the kinds that any of the policies wants."""
        wanted: set[str] = set()
        for policy in self.policies:
            of_policy = policy.kinds_wanted(direction, source, least)
            if of_policy is None:
                return None
            wanted |= of_policy
        return _none_if_all(wanted)

    @property
    def untrusted(self) -> Untrusted:
        """The measures that any of the policies wants."""
        each = [policy.untrusted for policy in self.policies]
        return Untrusted(
            marks=any(one.marks for one in each),
            effects=any(one.effects for one in each),
            links=any(one.links for one in each),
            canary=any(one.canary for one in each),
            tool_calls=max((one.tool_calls for one in each), key=lambda action: action.rank, default=Action.OFF),
            reading_tools=tuple(name for one in each for name in one.reading_tools),
        )

    def regions(self, data_class: DataClass) -> frozenset[str] | None:
        """The regions in which all policies let models see data of this class; None for anywhere."""
        said = [
            frozenset(regions)
            for policy in self.policies
            for least, regions in policy.regions.items()
            if least.is_within(data_class)
        ]
        return frozenset.intersection(*said) if said else None

    @property
    def link_hosts(self) -> frozenset[str]:
        """The hosts that any of the policies allows."""
        return frozenset(host for policy in self.policies for host in policy.link_hosts)

    @property
    def disclosure(self) -> Disclosure:
        """Notice and marks are off when a policy disables them and no other enables them. The last text applies."""
        said = [policy.disclosure for policy in self.policies]
        return Disclosure(
            notice=_is_on(each.notice for each in said),
            marks=_is_on(each.marks for each in said),
            text=next((each.text for each in reversed(said) if each.text), None),
        )


def _none_if_all(kinds: Iterable[str]) -> frozenset[str] | None:
    wanted = frozenset(kinds)
    return None if len(wanted) == len(EntityKind) else wanted


def _is_on(said: Iterable[bool | None]) -> bool:
    given = [each for each in said if each is not None]
    return any(given) or not given
