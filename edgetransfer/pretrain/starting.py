"""What a training begins with: a table of layers and random weights, or a dense backbone."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import onnx
import torch
from torch import Tensor

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import build, random_parameters, trainable_architecture
from edgetransfer.backbones.card import BackboneCard, override
from edgetransfer.errors import BackboneError, UsageError
from edgetransfer.finetune.distill import inner_tensors
from edgetransfer.finetune.initializers import WEIGHTED
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.running import choose_device, multiplies_bfloat16
from edgetransfer.graphs.freeze import freeze
from edgetransfer.graphs.graph import Graph, attribute
from edgetransfer.graphs.pruning import is_depthwise
from edgetransfer.graphs.sparsity import measure_sparsity
from edgetransfer.pretrain.network import HEAD_WEIGHT, Network, WeightedLayer
from edgetransfer.settings.pretrain import DEFAULT_ARCHITECTURE, Pretraining
from edgetransfer.settings.shared import CardOverrides
from edgetransfer.types import Preprocessing, default_resize

logger = logging.getLogger(__name__)

ALREADY_SPARSE = 0.3
USUAL_SIZE = 64
BY_CHANNEL = frozenset(["BatchNormalization", "Relu", "Clip", "MaxPool", "AveragePool"])
FROZEN = 2  # images: of one, a Reshape does not tell which of its numbers is the batch


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network before its first step.

    Parameters
    ----------
    body
        The graph up to the features, with an open batch.
    model
        The same, frozen.
    card
        What is known of it, its preprocessing above all.
    head
        Weights (K, D) and bias (K,) of its classifier; None without labels.
    identity
        Of graph and weights.
    parent
        The dense backbone, if it began with one.
    """

    body: onnx.ModelProto
    model: onnx.ModelProto
    card: BackboneCard
    head: tuple[Tensor, Tensor] | None
    identity: str
    parent: Backbone | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """What its input must look like."""
        return self.card.preprocessing

    @property
    def outputs(self) -> list[str]:
        """The tensors that a loss looks at: the features, and some inside where nothing else is."""
        features = self.model.graph.output[0].name
        return [features] if self.head is not None else [*inner_tensors(self.model), features]

    def network(self, settings: Pretraining) -> Network:
        """The network in torch."""
        device = choose_device(settings.device)
        fast = settings.precision == "auto" and multiplies_bfloat16(device)
        layers = weighted_layers(self.model)
        if self.head is not None:
            layers[HEAD_WEIGHT] = WeightedLayer(positions=1)
        names = list(layers)
        ends = {names[0], names[-1]} if settings.dense_ends else set()
        prunable = tuple(
            name
            for name, layer in layers.items()
            if name not in ends and not (settings.dense_ends and layer.depthwise)
        )
        if not prunable:
            raise UsageError("--dense-ends: the network has no other layer that could be pruned")
        return Network(
            OnnxModule(self.model, self.outputs),
            self.head,
            layers=layers,
            prunable=prunable,
            device=device,
            bfloat16=fast or settings.precision == "bfloat16",
        )


def start_of(settings: Pretraining, classes: tuple[str, ...]) -> Start:
    """What the settings begin with.

    Raises
    ------
    UsageError
        If there is no such architecture.
    BackboneError
        If the dense backbone cannot be trained, or is sparse.
    """
    if settings.dense is not None:
        return _from_dense(settings, classes)
    name = settings.architecture or DEFAULT_ARCHITECTURE
    table = trainable_architecture(name, settings.width)
    size = settings.size or USUAL_SIZE
    parameters = random_parameters(table, settings.seed, classes=len(classes))
    body = build(table, parameters, size=size, keep_batchnorm=True)
    head = tuple(
        torch.from_numpy(parameters[f"{table.classifier}.{part}"]) for part in ("weight", "bias")
    )
    return Start(
        body=body,
        model=freeze(body, batch_size=FROZEN, size=size),
        card=BackboneCard(
            name=settings.out.stem,
            preprocessing=Preprocessing(size=size, resize=default_resize(size)),
            features=body.graph.output[0].name,
        ),
        head=(head[0], head[1]),
        identity=f"{name} {settings.width:g} {size} {settings.seed}",
    )


def _from_dense(settings: Pretraining, classes: tuple[str, ...]) -> Start:
    assert settings.dense is not None
    backbone = Backbone.open(settings.dense)
    if settings.size is not None:
        changed = override(backbone.card, CardOverrides(size=settings.size))
        backbone = backbone.seeing(changed.preprocessing)
    if backbone.sparsity > ALREADY_SPARSE and settings.policy != "dense":
        raise BackboneError(
            f"{backbone.path}: is sparse already ({backbone.sparsity:.0%}): give --dense the dense "
            "network that it was made from"
        )
    model = backbone.frozen(FROZEN)
    if not any(node.op_type == "BatchNormalization" for node in model.graph.node):
        logger.warning(
            "%s has no batch-norm of its own: statistics cannot be tuned after pruning; "
            "`edgetransfer import` of its checkpoint keeps it",
            backbone.path.name,
        )
    return Start(
        body=backbone.body,
        model=model,
        card=backbone.card,
        head=_head(backbone, classes, settings) if settings.labels else None,
        identity=f"{backbone.identity} {backbone.preprocessing.fingerprint}",
        parent=backbone,
    )


def _head(
    backbone: Backbone, classes: tuple[str, ...], settings: Pretraining
) -> tuple[Tensor, Tensor]:
    """The backbone's own classifier where it has as many outputs as there are classes."""
    own = None if backbone.classifier is None else own_classifier(backbone.classifier)
    if own is not None and own[0].shape == (len(classes), backbone.dimension):
        logger.info("its classifier has an output for each of the %d classes: kept", len(classes))
        return own
    generator = torch.Generator().manual_seed(settings.seed)
    limit = backbone.dimension**-0.5
    shape = (len(classes), backbone.dimension)
    weight = (torch.rand(shape, generator=generator) * 2 - 1) * limit
    return weight, torch.zeros(len(classes))


def own_classifier(model: onnx.ModelProto) -> tuple[Tensor, Tensor] | None:
    """Weights (K, D) and bias (K,) of a classifier that is one fully connected layer."""
    graph = Graph(model)
    nodes = [node for node in model.graph.node if node.op_type in WEIGHTED]
    if len(nodes) != 1 or nodes[0].op_type == "Conv":
        return None
    weight = graph.array(nodes[0].input[1])
    if weight is None or weight.ndim != 2:
        return None
    if not (nodes[0].op_type == "Gemm" and attribute(nodes[0], "transB", 0)):
        weight = weight.T
    bias = None
    if len(nodes[0].input) > 2:
        bias = graph.array(nodes[0].input[2])
    for reader in graph.consumers.get(nodes[0].output[0], []):
        if reader.op_type == "Add" and bias is None:
            constant = next((n for n in reader.input if n in graph.initializers), None)
            bias = None if constant is None else graph.array(constant)
    flat = torch.zeros(len(weight)) if bias is None else torch.from_numpy(bias.copy()).reshape(-1)
    return torch.from_numpy(weight.copy()), flat


def weighted_layers(model: onnx.ModelProto) -> dict[str, WeightedLayer]:
    """The layers of a frozen graph by their weights, in the order in which they run."""
    graph = Graph(model)
    positions: dict[str, int] = {}
    for layer in measure_sparsity(model).layers:
        positions[layer.name] = positions.get(layer.name, 0) + layer.positions
    found: dict[str, WeightedLayer] = {}
    for node in model.graph.node:
        name = node.input[1] if node.op_type in WEIGHTED else ""
        weight = graph.array(name) if name in graph.initializers else None
        if weight is None or weight.ndim < 2 or name not in positions:
            continue
        outputs_first = node.op_type == "Conv" or bool(attribute(node, "transB", 0))
        readers = graph.consumers.get(node.output[0], [])
        norm = next((r for r in readers if r.op_type == "BatchNormalization"), None)
        found[name] = WeightedLayer(
            positions=positions[name],
            input_axis=1 if outputs_first else 0,
            output_axis=0 if outputs_first else 1,
            depthwise=node.op_type == "Conv" and is_depthwise(node, weight),
            norm=None if norm is None else (norm.input[1], norm.input[2]),
            is_inside=_is_inside(graph, node.output[0]),
        )
    return found


def _is_inside(graph: Graph, tensor: str) -> bool:
    """Whether a tensor, through what works on each channel by itself, is read by one layer."""
    while True:
        readers = graph.consumers.get(tensor, [])
        if len(readers) != 1:
            return False
        if readers[0].op_type == "Conv" and attribute(readers[0], "group", 1) == 1:
            return True
        if readers[0].op_type not in BY_CHANNEL:
            return False
        tensor = readers[0].output[0]
