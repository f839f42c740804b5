"""Recipes as text: what is written is read, and what is no recipe is refused in words that say where."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, fields, replace
from enum import Enum
from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.recipe import (
    CIFAR,
    DIGITS,
    IMAGENET,
    RECIPES,
    Decay,
    Recipe,
    Unit,
    lasting,
    recipe_for,
    require_valid,
    with_length,
)
from resdsl.train.recipe_file import differences, open_recipe, read_recipe, shown, with_settings
from resdsl.train.schedule import schedule


def written(recipe: Recipe) -> str:
    """As TOML, whose numbers, texts and lists are JSON's."""
    plain = {name: value.value if isinstance(value, Enum) else value for name, value in asdict(recipe).items()}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in plain.items())


def refused(text: str, folder: Path) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_recipe(path)
    (diagnostic,) = caught.value.diagnostics
    return f"{diagnostic.message}; {diagnostic.help}".replace(str(path), "mine.toml")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_recipe_survives_its_file_and_its_settings(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(written(recipe))
    assert read_recipe(path) == recipe
    texts = {field.name: shown(getattr(recipe, field.name)) for field in fields(Recipe)}
    assert with_settings(DIGITS, texts) == recipe
    require_valid(recipe)


def test_what_a_file_leaves_out_is_as_in_its_base(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text('base = "cifar"\nrate = 1\nsteps = [1_000, 2_000]\ndecay = "weights"\nnesterov = true\n')
    found = open_recipe(str(path))
    assert found == replace(
        CIFAR,
        name="long",
        source="your own, based on cifar",
        rate=1.0,
        steps=(1000, 2000),
        decay=Decay.WEIGHTS,
        nesterov=True,
    )
    assert isinstance(found.rate, float)
    assert differences(found, CIFAR) == {
        "steps": "1000,2000",
        "rate": "1",
        "nesterov": "true",
        "decay": "weights",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('base = "cifra"', "`base` in mine.toml is 'cifra', and no recipe; did you mean `cifar`?"),
        ("base = 3", "`base` in mine.toml is 3, and no recipe; one of cifar, cifar-torch, imagenet, digits"),
        ("rate = 0.1", "mine.toml gives no batch, unit, length, steps; write batch and unit and length and steps"),
        ('base = "cifar"\nmomentun = 0.8', "mine.toml: a recipe has no field `momentun`; did you mean `momentum`?"),
        ('base = "cifar"\nbatch = "many"', "mine.toml: `batch` is 'many', and is to be a whole number"),
        ('base = "cifar"\nbatch = 1.5', "`batch` is 1.5, and is to be a whole number"),
        ('base = "cifar"\nbatch = true', "`batch` is True, and is to be a whole number"),
        ('base = "cifar"\nflip = 1', "`flip` is 1, and is to be true or false"),
        ('base = "cifar"\nrate = "0.1"', "`rate` is '0.1', and is to be a number"),
        ('base = "cifar"\nname = 3', "`name` is 3, and is to be a text"),
        ('base = "cifar"\nsteps = 32_000', "`steps` is 32000, and is to be a list of whole numbers"),
        ('base = "cifar"\nsteps = [1, 2.5]', "`steps` is [1, 2.5], and is to be a list of whole numbers"),
        ('base = "cifar"\ndecay = "weight"', "mine.toml: `decay` cannot be 'weight'; did you mean `weights`?"),
        ('base = "cifar"\nunit = 3', "`unit` is 3, and is to be one of iterations, epochs"),
        ("base =", "mine.toml cannot be read as a recipe: Invalid value"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, words: str, tmp_path: Path) -> None:
    assert words in refused(text, tmp_path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no file"):
        open_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xff")
    with pytest.raises(SpecError, match=r"bytes\.toml cannot be read as a recipe"):
        open_recipe(str(tmp_path / "bytes.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(SpecError, match="Is a directory"):
        open_recipe(str(tmp_path / "folder.toml"))
    with pytest.raises(SpecError, match=r"there is no recipe 'cifar11'[\s\S]*or a \.toml file"):
        open_recipe("cifar11")


RANGES = [
    ({"batch": 0}, "`batch` is 0, and a step takes one sample at least"),
    ({"length": 0}, "`length` is 0, and a run has one of its iterations at least"),
    ({"steps": (-1,)}, "`steps` has -1, and a run starts at 0"),
    ({"steps": (20, 10)}, "`steps` are 20, 10: write them in order"),
    ({"steps": (200, 401)}, "the step at 401 comes after the end, 400 iterations"),
    ({"rate": 0.0}, "`rate` is 0, and a rate is above 0"),
    ({"rate": float("inf")}, "`rate` is inf"),
    ({"rate": float("nan")}, "`rate` is nan"),
    ({"factor": 0.0}, "`factor` is 0: above 0, and 1 at most"),
    ({"factor": 2.0}, "`factor` is 2: above 0, and 1 at most"),
    ({"warmup": -1}, "`warmup` is -1: 0 for none"),
    (
        {"warmup": 400, "steps": (400, 500), "length": 600},
        "the step at 400 comes before the warm-up's end, at 400 iterations",
    ),
    ({"warmup_rate": 0.0}, "`warmup_rate` is 0, and a rate is above 0"),
    ({"momentum": 1.0}, "`momentum` is 1: from 0 on, and below 1"),
    ({"momentum": float("nan")}, "`momentum` is nan"),
    ({"momentum": 0.0, "nesterov": True}, "`nesterov` is a kind of momentum, and `momentum` is 0"),
    ({"weight_decay": -1e-4}, "`weight_decay` is -0.0001: 0 for none"),
    ({"pad": -1}, "`pad` is -1: 0 for none"),
]


@pytest.mark.parametrize(("changes", "words"), RANGES, ids=lambda value: str(value)[:40])
def test_numbers_out_of_range_are_refused_wherever_they_come_from(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    changed = replace(DIGITS, **changes)
    with pytest.raises(SpecError) as caught:
        require_valid(changed)
    assert words in caught.value.diagnostics[0].message
    lines = {**asdict(DIGITS), **changes, "unit": "iterations", "decay": "all", "normalise": "channel", "crop": "scale"}
    values = {name: str(value) if isinstance(value, float) else json.dumps(value) for name, value in lines.items()}
    text = "".join(f"{name} = {value}\n" for name, value in values.items())
    assert tomllib.loads(text)["batch"] == changed.batch
    assert words in refused(text, tmp_path)
    texts = {name: shown(getattr(changed, name)) for name in changes}
    with pytest.raises(SpecError) as caught:
        require_valid(with_settings(DIGITS, texts))
    assert words in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ratee": "1"}, "--set: a recipe has no field `ratee`; did you mean `rate`?"),
        ({"batch": "12.5"}, "--set: `batch` is '12.5', and is to be a whole number"),
        ({"rate": "fast"}, "--set: `rate` is 'fast', and is to be a number"),
        ({"nesterov": "1"}, "--set: `nesterov` is '1', and is to be true or false"),
        ({"steps": "1,x"}, "--set: `steps` is '1,x', and is to be whole numbers, as in 32000,48000"),
        ({"crop": "scaled"}, "--set: `crop` cannot be 'scaled'; did you mean `scale`?"),
    ],
)
def test_settings_that_no_recipe_has(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        with_settings(CIFAR, settings)
    (diagnostic,) = caught.value.diagnostics
    assert f"{diagnostic.message}; {diagnostic.help}".startswith(words)


def test_settings_of_steps() -> None:
    assert with_settings(CIFAR, {"steps": "[1_0, 20,]"}).steps == (10, 20)
    assert with_settings(CIFAR, {"steps": ""}).steps == ()


def test_another_length_moves_the_steps_in_proportion() -> None:
    shorter = with_length(CIFAR, 6_400)
    assert (shorter.length, shorter.steps, shorter.warmup) == (6_400, (3_200, 4_800), 40)
    assert with_length(CIFAR, 128_000).warmup == 400, "what warms up is not made longer"
    for length in (1, 2, 3, 7):
        require_valid(with_length(CIFAR, length))


@pytest.mark.parametrize("recipe", [CIFAR, IMAGENET], ids=lambda recipe: recipe.name)
def test_lengths_in_either_unit_are_the_same_run(recipe: Recipe) -> None:
    """Counted in epochs or in their iterations, every rate is the same."""
    samples, batch = 640, 64
    small = replace(recipe, batch=batch)
    epochs = schedule(lasting(small, 8, Unit.EPOCHS, samples // batch), samples)
    iterations = schedule(lasting(small, 80, Unit.ITERATIONS, samples // batch), samples)
    assert epochs.iterations == iterations.iterations == 80
    off = [at for at in range(80) if epochs.rate(at) != iterations.rate(at)]
    assert len(off) <= 10 * len(recipe.steps) / 2, "whole epochs are rounded to half an epoch at most"


def test_recipes_go_with_data() -> None:
    names = ("cifar10", "cifar100", "imagenet", "digits", "mine.npz")
    assert [recipe_for(name).name for name in names] == ["cifar", "cifar", "imagenet", "digits", "digits"]
