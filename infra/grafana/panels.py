"""The kinds of panels in the dashboards, each with its unit, legend, bounds and runbook."""

from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Panel,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

RATE = "$__rate_interval"
TAG = "waybill"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_GREEN, _YELLOW, _RED = "green", "yellow", "red"
_HEIGHT, _NUMBER_HEIGHT = 8, 4
_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and the legend of its series. With `exemplars`, points link to traces: for queries on buckets only."""

    expr: str
    legend: str = ""
    exemplars: bool = False


_Built = TypeVar("_Built")


def board(uid: str, title: str, description: str, *variables: Builder[object]) -> dashboard.Dashboard:
    """An empty Waybill dashboard: the last six hours, refreshed every half minute, with a choice of Prometheus."""
    source = dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    runbooks = dashboard.ConstantVariable("runbooks").value("docs/runbooks/")
    others = dashboard.DashboardLink("Waybill").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    made = (
        dashboard.Dashboard(f"Waybill / {title}")
        .uid(f"waybill-{uid}")
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(others.keep_time(True))
    )
    for variable in (source, runbooks, *variables):
        made = made.with_variable(variable)  # type: ignore[arg-type]
    return made


def choice(name: str, label: str, query: str, *, several: bool = False) -> dashboard.QueryVariable:
    """A variable whose values are the results of `query`; with `several`, all of them are selected at first."""
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
    return made.multi(True).include_all(True).all_value(".*") if several else made


def graph(
    title: str,
    *queries: Query,
    unit: str,
    about: str = "",
    runbook: str | None = None,
    bounds: tuple[float, ...] = (),
    stacked: bool = False,
    width: int = _WIDTH // 3,
    least: float | None = 0,
    most: float | None = None,
) -> timeseries.Panel:
    """Lines over time. `bounds` are drawn: the first is a warning, the second an alert."""
    made = _described(timeseries.Panel(), title, about=about, runbook=runbook, width=width, height=_HEIGHT, unit=unit)
    made = made.fill_opacity(25 if stacked else 8).line_width(1).thresholds(_thresholds(bounds))
    made = made.legend(
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    ).tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    if bounds:
        made = made.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    if stacked:
        made = made.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if least is not None:
        made = made.min(least)
    if most is not None:
        made = made.max(most)
    for place, query in enumerate(queries):
        made = made.with_target(_ranged(query).ref_id(chr(ord("A") + place)))
    return made


def number(
    title: str,
    expr: str,
    *,
    unit: str,
    about: str = "",
    runbook: str | None = None,
    bounds: tuple[float, ...] = (),
    falling: bool = False,
    width: int = 4,
) -> stat.Panel:
    """One current number. With `falling` it is bad below its bounds, otherwise above them."""
    made = _described(stat.Panel(), title, about=about, runbook=runbook, width=width, height=_NUMBER_HEIGHT, unit=unit)
    return (
        made.thresholds(_thresholds(bounds, falling=falling))
        .color_mode(BigValueColorMode.VALUE if bounds else BigValueColorMode.NONE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(prometheus.Dataquery().expr(expr).ref_id("A").datasource(SOURCE).range())
    )


def bars(
    title: str, query: Query, *, unit: str, about: str = "", runbook: str | None = None, width: int = _WIDTH // 3
) -> bargauge.Panel:
    """The largest current values, as bars."""
    made = _described(bargauge.Panel(), title, about=about, runbook=runbook, width=width, height=_HEIGHT, unit=unit)
    return (
        made.orientation(VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_instant(query))
    )


def values(
    title: str, query: Query, *, unit: str, about: str = "", runbook: str | None = None, width: int = _WIDTH // 3
) -> table.Panel:
    """Current labels and values, in a table."""
    made = _described(table.Panel(), title, about=about, runbook=runbook, width=width, height=_HEIGHT, unit=unit)
    hidden = {"excludeByName": {"Time": True, "__name__": True, "job": True}}
    return made.with_target(_instant(query).format(PromQueryFormat.TABLE)).with_transformation(
        DataTransformerConfig(id_val="organize", options=hidden)
    )


def states(
    title: str,
    query: Query,
    names: dict[int, tuple[str, str]],
    *,
    about: str = "",
    runbook: str | None = None,
    width: int = _WIDTH // 3,
) -> statetimeline.Panel:
    """The state of each series over time; `names` gives each value its name and color."""
    made = _described(
        statetimeline.Panel(), title, about=about, runbook=runbook, width=width, height=_HEIGHT, unit="none"
    )
    options = {
        str(value): ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(names.items())
    }
    mappings: list[ValueMapping] = [ValueMap(options=options)]
    return made.mappings(mappings).with_target(_ranged(query).ref_id("A"))


def row(made: dashboard.Dashboard, title: str, *panels: Builder[Panel]) -> None:
    """Add a heading, and the panels below it."""
    made.with_row(dashboard.Row(title))
    for panel in panels:
        made.with_panel(panel)


def _described(
    made: _Built, title: str, *, about: str, runbook: str | None, width: int, height: int, unit: str
) -> _Built:
    made.title(title).datasource(SOURCE).unit(unit).height(height).span(width)  # type: ignore[attr-defined]
    if about:
        made.description(about)  # type: ignore[attr-defined]
    if runbook:
        link = dashboard.DashboardLink("Runbook").type(DashboardLinkType.LINK).url(f"${{runbooks}}{runbook}")
        made.links([link.target_blank(True)])  # type: ignore[attr-defined]
    return made


def _thresholds(bounds: tuple[float, ...], *, falling: bool = False) -> dashboard.ThresholdsConfig:
    colors = [_GREEN, _RED] if len(bounds) == 1 else [_GREEN, _YELLOW, _RED]
    if falling:
        colors.reverse()
    steps = [Threshold(value=value, color=color) for value, color in zip((None, *bounds), colors, strict=False)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _ranged(query: Query) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").datasource(SOURCE).range()
    return made.exemplar(query.exemplars)


def _instant(query: Query) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").datasource(SOURCE)
    return made.instant().ref_id("A")
