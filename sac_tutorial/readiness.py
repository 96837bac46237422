"""Is everything here that the course needs? Says in plain words what is not.

May import: the standard library and `packaging`, nothing else, so that it runs where the rest does not.
"""

import sys
from importlib import metadata

from packaging.requirements import Requirement


def missing(extras: tuple[str, ...] = ("notebooks",)) -> list[str]:
    """Return one sentence for each thing that is missing or of the wrong version; an empty list means ready.

    What is needed is read from the package's own metadata: its requirements and those of the named extras.

    Args:
        extras: extras of pyproject.toml that have to be there too.

    Raises:
        importlib.metadata.PackageNotFoundError: if sac_tutorial itself is not installed, only lying in the path.
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
