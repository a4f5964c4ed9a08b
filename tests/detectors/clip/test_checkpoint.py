"""Checkpoints in all their wrappings, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from clipvet.detectors.clip.export import read_checkpoint
from clipvet.detectors.errors import UsageError
from tests.detectors.clip.small_model import CONFIG, Tensors, as_tensors, small_model


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return as_tensors(small_model(seed=5))


def same(got: Mapping[str, NDArray[Any]], wanted: Tensors, atol: float = 0) -> None:
    assert set(got) == set(wanted)
    for name, value in wanted.items():
        assert got[name].dtype == np.float32
        np.testing.assert_allclose(got[name], value.numpy(), rtol=0, atol=atol, err_msg=name)


def test_safetensors(tensors: Tensors, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    same(read_checkpoint(tmp_path / "a.safetensors"), tensors)
    (tmp_path / "a.safetensors").rename(tmp_path / "named.bin")
    same(read_checkpoint(tmp_path / "named.bin"), tensors)


def test_a_plain_state_dict(tensors: Tensors, tmp_path: Path) -> None:
    torch.save(tensors, tmp_path / "a.pt")
    same(read_checkpoint(tmp_path / "a.pt"), tensors)
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    same(read_checkpoint(tmp_path / "old.pth"), tensors)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_a_training_checkpoint(tensors: Tensors, tmp_path: Path, prefix: str) -> None:
    wrapped = {f"{prefix}{name}": value for name, value in tensors.items()}
    torch.save(
        {"epoch": 3, "name": "run", "state_dict": wrapped, "optimizer": {"lr": 0.1}},
        tmp_path / "epoch_3.pt",
    )
    same(read_checkpoint(tmp_path / "epoch_3.pt"), tensors)


def test_a_custom_text_clip(tensors: Tensors, tmp_path: Path) -> None:
    model = open_clip.model.CustomTextCLIP(**CONFIG)
    inner = {
        name if name.startswith(("visual.", "logit_scale")) else f"text.{name}": value
        for name, value in tensors.items()
    }
    model.load_state_dict(inner, strict=True)
    torch.save(model.state_dict(), tmp_path / "custom.pt")
    same(read_checkpoint(tmp_path / "custom.pt"), tensors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_tensors(tensors: Tensors, tmp_path: Path, dtype: torch.dtype) -> None:
    half = {name: value.to(dtype) for name, value in tensors.items()}
    save_file(half, tmp_path / "half.safetensors")
    torch.save(half, tmp_path / "half.pt")
    wanted = {name: value.float() for name, value in half.items()}
    same(read_checkpoint(tmp_path / "half.safetensors"), wanted)
    same(read_checkpoint(tmp_path / "half.pt"), wanted)


def test_what_openai_adds_is_dropped(tensors: Tensors, tmp_path: Path) -> None:
    scalars = {name: torch.tensor(7) for name in ("input_resolution", "context_length",
                                                  "vocab_size")}  # fmt: skip
    torch.save({**tensors, **scalars, "logit_scale": tensors["logit_scale"].reshape(1)},
               tmp_path / "openai.pt")  # fmt: skip
    same(read_checkpoint(tmp_path / "openai.pt"), tensors)


class Trap:
    """Would write a file if it were unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> Any:
        return (open, (self.target, "w"))


@pytest.mark.parametrize("new_format", [True, False])
def test_a_pickle_is_not_executed(tensors: Tensors, tmp_path: Path, new_format: bool) -> None:
    trap = {"state_dict": tensors, "extra": Trap(tmp_path / "executed")}
    torch.save(trap, tmp_path / "evil.pt", _use_new_zipfile_serialization=new_format)
    with pytest.raises(UsageError, match="or is damaged, and clipvet executes no pickle"):
        read_checkpoint(tmp_path / "evil.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Trap(tmp_path / "executed")))
    with pytest.raises(UsageError, match=r"bare\.pt"):
        read_checkpoint(tmp_path / "bare.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_torchscript_archive_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "ViT-B-32.pt")
    with pytest.raises(UsageError, match="is a TorchScript archive, which is code"):
        read_checkpoint(tmp_path / "ViT-B-32.pt")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"garbage", "is not a readable safetensors file"),
        ("a.pt", b"garbage", r"a\.pt"),
        ("empty.pt", b"", r"empty\.pt"),
        ("a.safetensors", b"\x02\0\0\0\0\0\0\0{}", "holds no parameters"),
    ],
)
def test_files_that_are_no_checkpoints(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_checkpoint(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file of weights"):
        read_checkpoint(tmp_path / "nothing.pt")


def test_names_of_transformers_are_recognised(tmp_path: Path) -> None:
    save_file({"vision_model.embeddings.x": torch.ones(1)}, tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="uses the parameter names of transformers"):
        read_checkpoint(tmp_path / "m.safetensors")
