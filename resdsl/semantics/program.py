"""The files of a program: reading, importing, and which name is declared where."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from resdsl._packaged import packaged
from resdsl.diagnostics import Diagnostic, SpecError, did_you_mean, fail
from resdsl.semantics.scope import Lazy, Scope
from resdsl.semantics.values import Bound, format_call, format_value
from resdsl.source import Source, Span
from resdsl.syntax import nodes
from resdsl.syntax.parser import MAX_SOURCE_BYTES, parse_file

STANDARD = "std/"
"""Prefix of the packaged specs, in `import` and on the command line."""


MAX_IMPORT_NESTING = 50
"""How many files may import one the next."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitDeclaration:
    node: nodes.Unit
    module: Module

    @property
    def name(self) -> str:
        return self.node.name.name

    def leading(self, arguments: tuple[Bound, ...]) -> int:
        """How many of the arguments can be written without their names."""
        count = 0
        for bound, parameter in zip(arguments, self.node.parameters, strict=False):
            if bound.name != parameter.name or parameter.default is not None:
                break
            count += 1
        return count

    def label(self, arguments: tuple[Bound, ...]) -> str:
        """How the unit is called with these arguments: `basic(32, stride = 2)`. What is as by default is left out."""
        defaults = {parameter.name: parameter.default for parameter in self.node.parameters}

        def is_default(bound: Bound) -> bool:
            default = defaults.get(bound.name)
            return default is not None and format_value(bound.value) == default.span.text

        written = tuple(bound for bound in arguments if not is_default(bound))
        return format_call(self.name, written, self.leading(written))


@dataclass(frozen=True, slots=True, eq=False)
class NetworkDeclaration:
    node: nodes.Network | nodes.Alias
    module: Module

    @property
    def name(self) -> str:
        return self.node.name.name


@dataclass(frozen=True, slots=True, eq=False)
class LetDeclaration:
    node: nodes.Let
    module: Module

    @property
    def name(self) -> str:
        return self.node.name


Declaration: TypeAlias = UnitDeclaration | NetworkDeclaration | LetDeclaration


@dataclass(slots=True, eq=False)
class Module:
    """One file: what it declares, and what it sees (its own declarations and those of its imports)."""

    file: nodes.File
    path: Path | None
    own: dict[str, Declaration] = field(default_factory=dict[str, Declaration])
    visible: dict[str, Declaration] = field(default_factory=dict[str, Declaration])
    imports: list[Module] = field(default_factory=list["Module"])
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        self.scope = Scope(self)

    def networks(self) -> list[NetworkDeclaration]:
        """The networks declared in this file, in order."""
        return [declared for declared in self.own.values() if isinstance(declared, NetworkDeclaration)]


def standard_folder() -> Path:
    """Where the packaged specs lie."""
    return packaged("specs")


def read_source(path: Path, span: Span | None = None) -> Source:
    """The source at `path`. Raises SpecError if it cannot be read, is too large or is not UTF-8."""
    try:
        if path.is_dir():
            raise fail("unreadable", f"{path} is a folder, not a .resnet file", span)
        with path.open("rb") as stream:
            data = stream.read(MAX_SOURCE_BYTES + 1)
    except FileNotFoundError:
        raise fail("unreadable", f"there is no file {path}", span) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail("unreadable", f"{path} cannot be read: {reason}", span) from None
    if len(data) > MAX_SOURCE_BYTES:
        raise fail(
            "source-too-large",
            f"{path} has more than {MAX_SOURCE_BYTES:,} bytes, the most that a source may have",
            span,
            help="say repeated units with `n * unit(…)`, or split the file with `import`",
        )
    try:
        return Source(str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise fail("unreadable", f"{path} is not UTF-8 text (byte {error.start})", span) from None


def load_program(source: Source, path: Path | None, root: Path | None = None) -> Module:
    """Parses a source and all that it imports.

    path: the file the source came from, None for text. root: imports may not leave this folder; the entry file's own
    (for text: the current one) if not given. Raises SpecError.
    """
    folder = path.parent if path is not None else Path()
    loader = _Loader((root or folder).resolve())
    return loader.module(source, path)


_parsed_import = lru_cache(maxsize=128)(parse_file)
"""Several files of one run import the same ones; the texts are compared, so a changed file is read anew."""


class _Loader:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.standard = standard_folder().resolve()
        self.done: dict[Path, Module] = {}
        self.loading: list[Path] = []

    def module(self, source: Source, path: Path | None) -> Module:
        resolved = path.resolve() if path is not None else None
        if resolved is not None:
            self.loading.append(resolved)
        module = Module(_parsed_import(source) if len(self.loading) > 1 else parse_file(source), path)
        diagnostics = _declare(module)
        for item in module.file.items:
            if not isinstance(item, nodes.Import):
                continue
            try:
                imported = self.imported(item, path)
            except SpecError as error:
                diagnostics += error.diagnostics
                continue
            module.imports.append(imported)
            diagnostics += _bring_in(module, imported, item.span)
        if diagnostics:
            raise SpecError(diagnostics)
        if resolved is not None:
            self.loading.pop()
            self.done[resolved] = module
        return module

    def imported(self, item: nodes.Import, importer: Path | None) -> Module:
        path, root = self.locate(item, importer)
        resolved = path.resolve()
        if resolved in self.loading:
            cycle = [p.name for p in self.loading[self.loading.index(resolved) :]] + [resolved.name]
            raise fail("import-cycle", f"files import each other: {' -> '.join(cycle)}", item.span)
        if len(self.loading) > MAX_IMPORT_NESTING:
            message = f"imports are nested more than {MAX_IMPORT_NESTING} deep"
            raise fail("nesting-too-deep", message, item.span, help="import the last of these files here")
        if not resolved.is_relative_to(root):
            raise fail(
                "import-outside",
                f'"{item.path}" leaves {root}, the folder that imports may come from',
                item.span,
                help="" if root == self.standard else "widen it with `--root FOLDER`",
            )
        if item.path.startswith(STANDARD) and not resolved.exists():
            known = [STANDARD + file.relative_to(self.standard).as_posix() for file in self.standard.rglob("*.resnet")]
            label = did_you_mean(item.path, known)
            raise fail("unreadable", f"there is no packaged spec {item.path}", item.span, label=label)
        if resolved.exists() and not resolved.is_file() and not resolved.is_dir():
            raise fail("unreadable", f"{path} is not a regular file", item.span)
        if resolved not in self.done:
            return self.module(read_source(path, item.span), path)
        return self.done[resolved]

    def locate(self, item: nodes.Import, importer: Path | None) -> tuple[Path, Path]:
        if item.path.startswith(STANDARD):
            return self.standard / item.path.removeprefix(STANDARD), self.standard
        if "\0" in item.path or not item.path or Path(item.path).is_absolute():
            raise fail("import-outside", f'"{item.path}" is not a relative path', item.span)
        folder = importer.parent if importer is not None else Path()
        inside_standard = importer is not None and importer.resolve().is_relative_to(self.standard)
        return folder / item.path, self.standard if inside_standard else self.root


def _declare(module: Module) -> list[Diagnostic]:
    diagnostics: list[Diagnostic] = []
    for item in module.file.items:
        match item:
            case nodes.Unit():
                declared: Declaration = UnitDeclaration(item, module)
                span = item.name.span
            case nodes.Network() | nodes.Alias():
                declared = NetworkDeclaration(item, module)
                span = item.name.span
            case nodes.Let():
                declared = LetDeclaration(item, module)
                span = item.span
                module.scope.bindings[item.name] = Lazy(item.value, module.scope)
            case nodes.Import():
                continue
        name = declared.name
        if name in module.own:
            first = _place(module.own[name])
            diagnostics.append(
                Diagnostic("declared-twice", f"`{name}` is declared twice", span, notes=(f"first at {first}",))
            )
            continue
        module.own[name] = declared
        module.visible[name] = declared
    return diagnostics


def _bring_in(module: Module, imported: Module, span: Span) -> list[Diagnostic]:
    diagnostics: list[Diagnostic] = []
    for name, declared in imported.own.items():
        known = module.visible.get(name)
        if known is not None and known is not declared:
            diagnostics.append(
                Diagnostic(
                    "declared-twice",
                    f"`{name}` is declared in the imported file too",
                    span,
                    notes=(f"here at {_place(known)}", f"there at {_place(declared)}"),
                    help="rename one of them",
                )
            )
            continue
        module.visible[name] = declared
    return diagnostics


def _place(declared: Declaration) -> str:
    return str(declared.node.span if isinstance(declared, LetDeclaration) else declared.node.name.span)
