import json

from tests.waybill.cli.conftest import Cli


def test_what_happened_in_the_project_is_shown(cli: Cli) -> None:
    assert cli("jobs", "submit", "probe.act", "--input", '{"act": "noop"}').exit_code == 0
    shown = cli("events", "tail", "--after", "0", "--no-follow", "--type", "job.queued")
    assert shown.exit_code == 0, shown.stderr
    assert "job.queued probe.act" in shown.stdout
    assert "--after " in shown.stderr
    found = cli("events", "tail", "--after", "0", "--no-follow", "--json").stdout.splitlines()
    assert json.loads(found[0])["type"] == "job.queued"
    assert cli("events", "tail", "--after", "0", "--no-follow", "--metadata", "none=here").stdout == ""
    assert cli("events", "tail", "--metadata", "nonsense").exit_code == 2
    assert cli("events", "tail", "--after", "nonsense").exit_code != 0
