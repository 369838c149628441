"""I6: every decision of every ledger is decided again, on all processors where there is much, and must give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping

from services.cli import verify
from services.cli.audit.findings import Findings
from services.cli.audit.place import Installation
from services.cli.audit.reading import Standing
from shared.contracts.topics import Topic


def check_decisions(installation: Installation, standings: Mapping[str, Standing], findings: Findings) -> None:
    """Replay all services that hold anything. Blocks until it is done."""
    services = [Topic(service) for service in installation.urls if sum(standings[service].lengths.values())]
    for service in installation.urls:
        if service not in services:
            findings.leave_out("I6", f"{service}: its ledger is empty, so there is nothing to replay")
    if not services:
        return
    reports = verify.replayed(installation.urls, installation.name, services, None, lambda report: None)
    for report in reports:
        findings.count("I6", f"{report.service}: decisions replayed", report.decisions)
        findings.seconds[f"replay of {report.service} (processor)"] = report.cpu_s
        findings.wrong("I6", f"{report.service}: the record and its replay differ", (_short(each) for each in report.differences))


def _short(difference: object) -> str:
    return str(difference).partition("\n")[0]
