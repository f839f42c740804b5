"""From what a user names (a path, `std/…`, a text, a JSON document) to a network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TypeAlias, cast

from resdsl.diagnostics import Diagnostic, SpecError, did_you_mean, fail
from resdsl.network.document import MAX_DOCUMENT_BYTES, from_json
from resdsl.network.network import Network
from resdsl.semantics.evaluate import Evaluator
from resdsl.semantics.instantiate import parameters_of
from resdsl.semantics.lower import DEFAULT_MAX_UNITS, lower_network
from resdsl.semantics.names import check_expression, check_names
from resdsl.semantics.program import (
    STANDARD,
    Module,
    NetworkDeclaration,
    load_program,
    read_source,
    standard_folder,
)
from resdsl.semantics.values import Bound
from resdsl.source import Source, Span
from resdsl.syntax.parser import parse_expression

Parameter: TypeAlias = str | bool | int | float | tuple[int, ...]
"""A parameter's value from Python: a text is an expression (`"scale(0.5)"`), a tuple a size."""


@dataclass(frozen=True, slots=True)
class Options:
    """root: the folder that imports may come from, by default the spec's own. max_units: the most units of a network."""

    root: Path | None = None
    max_units: int = DEFAULT_MAX_UNITS


def open_spec(spec: str | os.PathLike[str] | Source, options: Options = Options()) -> Module:
    """The parsed spec with its imports, all names checked.

    spec: a path, `std/NAME` for a packaged spec, a text (a str with a line break), or a Source. Raises SpecError.
    """
    return open_source(*locate(spec), options)


def locate(spec: str | os.PathLike[str] | Source) -> tuple[Source, Path | None]:
    """The source of a spec, and the file that it came from if it is one. Raises SpecError if it cannot be read."""
    if isinstance(spec, Source):
        return spec, None
    if isinstance(spec, str) and "\n" in spec:
        return Source("<text>", spec), None
    path = spec_path(spec)
    return read_source(path), path


def open_source(source: Source, path: Path | None, options: Options = Options()) -> Module:
    """The parsed source with its imports, all names checked; `path` is where it counts as standing. Raises SpecError."""
    module = load_program(source, path, options.root)
    diagnostics = check_names(module)
    if diagnostics:
        raise SpecError(diagnostics)
    return module


def spec_path(spec: str | os.PathLike[str]) -> Path:
    """The file of a spec: `std/preact1001` is packaged; the ending `.resnet` may be left out there.

    A file that stands at `std/NAME.resnet` from here is meant by that: globs and other tools name it so.
    """
    text = os.fspath(spec)
    if not text.startswith(STANDARD) or (text.endswith(".resnet") and Path(text).is_file()):
        return Path(text)
    name = text.removeprefix(STANDARD)
    path = standard_folder() / (name if name.endswith(".resnet") else f"{name}.resnet")
    if not path.resolve().is_relative_to(standard_folder().resolve()) or not path.is_file():
        known = sorted(file.stem for file in standard_folder().glob("*.resnet"))
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        raise fail("unreadable", f"there is no packaged spec {text}", help=hint)
    return path


def choose_network(module: Module, name: str | None) -> NetworkDeclaration:
    """The network of that name; without a name the file's only one. Raises SpecError."""
    networks = {declared.name: declared for declared in module.networks()}
    where = module.file.source.name
    if not networks:
        raise fail("no-network", f"{where} declares no network")
    if name is not None:
        if name not in networks:
            hint = did_you_mean(name, networks)
            raise fail(
                "unknown-network", f"{where} has no network `{name}`", help=hint or f"it has {_listed(networks)}"
            )
        return networks[name]
    if len(networks) > 1:
        raise fail("several-networks", f"{where} declares {len(networks)} networks", help=f"choose one with `--network NAME`: {_listed(networks)}")  # fmt: skip
    return next(iter(networks.values()))


def build(
    spec: str | os.PathLike[str] | Source,
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    options: Options = Options(),
) -> Network:
    """The network of a spec, every unit instantiated and every shape known.

    spec: a path (a `.json` file is read as a document), `std/NAME`, a text or a Source. network: which one, where the
    spec has several. parameters: the network's parameters by name. Raises SpecError.
    """
    if _is_document(spec):
        if network is not None or parameters:
            raise fail(
                "no-parameters", "a JSON document holds one network, without parameters: drop `--network` and `-p`"
            )
        return from_json(_read_document(spec), max_units=options.max_units)
    module = open_spec(spec, options)
    declaration = choose_network(module, network)
    return lower_network(declaration, _arguments(module, declaration, parameters or {}, options), options.max_units)


def parameter_names(
    spec: str | os.PathLike[str] | Source, network: str | None = None, options: Options = Options()
) -> tuple[str, ...]:
    """The parameters that `build` takes for this network; a JSON document has none. Raises SpecError."""
    if _is_document(spec):
        return ()
    return tuple(parameters_of(choose_network(open_spec(spec, options), network)))


@dataclass(frozen=True, slots=True)
class Origin:
    """What a network was made of.

    sha256: of the text of the spec or document, a byte order mark left out. Where it imports others: of these hashes as
    `sha256sum | cut -c1-64` writes them, a line each: its own, and those of all imported files, each once, in the order in
    which they are imported first. parameters: those that were given, as expressions.
    """

    sha256: str
    parameters: Mapping[str, str]


def origin(
    spec: str | os.PathLike[str] | Source,
    parameters: Mapping[str, Parameter] | None = None,
    options: Options = Options(),
) -> Origin:
    """What `build` makes a network of, for the records. Raises SpecError if the spec cannot be read."""
    expressions = {name: _expression_text(name, value).strip() for name, value in (parameters or {}).items()}
    if _is_document(spec):
        return Origin(_sha256(_read_document(spec).text), expressions)
    source, path = locate(spec)
    texts = [source.text]
    if "import" in source.text:  # reading all of a long text again would cost as much as building it
        texts = [module.file.source.text for module in _modules(load_program(source, path, options.root), {})]
    hashes = [_sha256(text) for text in texts]
    return Origin(hashes[0] if len(hashes) == 1 else _sha256("".join(f"{each}\n" for each in hashes)), expressions)


def _modules(module: Module, found: dict[Module, None]) -> dict[Module, None]:
    """The module and all that it imports, each once, in the order of the imports."""
    if module not in found:
        found[module] = None
        for imported in module.imports:
            _modules(imported, found)
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check(spec: str | os.PathLike[str] | Source, options: Options = Options()) -> list[Diagnostic]:
    """What is wrong with a spec: in its text, its names, and each of its networks that needs no parameters."""
    if _is_document(spec):
        try:
            from_json(_read_document(spec), max_units=options.max_units)
        except SpecError as error:
            return list(error.diagnostics)
        return []
    try:
        module = open_spec(spec, options)
    except SpecError as error:
        return list(error.diagnostics)
    found: dict[tuple[str, str, int], Diagnostic] = {}
    for declaration in module.networks():
        try:
            if any(parameter.default is None for parameter in parameters_of(declaration).values()):
                continue
            lower_network(declaration, {}, options.max_units)
        except SpecError as error:
            for diagnostic in error.diagnostics:
                start = diagnostic.span.start if diagnostic.span else -1
                found.setdefault((diagnostic.code, diagnostic.message, start), diagnostic)
    return list(found.values())


def _arguments(
    module: Module, declaration: NetworkDeclaration, parameters: Mapping[str, Parameter], options: Options
) -> dict[str, Bound]:
    known = parameters_of(declaration)
    bound: dict[str, Bound] = {}
    for name, parameter in parameters.items():
        source = Source(f"-p {name}", _expression_text(name, parameter))
        whole = Span(source, 0, len(source.text))
        if name not in known:
            hint = did_you_mean(name, known)
            message = f"{declaration.name} has no parameter `{name}`"
            raise fail(
                "unknown-argument", message, whole, label=hint, help=f"it has {', '.join(known)}" if known else ""
            )
        expression = parse_expression(source)
        diagnostics = check_expression(module, expression)
        if diagnostics:
            raise SpecError(diagnostics)
        value = Evaluator(options.max_units).evaluate(expression, module.scope)
        bound[name] = Bound(name, value, expression.span)
    return bound


def _expression_text(name: str, parameter: object) -> str:
    match parameter:
        case str():
            return parameter
        case bool():
            return "true" if parameter else "false"
        case Integral():  # numpy's integers too
            return str(int(parameter))
        case Real():
            return repr(float(parameter))
        case tuple() | list() if all(isinstance(part, Integral) for part in cast("Sequence[object]", parameter)):
            return "x".join(str(int(part)) for part in cast("Sequence[int]", parameter))
        case _:
            help = "a text is an expression, a tuple of whole numbers a size"
            raise fail("wrong-argument", f"{name} cannot be {parameter!r}", help=help)


def _is_document(spec: str | os.PathLike[str] | Source) -> bool:
    if isinstance(spec, Source):
        return spec.text.lstrip().startswith("{")
    return "\n" not in os.fspath(spec) and os.fspath(spec).endswith(".json")


def _read_document(spec: str | os.PathLike[str] | Source) -> Source:
    if isinstance(spec, Source):
        return spec
    path = Path(os.fspath(spec))
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise fail("source-too-large", f"{path} has more than {MAX_DOCUMENT_BYTES:,} bytes")
        return Source(str(path), path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail("unreadable", f"{path} cannot be read: {reason}") from None


def _listed(networks: Mapping[str, object]) -> str:
    return ", ".join(networks)
