"""The figures as tables for people."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.table import Table

from waybill.evals.guard.injections import Scored, together
from waybill.evals.guard.report import PersonalFigures, Report, ms_per_kb
from waybill.evals.guard.scores import Counts, Score


def tables_of(report: Report, thresholds: Sequence[float]) -> list[Table | str]:
    """All tables of a report."""
    shown: list[Table | str] = []
    for each in report.personal:
        shown += _personal(each)
    attacks = [each.attacks for each in report.injections if each.attacks]
    harmless = [each.harmless for each in report.injections if each.harmless]
    if attacks:
        shown.append(thresholds_table("Injections: recall from each threshold on", attacks, thresholds))
    if harmless:
        shown.append(thresholds_table("Injections: false positives from each threshold on", harmless, thresholds))
    if attacks or harmless:
        shown.append(cost(attacks + harmless))
    return shown


def kinds_table(scores: Mapping[str, Score]) -> Table:
    """Recall, precision and F2 of each kind, by each recognizer of `scores`, whose names head the columns."""
    heads = [f"{name} {measure}".strip() for name in scores for measure in ("recall", "precision", "F2")]
    table = Table("kind", "spans", *heads)
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, spans in _spans(scores.values()):
        counted = [score.kinds.get(kind, Counts()) for score in scores.values()]
        figures = [figure for each in counted for figure in (each.recall, each.precision, each.f2)]
        table.add_row(kind, str(spans), *(f"{figure:.3f}" for figure in figures))
    return table


def summary(score: Score) -> str:
    """The parts of a score that are not by kind."""
    return (
        f"characters of direct identifiers covered: {score.covered:.3f}; "
        f"findings in {score.clean_texts} texts without a label of these kinds: {len(score.clean_findings)}"
    )


def thresholds_table(
    title: str, scored: Sequence[Scored], thresholds: Sequence[float], mark: Callable[[Scored], str] = lambda _: ""
) -> Table:
    """A line for each set, and for all of several: the share that counts as an attack from each threshold on."""
    table = Table("set", "texts", *(f"{each:.1f}" for each in thresholds), title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    rows = [*scored, together(scored)] if len(scored) > 1 else scored
    for each in rows:
        shares = (f"{each.share(threshold):.3f}" for threshold in thresholds)
        table.add_row(f"{mark(each)}{each.name}", str(len(each.scores)), *shares)
    return table


def cost(scored: Sequence[Scored]) -> str:
    """The processor time of scoring."""
    total = together(scored)
    return f"{ms_per_kb(total):.2f} ms of processor time per KB, {total.size_bytes / 1024:.0f} KB"


def _personal(figures: PersonalFigures) -> list[Table | str]:
    scores = {"guard": figures.guard} | ({"Presidio": figures.baseline} if figures.baseline else {})
    title = f"{figures.file}: {figures.texts} texts, {figures.ms_per_kb:.1f} ms of processor time per KB"
    lines = [f"{name}: {summary(score)}" for name, score in scores.items()]
    if figures.left_out:
        counted = ", ".join(f"{name} {count}" for name, count in sorted(figures.left_out.items()))
        lines.append(f"labels of no kind that the guard looks for, left out: {counted}")
    return [title, kinds_table(scores), *lines, ""]


def _spans(scores: Iterable[Score]) -> list[tuple[str, int]]:
    """The kinds that are labeled or found, those labeled most first, with how often they are labeled."""
    spans: dict[str, int] = {}
    for score in scores:
        spans |= {kind: each.spans for kind, each in score.kinds.items() if each.spans or each.findings}
    return sorted(spans.items(), key=lambda item: -item[1])
