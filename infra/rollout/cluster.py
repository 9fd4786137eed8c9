"""Changes to the cluster, as helm and kubectl commands."""

import json
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from infra.rollout.prometheus import Target


class CommandFailed(Exception):
    """helm or kubectl ended with an error."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A release of the chart. `report` gets every command that changes something; a dry run executes none of those."""

    release: str
    namespace: str
    chart: str
    timeout: str
    report: Callable[[str], None]
    is_rehearsal: bool = False

    def revision(self) -> int:
        """The revision of the deployed release, to which a rollback leads."""
        status = json.loads(self._run("helm", "status", self.release, "--output", "json"))
        if status["info"]["status"] != "deployed":
            raise CommandFailed(f"{self.release} is {status['info']['status']}; finish that first")
        return int(status["version"])

    def replicas(self, target: Target) -> int:
        """The current number of desired pods of the stable release."""
        labels = f"app.kubernetes.io/instance={self.release},waybill.io/process={target.process}"
        path = "jsonpath={.items[*].spec.replicas}"
        found = self._run("kubectl", "get", "deployments", "--selector", labels, "--output", path).split()
        if len(found) != 1:
            raise CommandFailed(f"{self.release} has no deployment of {target.process} in {self.namespace}")
        return int(found[0])

    def upgrade(self, values: Mapping[str, int | str], *, migrates: bool) -> None:
        """Set values of the release and wait until its pods are ready. Migrations run where `migrates`."""
        sets: list[str] = []
        for name, value in values.items():
            # A tag such as 1.0 must stay a text.
            sets += ["--set" if isinstance(value, int) else "--set-string", f"{name}={value}"]
        hooks = () if migrates else ("--no-hooks",)
        waits = ("--wait", "--timeout", self.timeout)
        self._change("helm", "upgrade", self.release, self.chart, "--reset-then-reuse-values", *sets, *hooks, *waits)

    def roll_back(self, revision: int) -> None:
        """Restore `revision`. The schema stays: the previous release runs on the newer one."""
        self._change("helm", "rollback", self.release, str(revision), "--no-hooks", "--wait", "--timeout", self.timeout)

    def _change(self, *command: str) -> None:
        self.report(shlex.join(self._addressed(command)))
        if not self.is_rehearsal:
            self._run(*command)

    def _run(self, *command: str) -> str:
        try:
            done = subprocess.run(self._addressed(command), check=False, capture_output=True, text=True)  # noqa: S603
        except OSError as error:
            raise CommandFailed(f"{command[0]}: {error}") from error
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(command[:2])}: {(done.stderr or done.stdout).strip()[-2000:]}")
        return done.stdout

    def _addressed(self, command: Sequence[str]) -> list[str]:
        return [*command, "--namespace", self.namespace]
