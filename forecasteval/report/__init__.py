"""From a notebook to a report folder: parameters in, page, tables, figures and a manifest out."""

from typing import TYPE_CHECKING, Any

from forecasteval.report.form import choose
from forecasteval.report.published import publish

if TYPE_CHECKING:
    from forecasteval.report.make import make_report

__all__ = ["choose", "make_report", "publish"]


def __getattr__(name: str) -> Any:
    if name == "make_report":  # needs papermill, which a notebook that only publishes does not
        from forecasteval.report.make import make_report

        return make_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
