from dataclasses import replace

import pytest

from lightir_core.data import photographs
from lightir_core.data.photographs import TRAINING, VALIDATION, locate
from lightir_core.errors import DataError


def test_the_photographs_are_large_colour_images():
    for gallery in (photographs.training(), photographs.validation()):
        assert gallery.notes == ()
        for image in gallery.images:
            assert min(image.pixels.shape[:2]) >= 300
            assert image.pixels.std(axis=2).mean() > 1  # three different channels


def test_training_and_validation_share_no_photograph():
    files = [locate(photograph) for photograph in (*TRAINING, *VALIDATION)]
    assert len(set(files)) == len(files) == 8


def test_every_photograph_names_a_free_licence():
    licences = {photograph.licence for photograph in (*TRAINING, *VALIDATION)}
    assert licences == {"CC0", "CC BY 2.0", "public domain", "no known copyright restrictions"}


@pytest.mark.parametrize("change", [{"file": "data/gone.png"}, {"module": "no_such_module"}])
def test_a_missing_photograph_names_its_package(change):
    with pytest.raises(DataError, match="pip install --force-reinstall scikit-image"):
        locate(replace(TRAINING[0], **change))
