"""Results of health checks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthCheckResult:
    """The result of one check. `remediation` says what to do when it failed."""

    check: str
    ok: bool
    message: str
    remediation: str = ""
