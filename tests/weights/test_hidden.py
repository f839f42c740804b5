"""What no tensor shows: each check is silent for the library's version and speaks for another."""

from __future__ import annotations

import pytest

from resdsl.network.operators import BatchNorm, LayerNorm
from resdsl.spec import Parameter, build
from resdsl.weights import hidden
from resdsl.weights.hidden import Check
from tests.networks import SPECS

GAMMA: dict[str, Parameter] = {"lead": "scale(1.7139588594436646)", "last": "relu"}


@pytest.mark.parametrize(
    ("check", "file", "network", "theirs", "ours", "words"),
    [
        (hidden.strides_in_the_3x3, "imagenet", "resnet50", {"stride_3x3": True}, {}, "`-p stride_3x3=true`"),
        (hidden.strides_in_the_3x3, "resnet164", "preact164", {"stride_3x3": True}, {}, "first 1x1"),
        (hidden.shortcuts_read_the_input, "cifar", "preact20", {"first": "input"}, {}, "`-p first=input`"),
        (hidden.shortcuts_read_the_input, "cifar", "preact20", {"first": "input"}, {"tap": "activated"}, "a shortcut"),
        (hidden.multiplies_gamma_into_weights, "nf_resnet", "nf_resnet50", GAMMA, {"lead": "scale(1.7)"}, "lead"),
        (hidden.drop_paths_rescale, "stochastic_depth", "stochastic110", {"rescale": True}, {}, "`-p rescale=true`"),
        (hidden.pools_between_levels, "ror", "ror3_56", {"pooled": True}, {}, "`-p pooled=true`"),
        (hidden.multiplies_gamma_into_weights, "nf_resnet", "nf_resnet50", GAMMA, {}, "-p last=relu"),
        (hidden.filters_have_eps(1e-5), "nf_resnet", "nf_resnet50", {"eps": 1e-5}, {}, "eps 0, the library's 1e-05"),
        (
            hidden.norms_have_eps(BatchNorm, 1e-5),
            "wide_resnet",
            "wrn_16_4",
            {},
            {"norms": "bn(1e-3)"},
            "eps 0.001, the library's",
        ),
    ],
)
def test_checks(
    check: Check,
    file: str,
    network: str,
    theirs: dict[str, Parameter],
    ours: dict[str, Parameter],
    words: str,
) -> None:
    spec = SPECS / f"{file}.resnet"
    assert check(build(spec, network, theirs)) == ""
    assert words in check(build(spec, network, ours))


@pytest.mark.parametrize("network", ["resnet18", "preact18", "plain18"])
def test_strides_are_no_matter_without_bottlenecks(network: str) -> None:
    built = build(SPECS / "imagenet_basic.resnet", network)
    assert hidden.strides_in_the_3x3(built) == hidden.strides_in_one_of_both(built) == ""


def test_where_a_library_has_both_it_is_said_which_this_is() -> None:
    spec = SPECS / "imagenet.resnet"
    assert "strides in its first 1x1" in hidden.strides_in_one_of_both(build(spec, "resnet50"))
    assert "strides in its 3x3" in hidden.strides_in_one_of_both(build(spec, "resnet50", {"stride_3x3": True}))


def test_eps_of_layernorm() -> None:
    text = "resnet 1\nnetwork n { input 8 head layernorm(1e-5) }\n"
    assert hidden.norms_have_eps(LayerNorm, 1e-5)(build(text)) == ""
    assert "eps 1e-05, the library's 1e-06" in hidden.norms_have_eps(LayerNorm, 1e-6)(build(text))
