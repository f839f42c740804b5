"""A curvature for readers: rows of a table, and a document for programs."""

from __future__ import annotations

from dataclasses import asdict

from resdsl.analysis.hessian.interior import Between, Estimate, Interior
from resdsl.analysis.hessian.result import Curvature, Method, Prediction
from resdsl.analysis.hessian.spectrum import PERCENTILE, Spectrum
from resdsl.analysis.report.document import FORM, Json
from resdsl.linter.words import counted

HEADINGS = ("quantity", "measured", "predicted")
UNKNOWN = "–"
TENTH = f"{PERCENTILE}th percentile"
CONDITION = f"largest / {TENTH}"
INDEX = "share below 0"


def heading(curvature: Curvature) -> str:
    """What was measured, in a line."""
    method = (
        "all eigenvalues"
        if curvature.method is Method.EXACT
        else "the ends of the spectrum and estimates between, by Lanczos"
    )
    where = f"{counted(curvature.samples, 'sample')} of {curvature.data}, seed {curvature.seed}"
    return f"{curvature.network}: {counted(curvature.parameters, 'parameter')}, weights {curvature.weights}, {where}; {method}"


def rows(curvature: Curvature) -> list[tuple[str, str, str]]:
    """Under HEADINGS. – for what does not exist or is not known; the remarks say why. Estimates are `about` so much ± their error, or
    from here to there."""
    predicted = curvature.prediction
    theory = None if predicted is None else predicted.at_zero
    found = [("loss", _number(curvature.loss), _number(None if theory is None else theory.loss))]
    norm = None if theory is None else theory.gradient_norm
    found.append(("gradient norm", _number(curvature.gradient_norm), _number(norm)))
    measured = _cells(curvature.spectrum) | _estimated(curvature.estimates)
    beside = _cells(None if predicted is None else predicted.spectrum)
    return found + [(name, measured[name], beside[name]) for name in measured]


def predicted_for(curvature: Curvature) -> str:
    """What the column of predictions speaks of; empty where there is none."""
    match curvature.prediction:
        case None:
            return ""
        case Prediction(here=True):
            return "Theorem 2 of Li et al. 2016"
        case Prediction():
            return "Theorem 2 of Li et al. 2016, for zero weights"


def document(curvature: Curvature) -> dict[str, Json]:
    """For JSON; null for what does not exist or is not known."""
    return {
        "form": FORM,
        "kind": "curvature",
        "network": curvature.network,
        "parameters": curvature.parameters,
        "samples": curvature.samples,
        "data": curvature.data,
        "weights": curvature.weights,
        "seed": curvature.seed,
        "method": curvature.method.value,
        "loss": curvature.loss,
        "gradient_norm": curvature.gradient_norm,
        "spectrum": asdict(curvature.spectrum),
        "estimates": None if curvature.estimates is None else asdict(curvature.estimates),
        "eigenvalues": list(curvature.eigenvalues.tolist()),
        "prediction": None if curvature.prediction is None else _prediction(curvature.prediction),
        "remarks": list(curvature.remarks),
    }


def _prediction(prediction: Prediction) -> Json:
    found = prediction.at_zero
    loss, gradient, hessian = found.orders
    return {
        "here": prediction.here,
        "n": found.kind.n,
        "units": found.kind.units,
        "width": found.kind.width,
        "pre": found.kind.pre.value,
        "mid": found.kind.mid.value,
        "post": found.kind.post.value,
        "slope": found.slope,
        "singular_values": list(found.singular_values.tolist()),
        "rank": found.rank,
        "loss": found.loss,
        "gradient_norm": found.gradient_norm,
        "orders": {"loss": loss, "gradient": gradient, "hessian": hessian},
        "spectrum": None if prediction.spectrum is None else asdict(prediction.spectrum),
    }


def _cells(spectrum: Spectrum | None) -> dict[str, str]:
    names = ("largest |eigenvalue|", TENTH, "smallest |eigenvalue|", CONDITION)
    names += ("largest / smallest", INDEX, "eigenvalues that are 0")
    if spectrum is None:
        return dict.fromkeys(names, UNKNOWN)
    values = (spectrum.largest, spectrum.percentile10, spectrum.smallest, spectrum.condition, spectrum.exact_condition)
    return dict(zip(names, map(_number, (*values, spectrum.index, spectrum.zeros)), strict=True))


def _estimated(found: Interior | None) -> dict[str, str]:
    if found is None:
        return {}
    return {TENTH: _between(found.percentile10), CONDITION: _between(found.condition), INDEX: _about(found.index)}


def _about(estimate: Estimate | None) -> str:
    return UNKNOWN if estimate is None else f"about {estimate.value:.4g} ± {estimate.error:.1g}"


def _between(found: Between | None) -> str:
    if found is None:
        return UNKNOWN
    low, high = f"{found.low:.4g}", f"{found.high:.4g}"
    return f"about {low}" if low == high else f"about {low} to {high}"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.5g}"
