"""Where things are: the tree, what is built, what is fetched."""

import os
import pathlib
import tempfile

from .status import refuse

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = TREE / "build"
HYPERVISOR = BUILD / "vmmu.elf"
HYPERVISOR_PPC = BUILD / "vmmu-ppc.elf"
DISK_LOADER = BUILD / "disk" / "loader.bin"
GUESTS = BUILD / "guests"
GUEST_PROGRAMS = TREE / "scripts" / "guest"
GUEST_E500 = TREE / "scripts" / "guest-e500"


def cache():
    """The folder of fetched Debian packages: outside the tree, so that `make clean` and a new clone keep it.

    $VMMU_CACHE if it is set, else vmmu in the user's cache folder, else build/cache where there is no home.
    """
    for folder in _cache_candidates():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
        except OSError:
            continue
    raise refuse("no folder for fetched packages can be written; set VMMU_CACHE to one that can")


def _cache_candidates():
    if os.environ.get("VMMU_CACHE"):
        return [pathlib.Path(os.environ["VMMU_CACHE"]).absolute()]
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [pathlib.Path(home) / "vmmu", BUILD / "cache"]


def run_folder():
    """A fresh temporary folder for the files of one run; the caller removes it with cleanup()."""
    parent = BUILD / "run"
    parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=parent, prefix="run-")


def write_whole(path, data):
    """Write @data to @path so that a reader, or an interrupted run, never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        out.write(data)
    os.chmod(out.name, 0o644)
    os.replace(out.name, path)


def text(path):
    """What @path holds as text; '' where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
