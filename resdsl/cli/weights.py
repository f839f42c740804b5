"""`resdsl weights`."""

from __future__ import annotations

from pathlib import Path

import click

from resdsl import api
from resdsl.cli.options import library_options, network_options, read_parameters, read_spec, reporting
from resdsl.weights.conventions import LIBRARIES
from resdsl.weights.foreign import convert_weights
from resdsl.weights.safetensors import write_safetensors
from resdsl.writing import is_same_file, write


@click.group("weights", no_args_is_help=True)
def command() -> None:
    """Convert weights of other libraries.

    \b
    resdsl weights convert resnet18.pth --from torchvision --spec std/imagenet_basic --network resnet18 -o resnet18.safetensors
    """


@command.command("convert", no_args_is_help=True)
@click.argument("file")
@click.option("--from", "library", type=click.Choice(list(LIBRARIES)), required=True, help="Whose names the file has.")
@click.option("--spec", required=True, metavar="SPEC", help="A file, std/NAME for a packaged spec, or - for standard input.")  # fmt: skip
@network_options
@click.option("-o", "--output", "out", required=True, metavar="OUT", help="The .safetensors file to write, - for standard output.")  # fmt: skip
def convert(
    file: str,
    library: str,
    spec: str,
    network: str | None,
    parameters: tuple[str, ...],
    root: Path | None,
    max_units: int,
    out: str,
) -> None:
    """Write the weights in FILE under the names of a network of SPEC.

    FILE is a .safetensors file or a PyTorch checkpoint with a state_dict of a model of the library. Every tensor of the
    network must be in it, and it must hold no other. Where the network is known to compute something else with the same
    tensors, as with another stride, it is refused too. The command says what did not match, writes nothing and exits
    with 1.

    \b
    resdsl weights convert resnet50.pth --from torchvision --spec std/imagenet --network resnet50 \\
        -p stride_3x3=true -o resnet50.safetensors
    resdsl verify std/imagenet --network resnet50 -p stride_3x3=true --weights resnet50.safetensors
    """
    if out != "-" and not out.endswith(".safetensors"):
        raise click.UsageError(
            f"-o {out}: weights are written as safetensors; name a file that ends in .safetensors, or -"
        )
    if is_same_file(out, file):
        raise click.UsageError(f"-o {out}: this is the file that is read, which would be replaced")
    with reporting(all_notes=True):
        options = library_options(root, max_units)
        built = api.build(read_spec(spec), network, read_parameters(parameters), options=options)
        weights, conversion = convert_weights(built, file, library)
        write(write_safetensors(weights), out)
    where = "standard output" if out == "-" else out
    names = conversion.convention.name
    lines = [f"{where}: the {len(weights)} tensors of {built.name}, from {file} with the names of {names}"]
    unknown = [words for check in conversion.convention.unknown if (words := check(built))]
    lines += [f"  the tensors do not show it: {words}" for words in unknown]
    click.echo("\n".join(lines), err=True)
