import json

from typer.testing import Result

from tests.factories.waiting import wait_until
from tests.waybill.cli.conftest import Cli


def test_what_happened_in_the_project_is_shown(cli: Cli) -> None:
    assert cli("jobs", "submit", "probe.act", "--input", '{"act": "noop"}').exit_code == 0

    def shown() -> Result:
        result = cli("events", "tail", "--after", "0", "--no-follow", "--type", "job.queued")
        assert result.exit_code == 0, result.stderr
        return result

    # What is kept is shown once no older transaction of the server is open, whosever it is.
    wait_until(lambda: "job.queued probe.act" in shown().stdout, timeout_seconds=30, what="the event to be final")
    assert "--after " in shown().stderr
    found = cli("events", "tail", "--after", "0", "--no-follow", "--json").stdout.splitlines()
    assert json.loads(found[0])["type"] == "job.queued"
    assert cli("events", "tail", "--after", "0", "--no-follow", "--metadata", "none=here").stdout == ""
    assert cli("events", "tail", "--metadata", "nonsense").exit_code == 2
    assert cli("events", "tail", "--after", "nonsense").exit_code != 0
