"""The audit of the data, beside what a run does before its search."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future
from threading import Thread

import pyarrow as pa

from search.data import DataOptions
from search.data.audit import audit_table
from search.findings import Finding
from search.insight.findings import check_names
from search.rundir import AUDIT, PLAN
from search.stages.run_context import RunContext

PATIENCE, SMALL_BYTES = 1.0, 2**21
"""Seconds that a run waits for the audit of data of so many bytes at most, before it starts
anything: they take no longer."""
_POLL = 0.05


class Audit:
    """Looks for what is wrong with the data, in a thread of its own.

    Machines are started and the model is looked at meanwhile; of large data the audit takes as
    long as both. A session whose run has a plan already has heeded it.

    Args:
        run: The run.

    Raises:
        StudyError: The study accepts a check that there isn't.
    """

    def __init__(self, run: RunContext) -> None:
        check_names(run.study.checks.accept)
        self._run = run
        self._findings: Future[list[Finding]] | None = None
        self._is_small = False

    def start(self, table: pa.Table, options: DataOptions) -> None:
        """Begin, unless the study says otherwise or an earlier session has done it."""
        run = self._run
        if not run.study.checks.audit or run.dir.exists(PLAN):
            return
        future = self._findings = Future()
        self._is_small = table.nbytes <= SMALL_BYTES

        def look() -> None:
            try:
                future.set_result(audit_table(table, options))
            except BaseException as error:  # raised where it is waited for
                future.set_exception(error)

        # A daemon: whoever interrupts the run doesn't wait for it.
        Thread(target=look, name="sieve-audit", daemon=True).start()

    def heed_if_small(self) -> None:
        """Heed what is found in small data; of others, what has been found by now."""
        self.heed(PATIENCE if self._is_small else 0.0)

    def heed(self, patience: float = math.inf) -> None:
        """Write down and tell what was found; nothing where that has been done.

        Args:
            patience: Seconds to wait for it.

        Raises:
            DataError: The data can't be used as declared.
            RunFailed: Something is wrong that the study doesn't accept by name.
            Interrupted: The run was asked to stop.
        """
        if self._findings is None:
            return
        ends_at = time.monotonic() + patience
        while not self._findings.done():
            if time.monotonic() > ends_at:
                return
            self._run.stop.check()
            time.sleep(_POLL)
        findings = self._findings.result()
        self._findings = None
        self._run.dir.write_json(AUDIT, [finding.to_json() for finding in findings])
        self._run.heed("audit", findings, AUDIT)
