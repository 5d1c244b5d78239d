"""A copy of a guest's memory with one entry of its tables changed: what a comparison has to notice."""

import contextlib
import os
import shutil
import struct
import tempfile

import stops
import tables
import witness
from tap import expect

PAGE = witness.PAGE_BYTES


class Copy:
    """The copy: `words` name it to vmmu, `page` is the Mapping whose entry it is about."""

    def __init__(self, stop, path):
        self._path = path
        self._entry_bytes = 8 if stop.registers.cr4 & 0x20 else 4
        self.words = [str(path), *stop.words("raw")[1:]]
        self.page = _user_page(stop, path)

    def move_page(self):
        """The entry maps the next frame, or the one before."""
        self._change(self.page.entry ^ PAGE)

    def flip(self, bits):
        """@bits of the entry are turned over."""
        self._change(self.page.entry ^ bits)

    def _change(self, entry):
        with open(self._path, "r+b") as image:
            image.seek(self.page.place)
            image.write(struct.pack("<Q" if self._entry_bytes == 8 else "<I", entry))


@contextlib.contextmanager
def copy(stop):
    """A Copy of the memory of @stop, until the end of the with statement."""
    with tempfile.TemporaryDirectory(dir=stops.folder(), prefix="changed-") as name:
        path = os.path.join(name, "memory.raw")
        shutil.copyfile(stop.dumps["raw"], path)
        yield Copy(stop, path)


def _user_page(stop, path):
    """A small page of the process, whose table nothing else uses, and that is not at a range's edge."""
    with tables.Tables(path, stop.registers) as walker:
        pages = {leaf.address for leaf in stop.leaves if "U" in leaf.flags and "W" in leaf.flags and not leaf.large}
        inner = sorted(page for page in pages if page - PAGE in pages and page + PAGE in pages)
        expect(len(inner) > 100, f"only {len(inner)} pages of the process are among others")
        return walker.leaf(inner[len(inner) // 2])
