"""Decides when a canary is worse than the stable release."""

from dataclasses import dataclass

from infra.rollout.prometheus import Measured, Target


@dataclass(frozen=True, slots=True)
class Limits:
    """How much worse a canary may be. Shares are fractions of 1, above the stable release's."""

    errors: float = 0.01
    slowdown: float = 1.5
    fast_seconds: float = 0.1
    failures: float = 0.05
    min_requests: int = 50
    min_attempts: int = 5

    def is_enough(self, target: Target, measured: Measured | None) -> bool:
        """Whether enough happened for a judgment."""
        wanted = self.min_requests if target.is_api else self.min_attempts
        return measured is not None and measured.count >= wanted

    def breaches(self, target: Target, canary: Measured, stable: Measured) -> list[str]:
        """The limits that `canary` exceeds, in words; empty if it exceeds none."""
        found = []
        allowed = stable.failed_share + (self.errors if target.is_api else self.failures)
        if canary.failed_share > allowed:
            what = "requests are answered 5xx" if target.is_api else "attempts fail"
            found.append(f"{target.name}: {canary.failed_share:.1%} of the {what}, {allowed:.1%} are allowed")
        if canary.p95_seconds is not None and stable.p95_seconds is not None:
            slow = max(stable.p95_seconds * self.slowdown, self.fast_seconds)
            if canary.p95_seconds > slow:
                found.append(f"{target.name}: p95 is {canary.p95_seconds:.3g} s, {slow:.3g} s are allowed")
        return found
