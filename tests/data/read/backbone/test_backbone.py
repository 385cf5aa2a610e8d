"""Images through a local transformers folder: the same features as by hand, each content once, and every refusal."""

from __future__ import annotations

import json
import logging
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.cases import cases

import longtail as lt
from longtail.data.read.backbone import Encoder, backbone, embed, pooling
from longtail.data.read.backbone.embedding import store_of
from longtail.data.read.images.decode import EncodedImages
from pictures import PIL, folder, put
from tiny_backbones import resnet, saved, transformers, vit, vit_config

MODULE = "longtail.data.read.backbone.embedding"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was reached for")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("backbones")
    return {
        "vit": vit(root / "vit"), "classifier": vit(root / "classifier", classifier=True),
        "resnet": resnet(root / "resnet"),
    }  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = folder(tmp_path / "photos", {"cat": 5, "dog": 3}, (20, 31))
    put(root / "dog" / "large.png", 77, (90, 41))
    return root


def every(photos: Path) -> EncodedImages:
    paths = sorted(photos.rglob("*.png"))
    return EncodedImages(paths, [path.name for path in paths])


def by_hand(photos: Path, where: Path, take: Callable[[Any], torch.Tensor], auto: Any = None) -> torch.Tensor:
    processor = transformers.AutoImageProcessor.from_pretrained(where, backend="pil")
    model = (auto or transformers.AutoModel).from_pretrained(where).eval()
    rows = []
    with torch.no_grad():
        for path in sorted(photos.rglob("*.png")):
            pixels = processor(images=PIL.open(path).convert("RGB"), return_tensors="pt")["pixel_values"]
            rows.append(take(model(pixels))[0])
    return torch.stack(rows)


class TestFeatures:
    def test_are_the_pooled_output_of_its_own_preprocessing(self, photos: Path, made: dict[str, Path]) -> None:
        found = embed(every(photos), backbone(made["vit"]))
        assert found.pooling == "pooler output"
        expected = by_hand(photos, made["vit"], lambda out: out.pooler_output)
        torch.testing.assert_close(found.features, expected, rtol=1e-4, atol=1e-5)
        assert float(expected.std(0).min()) > 1e-4  # images differ, so that the order counts

    def test_of_a_pooler_without_weights_are_the_class_token(self, photos: Path, made: dict[str, Path]) -> None:
        found = embed(every(photos), backbone(made["classifier"]))
        assert found.pooling == "class token"  # transformers would draw the pooler at random
        auto = transformers.AutoModelForImageClassification
        expected = by_hand(photos, made["classifier"], lambda o: o.hidden_states[-1], _with_states(auto))
        model = auto.from_pretrained(made["classifier"])
        expected = torch.stack([model.vit.layernorm(row)[0] for row in expected]).detach()
        torch.testing.assert_close(found.features, expected, rtol=1e-4, atol=1e-5)

    def test_of_a_convolutional_network_are_means_over_its_map(self, photos: Path, made: dict[str, Path]) -> None:
        found = embed(every(photos), backbone(made["resnet"]))
        expected = by_hand(photos, made["resnet"], lambda out: out.last_hidden_state.mean((2, 3)))
        torch.testing.assert_close(found.features, expected, rtol=1e-4, atol=1e-5)

    def test_are_the_image_embedding_of_a_model_of_images_and_texts(self, photos: Path, tmp_path: Path) -> None:
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        config = transformers.CLIPConfig(
            text_config={**sizes, "vocab_size": 30, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
            vision_config={**sizes, "image_size": 16, "patch_size": 8}, projection_dim=6,
        )  # fmt: skip
        saved(transformers.CLIPModel(config), tmp_path / "clip")
        where = vit(tmp_path / "other")
        shutil.copy(where / "preprocessor_config.json", tmp_path / "clip")
        found = embed(every(photos), backbone(tmp_path / "clip"))
        assert (found.pooling, found.features.shape[1]) == ("image embedding", 6)

    def test_of_maps_and_tokens_without_a_class_token_are_means(self) -> None:
        model, tokens = torch.nn.Linear(1, 1), torch.rand(2, 5, 3)
        out = type("Out", (), {"last_hidden_state": tokens, "pooler_output": None})()
        assert pooling.pooled(model, out, pooler=True)[0].equal(tokens.mean(1))
        maps = type("Out", (), {"feature_maps": (torch.rand(2, 3, 4, 4), torch.ones(2, 7, 2, 2))})()
        assert pooling.pooled(model, maps, pooler=True)[0].equal(torch.ones(2, 7))
        with pytest.raises(ValueError, match="no features of an image"):
            pooling.pooled(model, type("Out", (), {"logits": tokens})(), pooler=True)


def _with_states(auto: Any) -> Any:
    class Loader:
        @staticmethod
        def from_pretrained(where: Path) -> Any:
            model = auto.from_pretrained(where)
            model.config.output_hidden_states = True
            return model

    return Loader


class TestCache:
    def test_every_content_is_embedded_once(
        self, photos: Path, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copy(photos / "cat" / "0.png", photos / "dog" / "copy.png")
        passed: list[int] = []
        before = Encoder.__call__
        monkeypatch.setattr(Encoder, "__call__", lambda self, x: passed.append(len(x)) or before(self, x))
        first = embed(every(photos), backbone(made["vit"]))
        assert sum(passed) == 9  # of ten images
        put(photos / "cat" / "new.png", 99)
        again = embed(every(photos), backbone(made["vit"]))
        assert sum(passed) == 10
        assert len(again.features) == 11
        assert again.features[:5].equal(first.features[:5])

    def test_another_backbone_has_another_cache(self, photos: Path, made: dict[str, Path], tmp_path: Path) -> None:
        other = vit(tmp_path / "vit", seed=1)
        assert store_of(backbone(other)).folder != store_of(backbone(made["vit"])).folder
        moved = shutil.copytree(made["vit"], tmp_path / "moved")
        assert store_of(backbone(moved)).folder == store_of(backbone(made["vit"])).folder
        (moved / "preprocessor_config.json").write_text((moved / "preprocessor_config.json").read_text() + " ")
        assert store_of(backbone(moved)).folder != store_of(backbone(made["vit"])).folder

    def test_finished_batches_stay_after_an_interruption_and_the_rest_is_the_same(
        self, photos: Path, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (photos / "cat" / "1.png").write_bytes(b"no image")
        monkeypatch.setattr(f"{MODULE}.BATCH", 3)
        whole = embed(every(photos), backbone(made["vit"]), skip_bad=True)
        monkeypatch.setenv("LONGTAIL_CACHE", str(tmp_path / "second"))
        before, passed = Encoder.__call__, 0

        def interrupted(self: Encoder, images: Any) -> torch.Tensor:
            nonlocal passed
            passed += 1
            if passed == 2:
                raise KeyboardInterrupt
            return before(self, images)

        with monkeypatch.context() as patch:
            patch.setattr(Encoder, "__call__", interrupted)
            with pytest.raises(KeyboardInterrupt):
                embed(every(photos), backbone(made["vit"]), skip_bad=True)
        sizes: list[int] = []
        monkeypatch.setattr(Encoder, "__call__", lambda self, x: sizes.append(len(x)) or before(self, x))
        resumed = embed(every(photos), backbone(made["vit"]), skip_bad=True)
        assert sizes == [3, 2]  # eight images that decode, of which three were finished
        assert resumed.features.equal(whole.features)

    def test_a_damaged_file_is_embedded_again(
        self, photos: Path, made: dict[str, Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        first = embed(every(photos), backbone(made["vit"]))
        (part,) = store_of(backbone(made["vit"])).folder.glob("*.safetensors")
        content = bytearray(part.read_bytes())
        content[-1] ^= 1
        part.write_bytes(content)
        assert embed(every(photos), backbone(made["vit"])).features.equal(first.features)
        assert "its checksum is off" in caplog.text

    def test_progress_is_logged(self, photos: Path, made: dict[str, Path], monkeypatch: Any, caplog: Any) -> None:
        monkeypatch.setattr(f"{MODULE}.BATCH", 4)
        with caplog.at_level(logging.INFO):
            embed(every(photos), backbone(made["vit"]))
        assert "embedding by vit: 4 of 9 images" in caplog.text


def test_opened_images_have_the_features_of_their_files(photos: Path, made: dict[str, Path]) -> None:
    files = every(photos)
    opened = EncodedImages([PIL.open(path) for path in files.sources], files.names)  # type: ignore[attr-defined]
    found = embed(opened, backbone(made["vit"])).features
    torch.testing.assert_close(found, embed(files, backbone(made["vit"])).features)


def refused(where: Any, *words: str, load: bool = False) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        Encoder(backbone(where)) if load else backbone(where)
    line = str(caught.value)
    assert "\n" not in line
    for word in (*words, "--backbone"):
        assert word in line, line


class TestRefused:
    @cases(
        ("change", "words"),
        [
            (lambda w: shutil.rmtree(w), ("is no folder", "nothing is downloaded")),
            (lambda w: (w / "config.json").unlink(), ("no config.json",)),
            (lambda w: (w / "preprocessor_config.json").unlink(), ("preprocessor_config.json", "image processor")),
            (lambda w: (w / "model.safetensors").unlink(), ("no weights",)),
            (lambda w: (w / "model.safetensors").rename(w / "pytorch_model.bin"), ("pickled", "run any code")),
            (lambda w: (w / "adapter_config.json").write_text("{}"), ("adapter",)),
            (
                lambda w: (w / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../b.safetensors"}}'),
                ("'../b.safetensors'",),
            ),
        ],
    )
    def test_before_anything_is_loaded(
        self, made: dict[str, Path], tmp_path: Path, change: Any, words: tuple[str, ...]
    ) -> None:
        where = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
        shutil.copytree(made["vit"], where)
        change(where)
        refused(where, *words)

    def test_what_is_no_path(self) -> None:
        refused(3, "path of a folder", "int")

    @cases(
        ("entries", "words"),
        [
            ({"model_type": "mine", "auto_map": {"AutoModel": "mine.Mine"}}, ("code of its own", "never run")),
            ({"model_type": "mine"}, ("unknown",)),
            ({"hidden_size": 12}, ("cannot be loaded",)),
        ],
    )
    def test_code_of_its_own_and_other_weights(
        self, made: dict[str, Path], tmp_path: Path, entries: Any, words: tuple[str, ...]
    ) -> None:
        where = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
        shutil.copytree(made["vit"], where)
        config = json.loads((where / "config.json").read_text())
        (where / "mine.py").write_text("raise AssertionError('code of the folder was run')")
        (where / "config.json").write_text(json.dumps({**config, **entries}))
        refused(where, *words, load=True)

    def test_weights_that_would_be_random(self, made: dict[str, Path], tmp_path: Path) -> None:
        where = shutil.copytree(made["vit"], tmp_path / "more")
        config = json.loads((where / "config.json").read_text())
        (where / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
        refused(where, "lacks", "would be random", load=True)

    def test_features_that_differ_each_time(self, made: dict[str, Path], tmp_path: Path) -> None:
        sizes = {"decoder_num_attention_heads": 2, "decoder_hidden_size": 8, "decoder_intermediate_size": 8}
        config = transformers.ViTMAEConfig(**{
            **vit_config().to_dict(), **sizes, "decoder_num_hidden_layers": 1, "model_type": "vit_mae",
            "image_size": 32,
        })  # fmt: skip
        saved(transformers.ViTMAEModel(config), tmp_path / "mae")
        (tmp_path / "mae" / "preprocessor_config.json").write_text(
            json.dumps({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}})
        )
        refused(tmp_path / "mae", "the second time", load=True)

    def test_options_that_it_leaves_nothing_to_do(self, photos: Path, made: dict[str, Path]) -> None:
        for option in ({"size": 64}, {"mirror": False}, {"features": "x.npz"}):
            with pytest.raises(ValueError, match="cannot go with backbone"):
                lt.data.load(photos, backbone=made["vit"], **option)
        with pytest.raises(ValueError, match="no backbone"):
            lt.data.load(photos, device="cuda")
        with pytest.raises(ValueError, match="backbone"):
            lt.data.load(np.zeros((4, 3)), [0, 1, 0, 1], backbone=made["vit"])


def test_bad_images_are_named_or_left_out(photos: Path, made: dict[str, Path]) -> None:
    (photos / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1 of 9 images cannot be decoded: 'cat/0.png'"):
        lt.data.load(photos, backbone=made["vit"])
    splits = lt.data.load(photos, backbone=made["vit"], skip_bad=True)
    assert splits.facts["skipped"] == ["cat/0.png"]
    assert len(splits.train) + len(splits.test) == 8
