"""From a spec to a trained network, and to a model in use. Needs `resdsl[train]`.

>>> import resdsl.train
>>> sorted(resdsl.train.RECIPES)
['cifar', 'cifar-torch', 'digits', 'imagenet']
"""

from resdsl.train.compute.execution import Compile, Execution, Precision, Wanted
from resdsl.train.compute.score import Score
from resdsl.train.data.dataset import Arrays, Dataset, Files, Listed, Split
from resdsl.train.data.open import DATASETS, open_data
from resdsl.train.evaluate import evaluate_model, evaluate_run
from resdsl.train.export import Exported, Wish, export
from resdsl.train.recipe import RECIPES, Crop, Decay, Normalise, Recipe, Unit, with_length
from resdsl.train.recipe_file import open_recipe, read_recipe
from resdsl.train.report.write import Report, write_report
from resdsl.train.run.events import Evaluated, Event, Logged, Noticed, Saved, Started
from resdsl.train.run.fit import Result, fit
from resdsl.train.run.loop import Intervals
from resdsl.train.trained import Trained, open_run

__all__ = [
    "DATASETS",
    "RECIPES",
    "Arrays",
    "Compile",
    "Crop",
    "Dataset",
    "Decay",
    "Evaluated",
    "Event",
    "Execution",
    "Exported",
    "Files",
    "Intervals",
    "Listed",
    "Logged",
    "Normalise",
    "Noticed",
    "Precision",
    "Recipe",
    "Report",
    "Result",
    "Saved",
    "Score",
    "Split",
    "Started",
    "Trained",
    "Unit",
    "Wanted",
    "Wish",
    "evaluate_model",
    "evaluate_run",
    "export",
    "fit",
    "open_data",
    "open_recipe",
    "open_run",
    "read_recipe",
    "with_length",
    "write_report",
]
