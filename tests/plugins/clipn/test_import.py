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
from clipvet.plugins.clipn._import import import_checkpoint, import_no_tower
from clipvet.plugins.clipn._no_tower import NoTower


def test_text_features_are_the_reference(  # noqa: PLR0917 - fixtures
    bundle: Any, runtime: Any, checkpoint: Path, prompts: list[str], golden: Any, tmp_path: Path
) -> None:
    tower = import_checkpoint(checkpoint, bundle, out=tmp_path / "no", precision="fp32")
    np.testing.assert_allclose(tower.encode_text(prompts), golden["tiny_text_no"], atol=1e-5)
    np.testing.assert_allclose(runtime.encode_text(prompts), golden["tiny_text_yes"], atol=1e-5)
    assert tower.prompt_kind == "learned"
    assert tower.facts["prompts"] == 16
    assert tower.origin.startswith("no-tower with learned prompts imported from epoch_10.pt ")


@pytest.mark.parametrize("form", ["flat", "plain", "half", "fp16 bundle"])
def test_forms_of_a_checkpoint(  # noqa: PLR0917 - fixtures
    form: str,
    tiny: Any,
    bundle: Any,
    checkpoint_content: Any,
    prompts: list[str],
    golden: Any,
    tmp_path: Path,
) -> None:
    content = checkpoint_content
    if form == "half":
        content = {name: value.half() for name, value in content.items()}
    if form == "fp16 bundle":
        bundle = tiny.tiny_bundle(
            tmp_path / "b", precision="fp16", tokenizer=tiny.openai_tokenizer()
        )
    path = tmp_path / "c.pt"
    torch.save(content if form == "flat" else {"state_dict": content, "epoch": 3}, path)
    tower = import_checkpoint(path, bundle, out=tmp_path / "no", precision="fp32")
    tolerance = 5e-3 if form == "half" else 1e-5
    np.testing.assert_allclose(tower.encode_text(prompts), golden["tiny_text_no"], atol=tolerance)


def test_without_learned_prompts_it_is_the_hand_crafted_variant(
    bundle: Any, checkpoint_content: Any, prompts: list[str], golden: Any, tmp_path: Path
) -> None:
    torch.save({k: v for k, v in checkpoint_content.items() if k != "prompt_no"}, tmp_path / "c.pt")
    tower = import_checkpoint(tmp_path / "c.pt", bundle, out=tmp_path / "no", precision="fp32")
    assert tower.prompt_kind == "hand-crafted"
    assert "with hand-crafted prompts imported" in tower.origin
    assert np.abs(tower.encode_text(prompts) - golden["tiny_text_no"]).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_projection_no": None}, "lacks text_projection_no"),
        ({"transformer_no.resblocks.2.mlp.c_fc.bias": None}, r"lacks transformer_no\.resblocks\.2"),
        ({"positional_embedding": None}, "lacks positional_embedding"),
        ({"prompt_no": torch.ones(16, 76, 64)}, r"prompt_no has shape \[16, 76, 64\]"),
        ({"prompt_no": torch.ones(77, 64)}, r"prompt_no has shape \[77, 64\]"),
        ({"ln_final_no.bias": torch.full((64,), torch.nan)}, "ln_final_no.bias is not finite"),
        ({"ln_final_no.bias": [1.0]}, "ln_final_no.bias is no tensor"),
        ({"ln_final_no.bias": torch.ones(63)}, "another model than bundle tiny-gelu"),
        ({"text_projection": torch.ones(64, 64)}, "another model than bundle .*: text_projection"),
        ({"visual.proj": torch.ones(96, 64)}, r"another model than bundle .*: visual\.proj"),
    ],
)
def test_what_is_no_checkpoint_of_this_model(
    bundle: Any, checkpoint_content: Any, change: Any, message: str, tmp_path: Path
) -> None:
    content = {**checkpoint_content, **change}
    torch.save({k: v for k, v in content.items() if v is not None}, tmp_path / "c.pt")
    with pytest.raises(UsageError, match=message):
        import_checkpoint(tmp_path / "c.pt", bundle, out=tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_another_bundle(checkpoint: Path, tmp_path: Path) -> None:
    mini = find_bundle(None, Host.load().bundles)
    with pytest.raises(UsageError, match=r"for this model: it lacks transformer\.resblocks\.3"):
        import_checkpoint(checkpoint, mini, out=tmp_path / "no")


class Hostile:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> Any:
        return Path.touch, (self.flag,)


def test_a_pickle_is_never_executed(
    bundle: Any, checkpoint: Path, checkpoint_content: Any, tmp_path: Path
) -> None:
    flag = tmp_path / "executed"
    torch.save({"state_dict": checkpoint_content, "extra": Hostile(flag)}, checkpoint)
    with pytest.raises(UsageError, match="executes no pickle"):
        import_checkpoint(checkpoint, bundle, out=tmp_path / "no")
    checkpoint.write_bytes(pickle.dumps(Hostile(flag)))
    with pytest.raises(UsageError, match="executes no pickle"):
        import_checkpoint(checkpoint, bundle, out=tmp_path / "no")
    assert not flag.exists()


def test_files_that_are_none(bundle: Any, checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not a file of torch" * 10):
        checkpoint.write_bytes(content)
        with pytest.raises(UsageError) as caught:
            import_checkpoint(checkpoint, bundle, out=tmp_path / "no")
        assert "\n" not in str(caught.value)
    torch.save(torch.ones(3), checkpoint)
    with pytest.raises(UsageError, match="holds a Tensor, not a table"):
        import_checkpoint(checkpoint, bundle, out=tmp_path / "no")
    with pytest.raises(UsageError, match="is not a file"):
        import_checkpoint(tmp_path / "absent.pt", bundle, out=tmp_path / "no")


def test_the_command(
    bundle: Any, checkpoint: Path, prompts: list[str], golden: Any, tmp_path: Path
) -> None:
    app = Typer()
    app.command()(import_no_tower)
    out = tmp_path / "artefact"
    arguments = [str(checkpoint), "--bundle", str(bundle.folder), "--out", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--precision", "fp32"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "for bundle tiny-gelu" in done.output
    assert f"--artefact clipn={out}" in done.output
    tower = NoTower.load(out)
    np.testing.assert_allclose(tower.encode_text(prompts), golden["tiny_text_no"], atol=1e-5)
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, UsageError)
    assert "choose another --out" in str(again.exception)
