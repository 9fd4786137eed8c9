"""all-MiniLM-L6-v2 in JAX: the weights of the installed ONNX file, the upper layers of which can be trained."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import numpy_helper

LAYERS = 6
_HEADS = 12
_DROPOUT = 0.1
_MATRICES = ("query", "key", "value", "attention", "intermediate", "output")
_VECTORS = {
    "query_bias": "attention.self.query.bias",
    "key_bias": "attention.self.key.bias",
    "value_bias": "attention.self.value.bias",
    "attention_bias": "attention.output.dense.bias",
    "attention_norm": "attention.output.LayerNorm.weight",
    "attention_norm_bias": "attention.output.LayerNorm.bias",
    "intermediate_bias": "intermediate.dense.bias",
    "output_bias": "output.dense.bias",
    "output_norm": "output.LayerNorm.weight",
    "output_norm_bias": "output.LayerNorm.bias",
}

Tree = Mapping[str, Any]


class Stored:
    """The file: int8 weights, each with a float32 scale for a row or a column."""

    def __init__(self, path: Path) -> None:
        self._graph = onnx.load(str(path)).graph
        self._initial = {each.name: numpy_helper.to_array(each) for each in self._graph.initializer}
        self._makers = {output: node for node in self._graph.node for output in node.output}
        self.matrices = list(self._scaled("MatMul"))

    def weights(self) -> Tree:
        """Embeddings and layers, float32."""
        word, position = [jnp.asarray(self._value(*names)) for names in self._scaled("Gather")]
        return {
            "word": word,
            "position": position,
            "type": jnp.asarray(self._initial["inner.embeddings.token_type_embeddings.weight"][0]),
            "norm": jnp.asarray(self._initial["inner.embeddings.LayerNorm.weight"]),
            "norm_bias": jnp.asarray(self._initial["inner.embeddings.LayerNorm.bias"]),
            "layers": [self._layer(number) for number in range(LAYERS)],
        }

    def changed(self, number: int, layer: Tree) -> Iterator[tuple[str, Any]]:
        """The weights of a trained layer under the names that they have in the file, as they are kept there."""
        for name, (quantized, scale) in zip(_MATRICES, self._names(number), strict=True):
            weights = np.asarray(layer[name], np.float32)
            scales = np.abs(weights).max(axis=0, keepdims=True) / 127
            yield quantized, np.clip(np.round(weights / scales), -127, 127).astype(np.int8)
            yield scale, scales.astype(np.float32)
        for name, stored in _VECTORS.items():
            yield f"inner.encoder.layer.{number}.{stored}", np.asarray(layer[name], np.float32)

    def _layer(self, number: int) -> Tree:
        matrices = {
            name: jnp.asarray(self._value(*names)) for name, names in zip(_MATRICES, self._names(number), strict=True)
        }
        return matrices | {
            name: jnp.asarray(self._initial[f"inner.encoder.layer.{number}.{stored}"])
            for name, stored in _VECTORS.items()
        }

    def _names(self, number: int) -> list[tuple[str, str]]:
        return self.matrices[number * len(_MATRICES) : (number + 1) * len(_MATRICES)]

    def _value(self, quantized: str, scale: str) -> Any:
        return self._initial[quantized].astype(np.float32) * self._initial[scale]

    def _scaled(self, operation: str) -> Iterator[tuple[str, str]]:
        """The names of the int8 weights and of their scales that go into nodes of this kind, in the file's order."""
        for node in self._graph.node:
            for multiplied in (self._makers[each] for each in node.input if each in self._makers):
                if node.op_type != operation or multiplied.op_type != "Mul":
                    continue
                casts = [self._makers[each] for each in multiplied.input if each in self._makers]
                scales = [each for each in multiplied.input if each in self._initial]
                if scales and casts and casts[0].op_type == "Cast":
                    yield casts[0].input[0], scales[0]


def embed(weights: Tree, ids: Any) -> Any:
    """Token ids to the input of the first layer."""
    return _normed(
        weights["word"][ids] + weights["position"][: ids.shape[1]] + weights["type"],
        weights["norm"],
        weights["norm_bias"],
    )


def run_layer(layer: Tree, states: Any, mask: Any, key: Any = None) -> Any:
    """One layer; with `key` some of the states are dropped, as in training."""
    keys = (None, None, None) if key is None else jax.random.split(key, 3)
    rows, tokens, width = states.shape

    def heads(name: str) -> Any:
        projected = states @ layer[name] + layer[f"{name}_bias"]
        return projected.reshape(rows, tokens, _HEADS, width // _HEADS).transpose(0, 2, 1, 3)

    scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.sqrt(width // _HEADS)
    shares = drop(jax.nn.softmax(scores + (1 - mask[:, None, None, :]) * -1e9, axis=-1), keys[0])
    seen = (shares @ heads("value")).transpose(0, 2, 1, 3).reshape(rows, tokens, width)
    seen = drop(seen @ layer["attention"] + layer["attention_bias"], keys[1])
    states = _normed(states + seen, layer["attention_norm"], layer["attention_norm_bias"])
    inner = jax.nn.gelu(states @ layer["intermediate"] + layer["intermediate_bias"], approximate=False)
    inner = drop(inner @ layer["output"] + layer["output_bias"], keys[2])
    return _normed(states + inner, layer["output_norm"], layer["output_norm_bias"])


def drop(states: Any, key: Any) -> Any:
    """A tenth of the states at zero, the others scaled up; all of them without a key."""
    if key is None:
        return states
    return jnp.where(jax.random.bernoulli(key, 1 - _DROPOUT, states.shape), states / (1 - _DROPOUT), 0)


def _normed(states: Any, weight: Any, bias: Any) -> Any:
    mean = states.mean(axis=-1, keepdims=True)
    variance = ((states - mean) ** 2).mean(axis=-1, keepdims=True)
    return (states - mean) * jax.lax.rsqrt(variance + 1e-12) * weight + bias
