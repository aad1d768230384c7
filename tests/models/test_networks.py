"""The networks that the bundled models build."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_specs import CNN, IMAGES, MLP, OF_MODELS, TABLES, batch, points, specs
from torch import nn

from models.mlp import embedding_width
from search.space import Config
from search.task import ModelModule, Spec

EVERY = pytest.mark.parametrize(("model", "spec"), OF_MODELS.values(), ids=OF_MODELS)
MIXED = specs(TABLES)["mixed-five"]


def built(model: ModelModule, spec: Spec, config: Config) -> nn.Module:
    assert model.build is not None
    torch.manual_seed(0)
    return model.build(config, spec)


def default(model: ModelModule, spec: Spec, **changes: Any) -> Config:
    return {**model.defaults(spec)[-1].config, **changes}


@EVERY
@settings(max_examples=8)
@given(data=st.data())
def test_any_configuration_builds_a_network_that_trains(
    model: ModelModule, spec: Spec, data: st.DataObject
) -> None:
    config = data.draw(points(model.space(spec)))
    network = built(model, spec, config)
    outputs = network.train()(*batch(spec, 16))
    assert outputs.shape == (16, spec.num_outputs)
    assert outputs.dtype == torch.float32
    outputs.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    with torch.no_grad():
        inputs = batch(spec, 5)
        first, again = network.eval()(*inputs), network(*inputs)
    assert first.shape == (5, spec.num_outputs)
    assert torch.isfinite(first).all()
    assert torch.equal(first, again), "evaluation has no noise"


@EVERY
def test_the_published_defaults_build(model: ModelModule, spec: Spec) -> None:
    for published in model.defaults(spec):
        network = built(model, spec, published.config).eval()
        assert network(*batch(spec, 3)).shape == (3, spec.num_outputs)


@EVERY
def test_the_outputs_are_linear(model: ModelModule, spec: Spec) -> None:
    network = built(model, spec, default(model, spec)).eval()
    layers = list(network.modules())
    assert isinstance(layers[-1], nn.Linear)
    with torch.no_grad():
        inputs = batch(spec, 200)
        outputs = network(*inputs)
        centred = outputs - outputs.mean()
        # Neither cut off at 0 nor squeezed: twice the last layer is twice the outputs.
        layers[-1].weight *= 2
        layers[-1].bias *= 2
        torch.testing.assert_close(network(*inputs), 2 * outputs)
        layers[-1].bias -= 2 * outputs.mean()
        shifted = network(*inputs)
    torch.testing.assert_close(shifted, 2 * centred, rtol=1e-3, atol=1e-4)
    assert (shifted < 0).any()
    assert (shifted > 0).any()


@pytest.mark.parametrize("model", [MLP, CNN])
def test_one_seed_builds_one_network(model: ModelModule) -> None:
    spec = specs(IMAGES)["grey-five"]
    first, again = (built(model, spec, default(model, spec)).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_every_input_of_a_table_counts() -> None:
    network = built(MLP, MIXED, default(MLP, MIXED, normalization="none")).eval()
    numeric, codes = batch(MIXED, 4)
    with torch.no_grad():
        before = network(numeric, codes)
        for column in range(2):
            other = numeric.clone()
            other[:, column] += 1
            assert not torch.equal(network(other, codes), before)
            other = codes.clone()
            other[:, column] = (other[:, column] + 1) % MIXED.categories[column]
            assert not torch.equal(network(numeric, other), before)


def test_an_mlp_takes_images_and_tables_together() -> None:
    spec = Spec("classification", 3, 100, num_numeric=2, categories=(4,), image=(1, 4, 4))
    network = built(MLP, spec, default(MLP, spec))
    assert network(*batch(spec, 6)).shape == (6, 3)


def test_a_funnel_halves_its_units_and_stops_at_eight() -> None:
    config = default(MLP, MIXED, shape="funnel", num_layers=5, num_units=40)
    linear = [m for m in built(MLP, MIXED, config).modules() if isinstance(m, nn.Linear)]
    assert [layer.out_features for layer in linear] == [40, 20, 10, 8, 8, 5]


@pytest.mark.parametrize("num_layers", [1, 3])
def test_an_mlp_has_the_layers_that_were_asked_for(num_layers: int) -> None:
    config = default(MLP, MIXED, num_layers=num_layers, num_units=16, dropout=0.3)
    modules = list(built(MLP, MIXED, config).modules())
    assert sum(isinstance(m, nn.Linear) for m in modules) == num_layers + 1
    assert [m.p for m in modules if isinstance(m, nn.Dropout)] == [0.3] * num_layers


@pytest.mark.parametrize(("num_blocks", "convs"), [(1, 1), (2, 2), (3, 1)])
def test_a_cnn_doubles_its_channels_from_block_to_block(num_blocks: int, convs: int) -> None:
    spec = specs(IMAGES)["grey-five"]
    config = default(CNN, spec, num_blocks=num_blocks, convs_per_block=convs, num_channels=8)
    kernels = [m for m in built(CNN, spec, config).modules() if isinstance(m, nn.Conv2d)]
    assert [k.out_channels for k in kernels] == [
        8 * 2**block for block in range(num_blocks) for _ in range(convs)
    ]


@pytest.mark.parametrize(
    ("model", "name", "kind"),
    [
        (MLP, "batch", nn.BatchNorm1d),
        (MLP, "layer", nn.LayerNorm),
        (CNN, "batch", nn.BatchNorm2d),
        (CNN, "layer", nn.GroupNorm),
    ],
)
def test_normalisation_is_a_choice(model: ModelModule, name: str, kind: type) -> None:
    spec = specs(IMAGES)["grey-five"]
    with_it, without = (
        built(model, spec, default(model, spec, normalization=each)) for each in (name, "none")
    )
    assert any(isinstance(m, kind) for m in with_it.modules())
    assert not any(isinstance(m, kind) for m in without.modules())


@pytest.mark.parametrize(
    ("model", "changes"), [(MLP, {"input_noise": 0.4}), (CNN, {"flip": "horizontal"})]
)
def test_what_is_added_while_training_is_off_in_evaluation(
    model: ModelModule, changes: dict[str, Any]
) -> None:
    spec = specs(IMAGES)["grey-five"]
    config = default(model, spec, normalization="none", dropout=0.0)
    plain = built(model, spec, config)
    noisy = built(model, spec, {**config, **changes})
    inputs = batch(spec, 16)
    with torch.no_grad():
        assert not torch.equal(noisy.train()(*inputs), plain.train()(*inputs))
        assert torch.equal(noisy.eval()(*inputs), plain.eval()(*inputs))


def test_a_flip_mirrors_some_images_and_not_others() -> None:
    spec = specs(IMAGES)["grey-five"]
    config = default(CNN, spec, normalization="none", dropout=0.0, flip="horizontal")
    network = built(CNN, spec, config)
    (image,) = batch(spec, 64)
    with torch.no_grad():
        seen, plain = network.train()(image), network.eval()(image)
        mirrored = network(image.flip(3))
    is_plain = torch.isclose(seen, plain, atol=1e-5).all(1)
    is_mirrored = torch.isclose(seen, mirrored, atol=1e-5).all(1)
    assert torch.all(is_plain ^ is_mirrored)
    assert 16 < int(is_mirrored.sum()) < 48


@given(st.integers(1, 1001))
def test_an_embedding_is_narrower_than_its_codes_and_never_nothing(cardinality: int) -> None:
    width = embedding_width(cardinality)
    assert 1 <= width <= 50
    assert width <= embedding_width(cardinality + 1)
