"""Which names of TensorRT a source uses, read from its syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
PYTHON = {"items"}
"""What is asked of the dictionaries that enums have."""


@dataclass(frozen=True)
class Names:
    """attributes: of the library, its objects and enums, and the methods of its classes that are overridden. keywords: of its calls."""

    attributes: frozenset[str]
    keywords: frozenset[str]


def tensorrt_names(trees: Iterable[ast.Module]) -> Names:
    """In modules that handle the library: there, whatever is annotated `Any`, and whatever is got from it, is of TensorRT."""
    attributes, keywords = set[str](), set[str]()
    for tree in trees:
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if not names & {"trt", "config"}:
            continue
        fields = {
            each.target.id
            for kind in ast.walk(tree)
            if isinstance(kind, ast.ClassDef)
            for each in kind.body
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and _is_any(each.annotation)
        }
        given = {each.name for each in ast.walk(tree) if isinstance(each, FUNCTIONS) and _is_any(each.returns)}
        for scope in _scopes(tree):
            _Scope(scope, fields, given | {"library"}).collect(attributes, keywords)
    return Names(frozenset(each for each in attributes - PYTHON if not each.startswith("__")), frozenset(keywords))


def _scopes(tree: ast.Module) -> list[ast.FunctionDef]:
    """Functions of the module and methods; what is defined in them belongs to them."""
    inner = [each for kind in tree.body if isinstance(kind, ast.ClassDef) for each in kind.body]
    return [each for each in [*tree.body, *inner] if isinstance(each, ast.FunctionDef)]


def _is_any(annotation: ast.expr | None) -> bool:
    return annotation is not None and "Any" in ast.unparse(annotation)


class _Scope:
    """The variables of a function that hold something of TensorRT. fields: of `self`; given: functions that give such a thing."""

    def __init__(self, scope: ast.FunctionDef, fields: set[str], given: set[str]) -> None:
        self.nodes, self.fields, self.given = list(ast.walk(scope)), fields, given
        self.held = {
            each.arg
            for inner in self.nodes
            if isinstance(inner, FUNCTIONS)
            for each in (*inner.args.args, *inner.args.kwonlyargs)
            if _is_any(each.annotation)
        }
        while new := self._assigned() - self.held:
            self.held |= new

    def _assigned(self) -> set[str]:
        found = set[str]()
        for node in self.nodes:
            match node:
                case ast.Assign(targets=targets, value=value) if self._is_of(value):
                    found |= {each.id for each in targets if isinstance(each, ast.Name)}
                case ast.comprehension(target=ast.Name(id=name), iter=values) if self._is_of(values):
                    found.add(name)
                case _:
                    pass
        return found

    def _is_of(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.held
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return name in self.fields
            case ast.Attribute(value=value) | ast.Subscript(value=value):
                return self._is_of(value)
            case ast.Call(func=ast.Name(id=name)):
                return name in self.given
            case ast.Call(func=called):
                return self._is_of(called)
            case _:
                return False

    def collect(self, attributes: set[str], keywords: set[str]) -> None:
        for node in self.nodes:
            match node:
                case ast.Attribute(value=value, attr=name) if self._is_of(value):
                    attributes.add(name)
                case ast.Call(func=ast.Attribute() as called, keywords=named) if self._is_of(called):
                    keywords |= {each.arg for each in named if each.arg}
                case ast.ClassDef(bases=bases, body=body) if any(map(self._is_of, bases)):
                    attributes |= {each.name for each in body if isinstance(each, FUNCTIONS)}
                case _:
                    pass
