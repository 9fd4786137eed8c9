"""The members of the crew."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    """An agent as CrewAI describes it to a model; `prompt` is its task's file, `expects` the form of its output.

    `is_shown`: its words may reach the report; of an agent that only quotes, the sources' own words do.
    """

    name: str
    title: str
    goal: str
    backstory: str
    expects: str
    is_shown: bool = True

    @property
    def prompt(self) -> str:
        """The name of the prompt that its tasks read."""
        return self.name

    @property
    def step(self) -> str:
        """The name of the job's step for this agent."""
        return f"crewai:{self.name}"


RESEARCHER = Role(
    "researcher",
    "Researcher",
    "Find what the sources really say",
    "You copy evidence exactly and leave out what does not answer.",
    'Lines of the form [number] "quote", or NONE',
    is_shown=False,
)
ANALYST = Role(
    "analyst",
    "Analyst",
    "Bring the evidence into the order in which it answers the question",
    "You see what repeats, what contradicts and what belongs together.",
    "One line for every section: its number, a colon, the numbers of its notes",
)
WRITER = Role(
    "writer",
    "Writer",
    "Write clear sections in which every sentence cites its source",
    "You write plainly and never say more than the sources do.",
    "Sentences that end with source numbers in brackets, or NONE",
)
REVIEWER = Role(
    "reviewer",
    "Reviewer",
    "Let nothing pass that does not answer the question",
    "You read as the person who asked, and you name what must change.",
    "Lines of the form section.claim: objection, or NONE",
)
