"""The scripts of the page: d3 as it comes with mpld3, and the page's own.

mpld3 is a small package that brings matplotlib's figures to browsers by d3; its copy of d3 is
taken from the installation, so that a report needs no network, neither when it is made nor when
it is read. mpld3 itself is not imported.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from markupsafe import Markup

from lightir_core.errors import ResultsError

D3 = "mpld3/js/d3.v5.min.js"
_HERE = Path(__file__).parent


@cache
def scripts() -> tuple[Markup, ...]:
    """The text of the page's script elements, in their order.

    Raises:
        ResultsError: mpld3 is not installed, or has no d3 in it.
    """
    texts = (_library(), (_HERE / "script.js").read_text(encoding="utf-8"))
    if any("</script" in text for text in texts):
        raise ResultsError(
            f"{D3} has '</script' in it and cannot be embedded; install the version of mpld3 that "
            f"constraints.txt names"
        )
    return tuple(Markup(text) for text in texts)


@cache
def fingerprints() -> Markup:
    """The scripts' hashes as a content security policy names them: nothing else may run."""
    digests = (b64encode(sha256(text.encode()).digest()).decode() for text in scripts())
    return Markup(" ".join(f"'sha256-{digest}'" for digest in digests))


def _library() -> str:
    try:
        path = Path(str(metadata.distribution("mpld3").locate_file(D3)))
        return path.read_text(encoding="utf-8").replace("\r\n", "\n").strip()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise ResultsError(
            f"the report's charts need {D3}, which is missing ({error}); "
            f"run `pip install -c constraints.txt .` again"
        ) from None
