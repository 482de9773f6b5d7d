"""Where a laptop's runs lie unless somebody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = ".flowsdk"


def default_root() -> str:
    """URI of the datastore: ``FLOWSDK_DATASTORE``, the nearest ``.flowsdk`` upwards, or a new one here."""
    root = os.environ.get("FLOWSDK_DATASTORE")
    if root:
        return root
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return str(folder / FOLDER)
    return str(here / FOLDER)
