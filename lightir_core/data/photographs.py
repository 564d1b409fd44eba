"""Freely licensed photographs that come inside the installed dependencies.

With them a first run needs no data set and no network. They are read where the packages put them;
nothing is copied or downloaded. The licences are quoted from the packages' own documentation:
the docstrings of ``skimage.data``, the README beside scikit-learn's images, and the pull request
that brought the matplotlib photograph (matplotlib #1599, "public domain images").

The set is small: enough to try the program, to test it and to rank networks roughly; a real
training wants a folder of hundreds of photographs.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from lightir_core.data.images import Gallery, Image, read_image
from lightir_core.errors import DataError


@dataclass(frozen=True)
class Photograph:
    """Where a photograph lies, who made it and on which terms it may be used."""

    name: str
    package: str
    """The distribution to install, as pip calls it."""
    module: str
    file: str
    """The path inside the package."""
    author: str
    licence: str


_SKIMAGE = ("scikit-image", "skimage")


_SKLEARN = ("scikit-learn", "sklearn")


_MATPLOTLIB = ("matplotlib", "matplotlib")


_PHOTOS = "datasets/images"


TRAINING = (
    Photograph("astronaut", *_SKIMAGE, "data/astronaut.png", "NASA", "public domain"),
    Photograph(
        "immunohistochemistry",
        *_SKIMAGE,
        "data/ihc.png",
        "Center for Microscopy And Molecular Imaging (CMMI)",
        "no known copyright restrictions",
    ),
    Photograph("china", *_SKLEARN, f"{_PHOTOS}/china.jpg", "danielbuechele (Flickr)", "CC BY 2.0"),
    Photograph("flower", *_SKLEARN, f"{_PHOTOS}/flower.jpg", "vultilion (Flickr)", "CC BY 2.0"),
    Photograph(
        "grace_hopper",
        *_MATPLOTLIB,
        "mpl-data/sample_data/grace_hopper.jpg",
        "not named by the package",
        "public domain",
    ),
)
"""Faces, fabric, architecture, foliage, a petal's fine edges and a dense texture."""


VALIDATION = (
    Photograph("chelsea", *_SKIMAGE, "data/chelsea.png", "Stefan van der Walt", "CC0"),
    Photograph("coffee", *_SKIMAGE, "data/coffee.png", "Rachel Michetti", "CC0"),
    Photograph("rocket", *_SKIMAGE, "data/rocket.jpg", "SpaceX", "public domain"),
)
"""Fur, wood grain and smooth glaze, thin lattice on an even sky: none of them is trained on."""


def training() -> Gallery:
    """Read the embedded photographs to train on.

    Raises:
        DataError: a package was installed without its sample data.
    """
    return _load(TRAINING)


def validation() -> Gallery:
    """Read the embedded photographs to validate on; none is in `training`.

    Raises:
        DataError: a package was installed without its sample data.
    """
    return _load(VALIDATION)


def _load(photographs: tuple[Photograph, ...]) -> Gallery:
    return Gallery(
        tuple(Image(photograph.name, read_image(locate(photograph))) for photograph in photographs),
        notes=(),
    )


def locate(photograph: Photograph) -> Path:
    """Find the photograph's file inside the installed package, which is not imported for it.

    Raises:
        DataError: the package, or the file in it, is missing.
    """
    specification = importlib.util.find_spec(photograph.module)
    folders = (specification and specification.submodule_search_locations) or ()
    for folder in folders:
        path = Path(folder, photograph.file)
        if path.is_file():
            return path
    raise DataError(
        f"the photograph {photograph.name!r} should lie in the package {photograph.package} at "
        f"{photograph.file}; run pip install --force-reinstall {photograph.package}, "
        "or give your own images with --data"
    )
