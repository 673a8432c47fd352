"""A doctor for training loops in PyTorch: it watches them run, and says what is wrong and why."""

from __future__ import annotations

from dlbook.doctor.catalog import catalog, explain
from dlbook.doctor.examination import examine
from dlbook.doctor.findings import DiagnosedError, Finding, Report
from dlbook.doctor.watching import watch

__all__ = ["DiagnosedError", "Finding", "Report", "catalog", "examine", "explain", "watch"]
