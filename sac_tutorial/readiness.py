"""Check that everything the course needs is installed; lesson 00 runs this check first.

It imports only the standard library and `packaging`, so that it runs even where the rest of the package does not.
"""

import sys
from importlib import metadata

from packaging.requirements import Requirement


def missing(extras: tuple[str, ...] = ("notebooks",)) -> list[str]:
    """Return one sentence for each requirement that is missing or has the wrong version; an empty list means ready.

    Args:
        extras: Extras of pyproject.toml whose requirements are checked too.

    Raises:
        importlib.metadata.PackageNotFoundError: If sac_tutorial itself is not installed.
    """
    sentences = []
    if sys.version_info < (3, 11):
        sentences.append(f"The course needs Python 3.11 or newer, but this kernel runs {sys.version.split()[0]}.")
    for line in metadata.requires("sac_tutorial") or []:
        needed = Requirement(line)
        if needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        try:
            found = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            sentences.append(f"The package {needed.name} is not installed.")
            continue
        if not needed.specifier.contains(found, prereleases=True):
            sentences.append(
                f"The package {needed.name} has the version {found}, but the course needs {needed.specifier}."
            )
    return sentences
