"""Wheels of libraries that cannot be imported where there is no GPU: they are downloaded, and their files are read."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import zipfile
from functools import cached_property
from pathlib import Path

import pytest

NOT_THERE = ("No matching distribution found", "Could not find a version")


class Wheel:
    """A wheel that lies in a file."""

    def __init__(self, path: Path) -> None:
        self._files = zipfile.ZipFile(path)

    @cached_property
    def names(self) -> list[str]:
        """Of the files in it."""
        return self._files.namelist()

    def data(self, name: str) -> bytes:
        return self._files.read(name)

    def tree(self, name: str) -> ast.Module:
        """The syntax of a Python file in it."""
        return ast.parse(self.data(name))

    def close(self) -> None:
        self._files.close()


def download(requirement: str, folder: Path) -> Wheel:
    """The wheel of `name==version` for this interpreter and platform, from pip's index, once for all that share the folder.

    Skips the test where the index has none, or cannot be reached; any other failure of pip is one.
    """
    kept = folder / requirement.replace("==", "-")
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--only-binary", ":all:"]
            run = subprocess.run([*command, "--quiet", "-d", fresh], capture_output=True, text=True, check=False)
            if run.returncode and any(said in run.stderr for said in NOT_THERE):  # pip says the same of both
                pytest.skip(f"pip's index has no {requirement} for this platform, or cannot be reached")
            assert run.returncode == 0, run.stderr
            (found,) = Path(fresh).iterdir()
            found.replace(kept)
    return Wheel(kept)


def function(tree: ast.Module, name: str) -> ast.FunctionDef:
    """A function of that name, of the module or of a class in it."""
    (found,) = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    return found


def named(found: ast.FunctionDef) -> set[str]:
    """The parameters that a function has by name: not what **kwargs takes in."""
    return {each.arg for each in (*found.args.posonlyargs, *found.args.args, *found.args.kwonlyargs)}


def texts(node: ast.AST) -> set[str]:
    """The strings that are written in it."""
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
