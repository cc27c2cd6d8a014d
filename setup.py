"""Build an sdist that keeps the links in scripts/ and bench/ (setuptools would copy them); all else is in setup.cfg."""
import os
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist


class SdistWithLinks(sdist):
    def make_release_tree(self, base_dir, files):
        links = [path for folder in ("scripts", "bench") for path in Path(folder).iterdir() if path.is_symlink()]
        super().make_release_tree(base_dir, [file for file in files if not {*Path(file).parents, Path(file)} & {*links}])
        for link in links:
            Path(base_dir, link).unlink(missing_ok=True)
            os.symlink(os.readlink(link), Path(base_dir, link))


setup(cmdclass={"sdist": SdistWithLinks})
