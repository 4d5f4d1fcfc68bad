"""`report.pdf`: the page of `report.html`, printed. Pure, but for the fonts of the machine.

WeasyPrint prints the same page with the same print style sheet, so the two cannot say different things. It is an extra
(`pip install 'failover-drill[pdf]'`) and takes Pango from the operating system. What else there is: Chromium prints
well too, but is a package of 300 MB; Typst and ReportLab need no system library, but a second description of every
page. The PDF loads nothing: whatever asks for an address is refused.
"""

from __future__ import annotations

from drills.problems import UsageProblem
from drills.verdict import Judged
from reports import html
from reports.base import Format, missing


def render(run: Judged) -> bytes:
    """The PDF. Raises `UsageProblem` when WeasyPrint or the libraries that it needs are missing."""
    return printed(html.render(run))


FORMAT = Format(
    name="pdf", file="report.pdf", about="the HTML page, printed on A4 (needs the extra `pdf`)", render=render
)


def printed(page: bytes) -> bytes:
    """Any page of ours as PDF. Raises `UsageProblem`."""
    try:
        from weasyprint import HTML  # noqa: PLC0415  an extra, and slow to import
        from weasyprint.urls import URLFetcher  # noqa: PLC0415
    except ImportError as error:
        raise missing("pdf", "WeasyPrint", "pdf", str(error)) from error
    except OSError as error:
        raise UsageProblem(
            "--format pdf needs Pango, which WeasyPrint takes from the operating system: `apt-get install "
            f"libpango-1.0-0 libpangoft2-1.0-0`, `brew install pango`, or your system's package ({error})"
        ) from error
    document: bytes = HTML(string=page.decode(), url_fetcher=URLFetcher(allowed_protocols=())).write_pdf()
    return document
