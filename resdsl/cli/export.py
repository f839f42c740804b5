"""`resdsl export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl.cli.engine_options import ENGINE_OPTIONS, engine_options, watching
from resdsl.cli.model_options import chosen_passes, pass_options, precision_option, refuse
from resdsl.cli.options import reporting
from resdsl.cli.train_options import DataFlags, data_options, device_option, opened_for, require_libraries
from resdsl.targets.endings import ENGINES_TEXT, is_engine
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.precision import Form, Precision
from resdsl.targets.table import TARGETS
from resdsl.targets.tensorrt.options import EngineOptions
from resdsl.writing import is_same_file

if TYPE_CHECKING:  # PyTorch comes with it
    from resdsl.train.export import Exported
    from resdsl.train.trained import Trained


@click.command("export", no_args_is_help=True)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--target", "-t", type=click.Choice([name for name, each in TARGETS.items() if each.has_weights]), default="onnx", show_default=True, help="What to write; trt needs a GPU.")  # fmt: skip
@click.option("-o", "--output", "out", metavar="OUT", help="File to write.  [default: NAME.onnx, NAME.engine]")
@click.option("--weights", default="best", show_default=True, metavar="best|last|FILE", help="Which weights of the run, or a file of them or a checkpoint.")  # fmt: skip
@click.option("--weights-out", metavar="FILE", help="Also the weights, a .safetensors file.")
@data_options
@pass_options
@precision_option
@click.option("--for", "form", type=click.Choice([each.value for each in Form]), default=Form.ORT_CPU.value, show_default=True, help="ONNX in int8: what will run it.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Compare run and model on N samples of the test set.  [default: all]")  # fmt: skip
@click.option("--provider", type=click.Choice([provider.value for provider in Provider]), default=Provider.CPU.value, show_default=True, help="ONNX: what the model is evaluated on.")  # fmt: skip
@device_option
@engine_options()
def command(
    run: Path,
    target: str,
    out: str | None,
    weights: str,
    weights_out: str | None,
    data: DataFlags,
    level: int | None,
    names: str | None,
    precision: str,
    form: str,
    limit: int | None,
    provider: str,
    device: str | None,
    engine: EngineOptions,
) -> None:
    """Write what the run in the folder RUN trained, as an ONNX model or a TensorRT engine.

    Every target is compared with the float64 reference on test inputs, and the model that is written gets the whole test set; where
    they differ by more than rounding explains, nothing is written. Int8 is calibrated on training inputs. The model's metadata hold the normalisation of
    its inputs and the names of its classes.

    \b
    resdsl export runs/try -o digits.onnx
    resdsl export runs/preact110 --data cifar10 --root data/ --precision int8 -o preact110.onnx
    resdsl export runs/preact110 --data cifar10 --root data/ --target trt --precision fp16 -o preact110.engine
    """
    chosen = TARGETS[target]
    if target == "trt":
        refuse(("form", "provider"), "an engine is always for TensorRT")
        if out is not None and not is_engine(out):
            raise click.UsageError(
                f"-o {out}: name a file that ends in {ENGINES_TEXT}, by which other commands know it"
            )
    else:
        refuse(ENGINE_OPTIONS, f"this is for `--target trt`, and {target} is no engine")
        if out is not None and not out.endswith(chosen.suffix):
            raise click.UsageError(
                f"-o {out}: name a file that ends in {chosen.suffix}, by which other commands know it"
            )
    if precision != Precision.INT8.value:
        refuse(("form",), "this is for `--precision int8`")
    if weights_out is not None and not weights_out.endswith(".safetensors"):
        raise click.UsageError(f"--weights-out {weights_out}: name a file that ends in .safetensors")
    for each in filter(None, (out, weights_out)):
        if is_same_file(each, weights):
            raise click.UsageError(f"{weights} is read, and {each} would replace it")
    with reporting():
        require_libraries()
        from resdsl.train.compute.devices import device_named
        from resdsl.train.export import Wish, export
        from resdsl.train.trained import notes_on, open_run

        place = device_named(device)
        trained = open_run(run, weights)
        opened = opened_for(trained, data)
        for note in notes_on(trained, opened):
            click.echo(note, err=True)
        with watching() as watcher:
            wish = Wish(
                target=chosen,
                precision=Precision(precision),
                passes=chosen_passes(level, names),
                form=Form(form),
                engine=engine,
                limit=limit,
                provider=Provider(provider),
                watcher=watcher,
            )
            path = out or f"{trained.network.name}{chosen.suffix}"
            exported = export(trained, opened, path, wish, weights_out=weights_out, device=place)
    click.echo("\n".join(_summary(exported, trained, weights_out)))


def _summary(exported: Exported, trained: Trained, weights_out: str | None) -> list[str]:
    written, report, run, model = exported.written, exported.report, exported.run, exported.model
    beside = f", {written.beside} beside it" if written.beside else ""
    ran = [check for check in report.checks if check.error is not None]
    worst = f"{len(ran)} comparisons with float64 on {report.batch} test inputs hold"
    skipped = [f"{check.target} ({check.note})" for check in report.checks if check.error is None]
    same = (
        "as many as in PyTorch" if model.wrong == run.wrong else f"{run.wrong:,} in PyTorch in fp32 ({run.error:.2%})"
    )
    return [
        f"{exported.path}: {trained}, {written.size:,} bytes{beside}",
        *(f"  {note}" for note in written.notes),
        f"  verified: {worst}{'; not run: ' + ', '.join(skipped) if skipped else ''}",
        f"  test set: {model.wrong:,} of {model.samples:,} wrong ({model.error:.2%}), {same}",
        "  its metadata hold the normalisation of its inputs and the names of its classes",
        *([f"  {weights_out}: the weights"] if weights_out else []),
    ]
