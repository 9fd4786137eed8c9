"""``waybill tools``: check that your tool servers fit before a job needs them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waybill.cli.exits import EPILOG, Exit
from waybill.cli.failures import CliError
from waybill.cli.options import Json
from waybill.cli.output import Output

if TYPE_CHECKING:
    from pipelines._kit.tools.inspection import Finding
    from pipelines._kit.tools.servers import ToolPolicies

app = typer.Typer(no_args_is_help=True, help="Check and set up the tools of your own system.", epilog=EPILOG)


@app.command(epilog=EPILOG)
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tool servers file (TOML).", show_default=False)],
    customer: Annotated[
        str | None,
        typer.Option(show_default=False, help="An email address known to your system, used to test read operations."),
    ] = None,
    order: Annotated[
        str | None, typer.Option(show_default=False, help="An order of that customer, as customers would write it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the servers' tools against the file and the needs of customer_operations.resolve.

    Reads policy.toml and replies.toml as a worker does, lists the servers' tools, and changes nothing. With --customer
    and --order, also calls each read operation once. Exit code 1 if something must be fixed.
    """
    from pipelines.customer_operations.policies.tables import source

    findings, absent = _inspect(file, customer, order)
    output = Output(as_json=as_json)
    policies = {name: source(name) for name in ("policy.toml", "replies.toml")}
    wrong = sum(bool(each.missing) for each in findings)
    if as_json:
        shown = [
            {"operation": each.operation, "tool": each.tool, "missing": each.missing, "notes": each.notes}
            for each in findings
        ]
        output.document({"operations": shown, "not_attached": absent, "read_from": policies, "fits": not wrong})
    else:
        _show(output, findings, absent)
        for name, place in policies.items():
            output.note(f"{name}: {place}")
    if wrong:
        raise typer.Exit(Exit.FAILED)


@app.command(epilog=EPILOG)
def schemas(
    operation: Annotated[
        str | None,
        typer.Argument(metavar="[OPERATION]", help="The operation, for example get_order.", show_default=False),
    ] = None,
) -> None:
    """Print the JSON Schemas of the operations: what your tools receive, and what they must return."""
    from pipelines.customer_operations.operations import schemas as published

    found = published()
    if operation is not None and operation not in found:
        raise CliError(f"unknown operation {operation}", remedy=f"use one of: {', '.join(found)}", code="tool_unknown")
    Output(as_json=True).document(found if operation is None else found[operation])


@app.command(epilog=EPILOG)
def init(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder to write to. Created if it does not exist.", show_default=False),
    ],
) -> None:
    """Copy the sample policy.toml and replies.toml to DIR as a starting point for your own.

    Then set WAYBILL_CUSTOMER_OPERATIONS_DIR to DIR. Existing files are not overwritten.
    """
    from importlib.resources import files

    output = Output()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("policy.toml", "replies.toml"):
        place = folder / name
        if place.exists():
            output.note(f"skipped {place}: it already exists")
            continue
        place.write_bytes(files("pipelines.customer_operations.policies").joinpath(name).read_bytes())
        output.note(f"wrote {place}")


def _inspect(file: Path, customer: str | None, order: str | None) -> "tuple[list[Finding], dict[str, str]]":
    from pipelines._kit.tools.client import McpClient, ToolError
    from pipelines._kit.tools.inspection import inspect
    from pipelines._kit.tools.servers import read_tool_servers
    from pipelines.customer_operations.operations import OPERATIONS
    from pipelines.customer_operations.policies.tables import load_policy, load_replies
    from waybill.cli.local import local_settings

    currency = load_policy().currency
    load_replies()
    policies = read_tool_servers(local_settings().model_copy(update={"tool_servers_file": file}))
    client, findings = McpClient(), {}
    try:
        for server in {policy.server.name: policy.server for policy in policies}.values():
            try:
                offered = client.offered(server)
            except ToolError as error:
                raise CliError(
                    str(error),
                    remedy=f"check that {server.name} is running, and that its url is its MCP endpoint",
                    code=error.code,
                ) from error
            for policy in policies:
                if policy.server.name == server.name:
                    asked = OPERATIONS.get(policy.operation)
                    found = inspect(policy, asked, offered.get(policy.tool))
                    if asked is not None and policy.currency not in {None, currency}:
                        found.missing.append(f"it uses {policy.currency}, but policy.toml says {currency}")
                    findings[policy.operation] = found
        _try_reads(client, policies, findings, customer, order)
    finally:
        client.close()
    absent = {name: each.without for name, each in OPERATIONS.items() if name not in findings}
    return list(findings.values()), absent


def _try_reads(
    client: Any, policies: "ToolPolicies", findings: "dict[str, Finding]", customer: str | None, order: str | None
) -> None:
    """Call the read operations, with the operator's values and earlier answers."""
    from pipelines._kit.tools.inspection import try_reading
    from pipelines.customer_operations.operations import OPERATIONS

    def read(operation: str, **arguments: Any) -> dict[str, Any]:
        policy = next((each for each in policies if each.operation == operation), None)
        if policy is None or findings[operation].missing:
            return {}
        answer, wrong = try_reading(client, policy, OPERATIONS[operation], arguments)
        if wrong is not None:
            findings[operation].missing.append(f"tested: {wrong}")
            return {}
        findings[operation].notes[:] = ["tested: its answer fits"]
        return answer or {}

    if customer is None:
        return
    known = read("find_customer", email=customer).get("customer_id")
    if known is None:
        return
    read("list_orders", customer_id=str(known), limit=10)
    if order is not None:
        found = read("get_order", customer_id=str(known), reference=order)
        if found:
            _try_words(findings["get_order"], found, order)
        if found.get("tracking") is not None:
            read("track_parcel", tracking=str(found["tracking"]))


def _try_words(finding: "Finding", answer: dict[str, Any], number: str) -> None:
    """Whether the policy finds the order's number in a message, and knows the words of the tested answer."""
    from pipelines.customer_operations.policies.tables import load_policy, load_replies

    policy, replies = load_policy(), load_replies()
    shown = str(answer.get("reference") or answer["order_id"])
    for text in dict.fromkeys((number, shown)):
        if policy.order_pattern.all_in(text) != [text]:
            finding.missing.append(f"policy.toml: order_pattern does not match {text}, so no message names this order")
        else:
            finding.notes.append(f"order_pattern matches {text}")
    words = {
        "statuses": (answer["status"], policy.status_of, policy.known_statuses),
        "states": (answer.get("state"), policy.state_of, policy.known_states),
        "services": (answer.get("service"), policy.service_of, policy.known_services),
    }
    for table, (theirs, ours, known) in words.items():
        if theirs is None:
            continue
        word = ours(theirs)
        if word not in known:
            finding.missing.append(
                f"policy.toml: no rule knows {theirs}; map it in [{table}], as {theirs} = one of"
                f" {', '.join(sorted(known))}"
            )
        elif table == "statuses" and word not in replies.statuses:
            finding.missing.append(f"replies.toml: [statuses] has no text for {word}")
        else:
            said = f": customers read “{replies.statuses[word]}”" if table == "statuses" else ""
            finding.notes.append(f"[{table}] {theirs} is {word}{said}")


def _show(output: Output, findings: "list[Finding]", absent: dict[str, str]) -> None:
    from waybill.cli.tables import table

    made = table("OPERATION", "TOOL", "FITS", "PROBLEMS AND NOTES")
    for each in findings:
        made.add_row(each.operation, each.tool, "no" if each.missing else "yes", "\n".join(each.missing + each.notes))
    for name, without in absent.items():
        made.add_row(name, "", "not attached", without)
    output.show(made)
