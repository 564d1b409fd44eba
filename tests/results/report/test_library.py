import re
from hashlib import sha256
from importlib import metadata

import pytest

from lightir_core.errors import ResultsError
from results.report import library


def test_d3_comes_from_the_installed_package_and_is_small():
    d3, own = library.scripts()
    assert d3.startswith("// https://d3js.org v5")
    assert len(d3) < 300_000
    assert '"use strict"' in own


def test_every_script_has_its_fingerprint():
    found = re.findall(r"'sha256-([^']+)'", library.fingerprints())
    assert len(found) == len(library.scripts()) == 2
    assert len({sha256(text.encode()).digest() for text in library.scripts()}) == 2


def test_a_missing_library_is_told(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    library.scripts.cache_clear()
    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(ResultsError, match=r"mpld3/js/d3.v5.min.js, which is missing"):
        library.scripts()
