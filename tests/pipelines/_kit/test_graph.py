import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START
from langgraph.types import Send
from langsmith import utils as langsmith_utils
from pydantic import BaseModel

from core.capability import JobCancelled, JobContext, JobSuspended, LeaseLost, StoredCheckpoint
from core.kit.errors import CapabilityFailure
from pipelines._kit.graph import Continuation, GraphRunner, add_step, new_graph
from tests.factories.context import Checkpoints, RecordingContext

Act = Callable[[str, JobContext], None]


def _kind(failure: BaseException) -> str:
    return type(failure).__name__


class Asked(BaseModel):
    word: str


class Said(BaseModel):
    words: list[str]


class State(TypedDict, total=False):
    words: Annotated[list[str], operator.add]


def chain(act: Act) -> GraphRunner[Asked, Said]:
    """Three nodes in a row; each calls ``act(name, ctx)`` and says its name."""
    graph = new_graph(State)
    names = ["one", "two", "three"]
    for name in names:

        def node(state: State, ctx: JobContext, name: str = name) -> Mapping[str, Any]:
            act(name, ctx)
            return {"words": [name]}

        add_step(graph, name, node)
    for begin, end in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(begin, end)
    return runner(graph)


def runner(graph: Any) -> GraphRunner[Asked, Said]:
    return GraphRunner(
        graph, begin=lambda asked: {"words": [asked.word]}, finish=lambda state: Said(words=state["words"])
    )


def test_a_node_is_a_step_of_the_job() -> None:
    ctx = RecordingContext()

    said = chain(lambda _name, _ctx: None).run(ctx, Asked(word="hello"))

    assert said.words == ["hello", "one", "two", "three"]
    assert ctx.steps("step.started") == ctx.steps("step.finished") == ["one", "two", "three"]


@pytest.mark.parametrize(
    "failure",
    [JobCancelled(), LeaseLost(), JobSuspended("budget"), CapabilityFailure("no", code="no"), RuntimeError("broken")],
    ids=_kind,
)
def test_what_a_node_raises_passes_through_and_finished_nodes_are_not_repeated(failure: BaseException) -> None:
    ran: list[tuple[int, str]] = []

    def act(name: str, ctx: JobContext) -> None:
        ran.append((ctx.attempt, name))
        if name == "two" and ctx.attempt == 1:
            raise failure

    first = RecordingContext()
    machine = chain(act)
    with pytest.raises(type(failure)) as raised:
        machine.run(first, Asked(word="hello"))
    second = first.next_attempt()
    said = machine.run(second, Asked(word="never read again"))

    assert raised.value is failure
    assert ran == [(1, "one"), (1, "two"), (2, "two"), (2, "three")]
    assert said.words == ["hello", "one", "two", "three"]
    assert second.steps() == ["two", "three"]


def test_an_attempt_that_died_in_the_first_node_starts_again() -> None:
    def act(name: str, ctx: JobContext) -> None:
        if ctx.attempt == 1:
            raise JobCancelled

    first = RecordingContext()
    machine = chain(act)
    with pytest.raises(JobCancelled):
        machine.run(first, Asked(word="hello"))

    assert machine.run(first.next_attempt(), Asked(word="hello")).words == ["hello", "one", "two", "three"]


def test_an_attempt_that_died_before_any_checkpoint_starts_again() -> None:
    ctx = RecordingContext(attempt=2)

    assert chain(lambda _name, _ctx: None).run(ctx, Asked(word="hello")).words == ["hello", "one", "two", "three"]


def test_a_graph_that_had_finished_gives_its_result_again_without_running() -> None:
    ran: list[str] = []
    machine = chain(lambda name, _ctx: ran.append(name))
    first = RecordingContext()
    machine.run(first, Asked(word="hello"))
    ran.clear()

    assert machine.run(first.next_attempt(), Asked(word="hello")).words == ["hello", "one", "two", "three"]
    assert ran == []


def test_a_lost_lease_is_noticed_at_the_next_checkpoint() -> None:
    ran: list[str] = []

    def act(name: str, ctx: JobContext) -> None:
        ran.append(name)
        assert isinstance(ctx, RecordingContext)
        ctx.store.lost = name == "one"

    with pytest.raises(LeaseLost):
        chain(act).run(RecordingContext(), Asked(word="hello"))
    assert ran == ["one"]


def test_cancelling_at_every_check_stops_there() -> None:
    counted = RecordingContext()
    chain(lambda _name, ctx: ctx.check()).run(counted, Asked(word="hello"))
    assert counted.checks == 10

    for stop_at in range(1, counted.checks + 1):
        ctx = RecordingContext()

        def cancel(ctx: RecordingContext = ctx, stop_at: int = stop_at) -> None:
            if ctx.checks == stop_at:
                raise JobCancelled

        ctx.on_check = cancel
        with pytest.raises(JobCancelled):
            chain(lambda _name, ctx: ctx.check()).run(ctx, Asked(word="hello"))
        assert ctx.checks == stop_at


def fan_out(act: Act) -> GraphRunner[Asked, Said]:
    """A node that sends three parallel tasks, whose words are gathered by one more node."""
    graph = new_graph(State)

    def work(state: dict[str, Any], ctx: JobContext) -> Mapping[str, Any]:
        act(state["name"], ctx)
        return {"words": [state["name"]]}

    def gather(state: State, ctx: JobContext) -> Mapping[str, Any]:
        return {"words": ["gathered"]}

    add_step(graph, "work", work)
    add_step(graph, "gather", gather)
    graph.add_conditional_edges(START, lambda _state: [Send("work", {"name": name}) for name in "abc"], ["work"])
    graph.add_edge("work", "gather")
    graph.add_edge("gather", END)
    return runner(graph)


@pytest.mark.parametrize("failure", [JobCancelled(), RuntimeError("broken")], ids=_kind)
def test_of_parallel_nodes_only_the_unfinished_are_run_again(failure: BaseException) -> None:
    ran: list[tuple[int, str]] = []
    others_done = threading.Barrier(3, timeout=10)

    def act(name: str, ctx: JobContext) -> None:
        ran.append((ctx.attempt, name))
        if ctx.attempt == 1:
            others_done.wait()
            if name == "b":
                while len(first.store.writes_of("words")) < 2:
                    threading.Event().wait(0.005)
                raise failure

    first = RecordingContext()
    machine = fan_out(act)
    with pytest.raises(type(failure)):
        machine.run(first, Asked(word="hello"))
    said = machine.run(first.next_attempt(), Asked(word="hello"))

    assert [name for attempt, name in ran if attempt == 2] == ["b"]
    assert said.words == ["hello", "a", "b", "c", "gathered"]


def test_one_runner_serves_many_jobs_at_once() -> None:
    machine = chain(lambda _name, _ctx: None)

    def run(number: int) -> list[str]:
        return machine.run(RecordingContext(), Asked(word=str(number))).words

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(40)))

    assert results == [[str(number), "one", "two", "three"] for number in range(40)]


def test_nothing_is_sent_to_a_tracing_service_even_when_the_environment_asks_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    knocked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            knocked.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the base class's convention
        do_PATCH = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Keep the test output quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "true")
    for name in ("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
    for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"):
        monkeypatch.setenv(name, "a-key")
    langsmith_utils.get_env_var.cache_clear()  # type: ignore[attr-defined]
    seen: list[Any] = []
    try:
        # The variables do switch tracing on outside a run, so the test would notice if the run left it on.
        assert langsmith_utils.tracing_is_enabled()
        machine = chain(lambda _name, _ctx: seen.append(langsmith_utils.tracing_is_enabled()))
        machine.run(RecordingContext(), Asked(word="hello"))
        threading.Event().wait(0.3)
    finally:
        monkeypatch.undo()
        langsmith_utils.get_env_var.cache_clear()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()

    assert seen == [False, False, False]
    assert knocked == []


def other_chain(*names: str) -> GraphRunner[Asked, Said]:
    """The next version of the chain: other nodes, which say their name with a mark."""
    graph = new_graph(State)
    for name in names:

        def node(state: State, ctx: JobContext, name: str = name) -> Mapping[str, Any]:
            return {"words": [f"{name}+"]}

        add_step(graph, name, node)
    for begin, end in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(begin, end)
    return runner(graph)


def stopped_in(machine: Callable[[Act], GraphRunner[Asked, Said]], name: str) -> RecordingContext:
    """A job whose worker was lost while it ran that node."""

    def act(node: str, _ctx: JobContext) -> None:
        if node == name:
            raise LeaseLost

    ctx = RecordingContext()
    with pytest.raises(LeaseLost):
        machine(act).run(ctx, Asked(word="hello"))
    return ctx


@pytest.mark.parametrize(
    ("stopped", "finished", "said"),
    [
        ("one", [START], ["hello", "*", "one+", "check+", "three+"]),
        ("two", ["one"], ["hello", "one", "*", "check+", "three+"]),
        ("three", ["two"], ["hello", "one", "two", "*", "three+"]),
    ],
)
def test_a_job_is_carried_over_to_another_graph_after_the_node_that_finished_last(
    stopped: str, finished: list[str], said: list[str]
) -> None:
    first = stopped_in(chain, stopped)
    seen: list[Sequence[str]] = []

    def migration(state: Mapping[str, Any], after: Sequence[str]) -> Continuation:
        seen.append(after)
        return Continuation({"words": [*state["words"], "*"]}, {"two": "check"}.get(after[0], after[0]))

    machine, second = other_chain("one", "check", "three"), first.next_attempt()
    second.store = Checkpoints()
    machine.migrate(migration, first.store, second.store)

    assert seen == [finished]
    assert machine.run(second, Asked(word="never read again")).words == said
    assert [checkpoint.parent_id for checkpoint in second.store.saved.values()].count(None) == 1


def test_parallel_nodes_are_named_together_and_what_is_due_in_the_old_graph_is_not_run_by_a_node_of_that_name() -> None:
    first = stopped_in(branches, "join")
    machine, second = other_chain("join", "end"), first.next_attempt()
    second.store = Checkpoints()
    seen: list[Sequence[str]] = []

    def migration(state: Mapping[str, Any], after: Sequence[str]) -> Continuation:
        seen.append(after)
        return Continuation(state, "join")

    machine.migrate(migration, first.store, second.store)

    assert seen == [["left", "right"]]
    assert machine.run(second, Asked(word="hello")).words == ["hello", "left", "right", "end+"]


def branches(act: Act) -> GraphRunner[Asked, Said]:
    """Two nodes side by side, and one that waits for both."""
    graph = new_graph(State)
    for name in ("left", "right", "join"):

        def node(state: State, ctx: JobContext, name: str = name) -> Mapping[str, Any]:
            act(name, ctx)
            return {"words": [name]}

        add_step(graph, name, node)
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    graph.add_edge(["left", "right"], "join")
    graph.add_edge("join", END)
    return runner(graph)


def test_what_has_not_begun_is_not_migrated_and_begins_with_the_new_graph() -> None:
    def never(_state: Mapping[str, Any], _after: Sequence[str]) -> Continuation:
        raise AssertionError

    empty, machine, ctx = Checkpoints(), other_chain("one"), RecordingContext(attempt=2)
    machine.migrate(never, empty, ctx.store)
    assert machine.run(ctx, Asked(word="hello")).words == ["hello", "one+"]

    # The input was stored, and the worker lost before the graph had taken it in.
    first = RecordingContext()
    saved = first.store.save

    def save(checkpoint: StoredCheckpoint) -> None:
        if first.store.saved:
            raise LeaseLost
        saved(checkpoint)

    first.store.save = save  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        chain(lambda _name, _ctx: None).run(first, Asked(word="hello"))
    assert len(first.store.saved) == 1
    machine.migrate(never, first.store, Checkpoints())
