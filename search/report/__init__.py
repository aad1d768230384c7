"""What people see of a run: the live display, the closing summary and ``report.html``.

>>> from search.report import Progress, make_display, print_summary, write_report
"""

from search.report.console import Display, make_display
from search.report.findings import print_findings
from search.report.forecast import print_plan, print_rehearsals
from search.report.html import write_report
from search.report.prediction import print_prediction
from search.report.progress import Progress
from search.report.summary import print_summary
from search.report.why import print_why

__all__ = [
    "Display",
    "Progress",
    "make_display",
    "print_findings",
    "print_plan",
    "print_prediction",
    "print_rehearsals",
    "print_summary",
    "print_why",
    "write_report",
]
