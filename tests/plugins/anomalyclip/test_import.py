from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from clipvet.detectors import Host, UsageError
from clipvet.detectors.clip import find_bundle
from clipvet.plugins.anomalyclip._checkpoint import read_checkpoint
from clipvet.plugins.anomalyclip._import import differences, import_checkpoint, import_prompts
from clipvet.plugins.anomalyclip._learned import Learned


def test_text_features_are_the_reference(bundle: Any, checkpoint: Path, golden: Any) -> None:
    learned = import_checkpoint(checkpoint, bundle)
    np.testing.assert_allclose(learned.prototypes, golden["text_features"], atol=1e-5)
    assert learned.facts["context_tokens"] == 12
    assert learned.facts["deep_layers"] == 2
    assert learned.origin.startswith("prompts imported from epoch_15.pth ")
    assert learned.origin.endswith("; bundle not as published")
    assert "first value-value block 2 instead of 5" in learned.facts["differences"]
    assert "activation" not in " ".join(differences(bundle))


def test_deep_tokens_are_rounded_to_half_precision(
    bundle: Any, checkpoint: Path, checkpoint_content: Any
) -> None:
    expected = import_checkpoint(checkpoint, bundle).prototypes
    for name, value in checkpoint_content.items():
        if name.startswith("compound_prompts_text"):
            checkpoint_content[name] = value.half().float()
    torch.save({"prompt_learner": checkpoint_content}, checkpoint)
    np.testing.assert_array_equal(import_checkpoint(checkpoint, bundle).prototypes, expected)


@pytest.mark.parametrize("form", ["flat", "module", "half", "double", "bare"])
def test_forms_of_a_checkpoint(
    bundle: Any, checkpoint: Path, checkpoint_content: Any, golden: Any, form: str
) -> None:
    content = checkpoint_content
    if form == "module":
        content = {f"module.{name}": value for name, value in content.items()}
    if form in ("half", "double"):
        content = {
            name: getattr(value, form)() if value.is_floating_point() else value.long()
            for name, value in content.items()
        }
    if form == "bare":  # without what is constant or read by nothing
        content = {k: v for k, v in content.items() if k.startswith(("ctx", "compound_prompts_"))}
    torch.save(content if form == "flat" else {"prompt_learner": content}, checkpoint)
    got = import_checkpoint(checkpoint, bundle).prototypes
    tolerance = 1e-3 if form == "half" else 1e-5
    np.testing.assert_allclose(got, golden["text_features"], atol=tolerance)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ctx_neg": None}, "lacks ctx_neg"),
        ({"compound_prompts_text.0": None}, r"lacks compound_prompts_text\.0"),
        ({"compound_prompts_text.1": torch.ones(3, 64)}, "same shape"),
        ({"compound_prompts_text.1": torch.ones(4, 32)}, "same shape"),
        ({"ctx_pos": torch.ones(1, 1, 9, 64)}, "same shape"),
        ({"ctx_pos": torch.ones(2, 1, 12, 64)}, r"\[2, 1, 12, 64\]"),
        ({"ctx_pos": torch.full((1, 1, 12, 64), torch.nan)}, "not finite"),
        ({"ctx_pos": torch.ones(64)}, r"\[64\]"),
        ({"ctx_pos": [1.0]}, "ctx_pos is no tensor"),
        ({"visual_prompter": torch.ones(2)}, "has visual_prompter besides"),
    ],
)
def test_what_is_no_such_checkpoint(
    checkpoint: Path, checkpoint_content: Any, change: Any, message: str
) -> None:
    content = {**checkpoint_content, **change}
    torch.save({k: v for k, v in content.items() if v is not None}, checkpoint)
    with pytest.raises(UsageError, match=f"not a checkpoint of AnomalyCLIP: .*{message}"):
        read_checkpoint(checkpoint)


def test_a_checkpoint_of_another_model(
    bundle: Any, checkpoint: Path, checkpoint_content: Any
) -> None:
    suffix = checkpoint_content["token_suffix_neg"]
    torch.save({**checkpoint_content, "token_suffix_neg": suffix + 0.01}, checkpoint)
    with pytest.raises(UsageError, match="trained on another model than bundle tiny-quickgelu"):
        import_checkpoint(checkpoint, bundle)
    mini = find_bundle(None, Host.load().bundles)
    with pytest.raises(UsageError, match="another model than bundle mini"):
        import_checkpoint(checkpoint, mini)
    bare = {k: v for k, v in checkpoint_content.items() if k.startswith(("ctx", "compound_pro"))}
    torch.save(bare, checkpoint)
    with pytest.raises(UsageError, match="64 wide, the text tower of bundle mini is 128 wide"):
        import_checkpoint(checkpoint, mini)


def test_too_deep_or_too_long_for_the_text_tower(
    bundle: Any, checkpoint: Path, checkpoint_content: Any
) -> None:
    deeper = {f"compound_prompts_text.{i}": torch.ones(4, 64) for i in range(3)}
    torch.save({**checkpoint_content, **deeper}, checkpoint)
    with pytest.raises(UsageError, match=r"deep tokens for 3 text blocks, bundle .* can take 2"):
        import_checkpoint(checkpoint, bundle)
    bare = {k: v for k, v in checkpoint_content.items() if k.startswith("compound_prompts_")}
    long = {f"ctx_{side}": torch.ones(1, 1, 74, 64) for side in ("pos", "neg")}
    torch.save({**bare, **long}, checkpoint)
    with pytest.raises(UsageError, match=r"74 context tokens and a name do not fit .* most 72"):
        import_checkpoint(checkpoint, bundle)


def test_a_closed_vocabulary_must_know_the_words(bundle: Any, checkpoint: Path) -> None:
    text = bundle.manifest.text.model_copy(update={"unknown": 13568})  # "damaged"
    closed = type(bundle)(bundle.folder, bundle.manifest.model_copy(update={"text": text}))
    with pytest.raises(UsageError, match=r"does not know all words of 'damaged object\.'"):
        import_checkpoint(checkpoint, closed)


class Hostile:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> Any:
        return Path.touch, (self.flag,)


def test_a_pickle_is_never_executed(
    checkpoint: Path, checkpoint_content: Any, tmp_path: Path
) -> None:
    flag = tmp_path / "executed"
    torch.save({"prompt_learner": checkpoint_content, "extra": Hostile(flag)}, checkpoint)
    with pytest.raises(UsageError, match="executes no pickle"):
        read_checkpoint(checkpoint)
    checkpoint.write_bytes(pickle.dumps(Hostile(flag)))
    with pytest.raises(UsageError, match="executes no pickle"):
        read_checkpoint(checkpoint)
    assert not flag.exists()


def test_files_that_are_none(checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not a file of torch" * 10):
        checkpoint.write_bytes(content)
        with pytest.raises(UsageError) as caught:
            read_checkpoint(checkpoint)
        assert "\n" not in str(caught.value)
    torch.save(torch.ones(3), checkpoint)
    with pytest.raises(UsageError, match="holds a Tensor, not a table"):
        read_checkpoint(checkpoint)
    with pytest.raises(UsageError, match="is not a file"):
        read_checkpoint(tmp_path / "absent.pth")


def test_the_command(bundle: Any, checkpoint: Path, golden: Any, tmp_path: Path) -> None:
    app = Typer()
    app.command()(import_prompts)
    out = tmp_path / "artefact"
    arguments = [str(checkpoint), "--bundle", str(bundle.folder), "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "for bundle tiny-quickgelu" in done.output
    assert "not as published: image size 96 instead of 518" in done.output
    np.testing.assert_allclose(Learned.load(out).prototypes, golden["text_features"], atol=1e-5)
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, UsageError)
    assert "choose another --out" in str(again.exception)
