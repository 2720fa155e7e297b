"""The worker's scan, on caches and folders as they are found on disks."""

import json
import os
import struct
import sys
from pathlib import Path

import msgspec
import pytest
from model_kit import by_id, config, make_folder, make_hub_repo, model_files, safetensors
from patience import DEADLINE_S

from app import paths
from app.architectures import Architectures, _from_source, installed_architectures
from app.wire.nouns import Model, ModelSource
from app.wire.scan import ScanResult, decode_scan
from app.wire.shape import CachePart, CacheShape, ModelShape
from app.worker import describe
from app.worker.main import main
from app.worker.scan import scan

ID = "mlx-community/Tiny-4bit"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"


def hub_model(cache: Path, files: dict[str, bytes], repo_id: str = ID) -> Model:
    make_hub_repo(cache, repo_id, files)
    result = scan(cache)
    assert result.warnings == ()
    return by_id(result)[repo_id]


def assert_nothing(result: ScanResult) -> None:
    assert (result.models, result.warnings) == ((), ())


def sharded(*present: str) -> dict[str, bytes]:
    files = model_files()
    del files["model.safetensors"]
    index = {"weight_map": {f"layer{i}.weight": name for i, name in enumerate(SHARDS)}}
    files[INDEX] = json.dumps(index).encode()
    return files | {name: safetensors({name: ("BF16", (3,))}) for name in present}


# The hub's cache


def test_hub_model_is_described(tmp_path: Path) -> None:
    files = model_files()
    model = hub_model(tmp_path, files)
    assert model.name == "Tiny-4bit"
    assert model.author == "mlx-community"
    assert model.source is ModelSource.HUB
    assert model.path == str(tmp_path / "models--mlx-community--Tiny-4bit/snapshots" / ("a" * 40))
    assert model.family == "qwen3"
    assert model.context_length == 40960
    assert model.quantization == "bf16"
    assert model.parameters == 44
    assert model.tags == ()
    assert model.problem is None
    assert model.modified_at > 1e9


def test_scan_tells_what_the_memory_of_a_model_depends_on(tmp_path: Path) -> None:
    llama = {
        "num_hidden_layers": 16, "hidden_size": 2048, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 64,
    }  # fmt: skip
    files = model_files(**llama)
    files["consolidated.safetensors"] = bytes(1000)
    model = hub_model(tmp_path / "told", files)
    cache = CacheShape((CachePart(16 * 2 * 8 * 64 * 2),))
    assert model.shape == ModelShape(len(files["model.safetensors"]), cache, 40960)
    odd = hub_model(tmp_path / "odd", model_files(**llama, ssm_cfg={"layer": "Mamba2"}))
    assert odd.shape is not None
    assert odd.shape.cache is None
    del files["tokenizer.json"]
    assert hub_model(tmp_path / "broken", files).shape is None


def test_hub_model_size_counts_a_shared_blob_once(tmp_path: Path) -> None:
    files = model_files()
    assert files["tokenizer.json"] == files["tokenizer_config.json"]
    size = sum(len(data) for data in files.values()) - len(files["tokenizer.json"])
    assert hub_model(tmp_path, files).size_bytes == size


def test_hub_model_without_author_has_none(tmp_path: Path) -> None:
    model = hub_model(tmp_path, model_files(model_type="gpt2"), "gpt2")
    assert (model.name, model.author) == ("gpt2", "")


def test_hub_model_of_two_revisions_is_its_main(tmp_path: Path) -> None:
    make_hub_repo(tmp_path, ID, model_files(max_position_embeddings=1), commit="b" * 40, ref="old")
    make_hub_repo(tmp_path, ID, model_files(max_position_embeddings=2))
    (model,) = scan(tmp_path).models
    assert model.context_length == 2


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": config(), "model-q4.gguf": b"GGUF"},
        {"config.json": config(), "pytorch_model.bin": b"x", "tokenizer.json": b"{}"},
        {"config.json": config(), "tokenizer.json": b"{}"},
        {"adapter_config.json": b"{}", "adapters.safetensors": safetensors()},
        {"README.md": b"hello"},
    ],
)
def test_hub_repo_that_is_no_mlx_model_is_left_out(tmp_path: Path, files: dict[str, bytes]) -> None:
    make_hub_repo(tmp_path, ID, files)
    assert_nothing(scan(tmp_path))


def test_hub_data_set_is_left_out(tmp_path: Path) -> None:
    make_hub_repo(tmp_path, "someone/data", model_files(), kind="datasets")
    assert_nothing(scan(tmp_path))


def test_other_revision_is_the_model_where_there_is_no_main(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path, ID, model_files(), commit="c" * 40, ref="old")
    os.utime(repo / "refs" / "old", (1e9, 1e9))
    make_hub_repo(tmp_path, ID, model_files(max_position_embeddings=7), commit="b" * 40, ref="v1.0")
    (model,) = scan(tmp_path).models
    assert (model.id, model.context_length) == (ID, 7)
    make_hub_repo(tmp_path, ID, model_files())
    (model,) = scan(tmp_path).models
    assert model.path.endswith("a" * 40)


def test_hub_cache_that_is_missing_or_empty_has_no_models(tmp_path: Path) -> None:
    assert_nothing(scan(tmp_path / "none"))
    assert_nothing(scan(tmp_path))


def test_hub_cache_that_is_a_file_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = scan(tmp_path / "file")
    assert result.models == ()
    assert "cannot be read" in result.warnings[0]


def test_hub_cache_that_links_to_itself_is_a_warning(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot be read" in scan(loop).warnings[0]


def test_corrupt_hub_repo_is_a_warning_and_the_rest_is_listed(tmp_path: Path) -> None:
    make_hub_repo(tmp_path, ID, model_files())
    (tmp_path / "models--broken--one").mkdir()
    (tmp_path / "version.txt").write_text("1")
    result = scan(tmp_path)
    assert [model.id for model in result.models] == [ID]
    assert len(result.warnings) == 1
    assert "models--broken--one" in result.warnings[0]


def test_hub_repo_that_stops_the_library_does_not_hide_the_others(tmp_path: Path) -> None:
    make_hub_repo(tmp_path, ID, model_files())
    bad = make_hub_repo(tmp_path, "bad/ref", model_files())
    (bad / "refs" / "main").write_bytes(b"\xff\xfe")
    result = scan(tmp_path)
    assert [model.id for model in result.models] == [ID]
    assert result.models[0].path.startswith(str(tmp_path))
    assert "bad--ref" in result.warnings[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folder_without_permission_is_a_warning(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "closed", model_files())
    folder.chmod(0)
    try:
        assert "cannot be read" in scan(tmp_path / "none", [folder]).warnings[0]
    finally:
        folder.chmod(0o700)


def test_folder_whose_files_cannot_be_listed_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(tmp_path / "closed", model_files())

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("app.worker.library.folders.list_folder", refuse)
    result = scan(tmp_path / "none", [folder])
    assert result.warnings == (f"{folder} cannot be read: Permission denied.",)


# Incomplete downloads


def test_sharded_model_that_is_whole_has_no_problem(tmp_path: Path) -> None:
    model = hub_model(tmp_path, sharded(*SHARDS))
    assert model.problem is None
    assert model.parameters == 6


def test_missing_shard_is_named_as_incomplete_download(tmp_path: Path) -> None:
    model = hub_model(tmp_path, sharded(SHARDS[0]))
    assert model.problem is not None
    assert "not complete: 1 of 2 weight files are missing" in model.problem
    assert model.parameters is None


def test_missing_shard_is_noticed_without_an_index(tmp_path: Path) -> None:
    files = sharded(SHARDS[1])
    del files[INDEX]
    assert "1 of 2" in (hub_model(tmp_path, files).problem or "")


def test_download_under_way_is_incomplete(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path, ID, {"config.json": config(), "tokenizer.json": b"{}"})
    (repo / "blobs" / "abc.12345678.incomplete").write_bytes(b"x")
    (model,) = scan(tmp_path).models
    assert model.problem == "The download is not complete. Download the model again."


def test_left_over_of_an_older_download_is_no_problem(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path, ID, model_files())
    (repo / "blobs" / "abc.12345678.incomplete").write_bytes(b"x")
    assert scan(tmp_path).models[0].problem is None


def test_cut_weights_are_a_problem(tmp_path: Path) -> None:
    files = model_files()
    files["model.safetensors"] = files["model.safetensors"][:-1]
    assert "model.safetensors is cut short" in (hub_model(tmp_path, files).problem or "")


# What a model says about itself


def described(tmp_path: Path, files: dict[str, bytes]) -> Model:
    folder = make_folder(tmp_path / "model", files)
    (model,) = scan(tmp_path / "none", [folder]).models
    return model


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quantization": {"bits": 4, "group_size": 64}}, "4-bit"),
        ({"quantization": {"bits": 8, "group_size": 64, "mode": "affine"}}, "8-bit"),
        ({"quantization": {"bits": 4, "group_size": 32, "mode": "mxfp4"}}, "mxfp4"),
        ({"quantization_config": {"bits": 6}}, "6-bit"),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"text_config": {"quantization": {"bits": 3}}}, "3-bit"),
        ({"torch_dtype": "float16"}, "fp16"),
        ({"torch_dtype": None, "dtype": "float32"}, "fp32"),
        ({"torch_dtype": None}, "bf16"),
        ({"torch_dtype": None, "text_config": {"dtype": "float16"}}, "fp16"),
        ({"quantization": {"bits": True}}, "bf16"),
    ],
)
def test_quantization_is_read_from_config(
    tmp_path: Path, changes: dict[str, object], expected: str
) -> None:
    assert described(tmp_path, model_files(**changes)).quantization == expected


def packed(bits: int, columns: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        "layer.weight": ("U32", (8, columns * bits // 32)),
        "layer.scales": ("F16", (8, columns // 64)),
        "layer.biases": ("F16", (8, columns // 64)),
    }


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_parameters_of_packed_weights_are_unpacked(tmp_path: Path, bits: int) -> None:
    files = model_files(quantization={"bits": bits, "group_size": 64})
    files["model.safetensors"] = safetensors(packed(bits, 256) | {"norm.weight": ("F16", (5,))})
    assert described(tmp_path, files).parameters == 8 * 256 + 5


def test_parameters_follow_a_layers_own_bits(tmp_path: Path) -> None:
    files = model_files(quantization={"bits": 4, "layer": {"bits": 8, "group_size": 64}})
    files["model.safetensors"] = safetensors(packed(8, 256))
    assert described(tmp_path, files).parameters == 8 * 256


def test_parameters_in_an_unknown_packing_are_unknown(tmp_path: Path) -> None:
    files = model_files()
    files["model.safetensors"] = safetensors({"layer.qweight": ("I32", (8, 8))})
    assert described(tmp_path, files).parameters is None


def test_parameters_leave_out_position_tables(tmp_path: Path) -> None:
    files = model_files()
    files["model.safetensors"] = safetensors({"ids": ("I64", (512,)), "w.weight": ("F32", (7,))})
    assert described(tmp_path, files).parameters == 7


def test_context_length_is_found_in_the_text_part(tmp_path: Path) -> None:
    part = {"max_position_embeddings": 1234}
    files = model_files(max_position_embeddings=None, text_config=part)
    assert described(tmp_path, files).context_length == 1234


def test_tags_tell_vision_embedding_and_tools(tmp_path: Path) -> None:
    files = model_files(vision_config={"depth": 2})
    files["modules.json"] = b"[]"
    files["chat_template.jinja"] = b"{% if tools %}{{ tools }}{% endif %}"
    assert described(tmp_path, files).tags == ("vision", "embedding", "tools")


def test_tools_are_found_in_the_tokenizers_template(tmp_path: Path) -> None:
    files = model_files()
    templates = [{"name": "tool_use", "template": "{{ tools }}"}]
    files["tokenizer_config.json"] = json.dumps({"chat_template": templates}).encode()
    assert described(tmp_path, files).tags == ("tools",)


def test_unsupported_architecture_is_a_problem(tmp_path: Path) -> None:
    found = described(tmp_path, model_files(model_type="clippy"))
    assert found.problem == (
        "The built-in mlx-lm does not know the architecture clippy. "
        "A profile with another Python may run it."
    )
    assert found.needs_python
    damaged = described(
        tmp_path / "damaged", model_files(model_type="clippy") | {"tokenizer.json": b""}
    )
    assert "no tokenizer" in (damaged.problem or "")
    assert not damaged.needs_python


@pytest.mark.parametrize("family", ["qwen3", "mistral", "kimi_k2"])
def test_supported_and_renamed_architectures_have_no_problem(tmp_path: Path, family: str) -> None:
    assert described(tmp_path, model_files(model_type=family)).problem is None


def test_architecture_renamed_by_class_has_no_problem(tmp_path: Path) -> None:
    names = {"model_type": "bailing_hybrid", "architectures": ["BailingMoeV3ForCausalLM"]}
    assert described(tmp_path, model_files(**names)).problem is None


def test_architecture_with_code_of_its_own_has_no_problem(tmp_path: Path) -> None:
    files = model_files(model_type="clippy", model_file="clippy.py")
    assert described(tmp_path, files).problem is None


def test_architectures_that_cannot_be_told_are_never_called_unsupported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe, "installed_architectures", lambda: None)
    assert described(tmp_path, model_files(model_type="clippy")).problem is None


@pytest.mark.parametrize("source", ["", "MODEL_REMAPPING = 1", "def", "MODEL_REMAPPING = f()"])
def test_architectures_without_the_table_of_renames_are_unknown(source: str) -> None:
    assert _from_source(frozenset({"llama"}), source) is None


def test_architectures_match_mlx_lms_own_tables() -> None:
    from mlx_lm import utils

    known = installed_architectures()
    assert isinstance(known, Architectures)
    assert known.renamed == utils.MODEL_REMAPPING
    assert known.renamed_by_class == utils.MODEL_ARCHITECTURE_REMAPPING
    assert {"llama", "qwen3", "gemma3"} <= known.modules


def test_scan_imports_neither_mlx_nor_mlx_lm(tmp_path: Path) -> None:
    import subprocess

    make_hub_repo(tmp_path, ID, model_files())
    code = (
        "import sys; from pathlib import Path; from app.worker.scan import scan;"
        f"assert scan(Path({str(tmp_path)!r})).models;"
        "assert not {'mlx', 'mlx_lm', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=DEADLINE_S, cwd=paths.program_root()
    )


def test_missing_tokenizer_is_a_problem(tmp_path: Path) -> None:
    files = model_files()
    del files["tokenizer.json"]
    problem = "It has no tokenizer. Add its tokenizer.json or tokenizer.model to the folder."
    assert described(tmp_path, files).problem == problem
    files["tokenizer.model"] = b"x"
    assert described(tmp_path, files).problem is None


def test_tokenizer_that_a_download_lacks_is_told_apart_from_one_that_is_nowhere(
    tmp_path: Path,
) -> None:
    files = model_files()
    del files["tokenizer.json"]
    repo = make_hub_repo(tmp_path, ID, files)
    (model,) = scan(tmp_path).models
    assert model.problem is not None
    assert model.problem.startswith("The repository has no tokenizer")
    assert "Download" not in model.problem
    trees = make_folder(
        repo / "trees", {f"{'a' * 40}.json": b'{"files": {"tokenizer.json": {"size": 2}}}'}
    )
    (model,) = scan(tmp_path).models
    assert model.problem == (
        "The download is not complete: the tokenizer is missing. Download the model again."
    )
    (trees / f"{'a' * 40}.json").write_text("[")
    assert "The repository has" in (scan(tmp_path).models[0].problem or "")


@pytest.mark.parametrize(
    ("files", "plain"),
    [
        ({"config.json": b"{"}, "Its config.json is not valid JSON. Replace the file."),
        ({INDEX: b"{"}, f"Its {INDEX} is not valid JSON. Replace the file."),
        (
            {"model.safetensors": b"x"},
            "Its file model.safetensors is not a safetensors file. Replace the file.",
        ),
        (
            {INDEX: b'{"weight_map": {"a": "model-2.safetensors"}}'},
            "1 of 1 weight files are missing in its folder. Add them.",
        ),
    ],
)
def test_problem_names_what_mends_it_where_the_model_is(
    tmp_path: Path, files: dict[str, bytes], plain: str
) -> None:
    assert described(tmp_path, model_files() | files).problem == plain
    found = hub_model(tmp_path / "hub", model_files() | files)
    assert (found.problem or "").endswith(" Download the model again.")
    assert not found.needs_python
    assert found.repairable


def test_weights_that_mlx_does_not_load_are_a_problem(tmp_path: Path) -> None:
    files = model_files()
    files["consolidated.safetensors"] = files.pop("model.safetensors")
    assert "no weights" in (described(tmp_path, files).problem or "")


# Weird files: a problem, never an exception


def header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("config.json", b""),
        ("config.json", b"[]"),
        ("config.json", b"null"),
        ("config.json", b"\xff\xfe\x00"),
        ("config.json", b"[" * 100_000),
        ("config.json", b'{"model_type": 7}'),
        ("config.json", b'{"model_type": ' + b"9" * 5000 + b"}"),
        ("config.json", b" " * 4_000_001),
        ("config.json", config(model_type="\ud800", architectures=[1, None])),
        ("model.safetensors", b""),
        ("model.safetensors", b"short"),
        ("model.safetensors", b"\xff" * 64),
        ("model.safetensors", header(b"[]")),
        ("model.safetensors", header(b'{"w": 1}')),
        ("model.safetensors", header(b'{"w": {"dtype": "F16", "shape": 3}}')),
        ("model.safetensors", header(b'{"w": {"dtype": 1, "shape": [1], "data_offsets": [0]}}')),
        (INDEX, b""),
        (INDEX, b'{"weight_map": {"a": "model-00009.safetensors", "b": 3}}'),
        ("tokenizer.json", b""),
    ],
)
def test_weird_file_is_a_problem_in_words(tmp_path: Path, name: str, data: bytes) -> None:
    model = described(tmp_path, model_files() | {name: data})
    assert model.problem is not None
    assert model.problem.endswith(".")
    msgspec.json.encode(model)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("config.json", config(quantization=[4], text_config="x", vision_config=1)),
        ("config.json", config(max_position_embeddings=10**30, quantization={"bits": 0})),
        ("config.json", b'{"model_type": "mamba", "time_step_limit": [0.0, Infinity]}'),
        ("model.safetensors", header(b"{}")),
        ("tokenizer_config.json", b"[]"),
        ("tokenizer_config.json", b'{"chat_template": {"a": 1}}'),
        (INDEX, b'{"weight_map": [1]}'),
    ],
)
def test_odd_but_harmless_file_is_no_problem(tmp_path: Path, name: str, data: bytes) -> None:
    model = described(tmp_path, model_files() | {name: data})
    assert model.problem is None
    msgspec.json.encode(model)


def test_parameters_beyond_reason_are_unknown(tmp_path: Path) -> None:
    entry = {"w": {"dtype": "F16", "shape": [10**9, 10**9], "data_offsets": [0, 0]}}
    data = header(json.dumps(entry).encode())
    model = described(tmp_path, model_files() | {"model.safetensors": data})
    assert model.parameters is None


def test_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", model_files())
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    os.mkfifo(folder / "chat_template.jinja")
    assert_nothing(scan(tmp_path / "none", [folder]))


# Plain folders and the demo


def test_folder_itself_can_be_the_model(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "my model", model_files())
    (model,) = scan(tmp_path / "none", [folder]).models
    assert model.id == model.path == str(folder)
    assert (model.name, model.author, model.source) == ("my model", "", ModelSource.FOLDER)
    assert model.size_bytes == sum(len(data) for data in model_files().values())


def test_folder_of_authors_and_models_is_searched(tmp_path: Path) -> None:
    make_folder(tmp_path / "root/ann/one", model_files())
    make_folder(tmp_path / "root/two", model_files(max_position_embeddings=2))
    make_folder(tmp_path / "root/a/b/c/too-deep", model_files())
    make_folder(tmp_path / "root/.hidden", model_files())
    models = scan(tmp_path / "none", [tmp_path / "root"]).models
    assert [(model.name, model.author) for model in models] == [("one", "ann"), ("two", "")]


def test_folder_with_links_in_a_circle_ends(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "root", {})
    (root / "again").symlink_to(root, target_is_directory=True)
    (root / "config.json").symlink_to(root / "config.json")
    make_folder(root / "model", model_files())
    (root / "model" / "link.safetensors").symlink_to(root / "model" / "link.safetensors")
    result = scan(tmp_path / "none", [root])
    assert [model.name for model in result.models] == ["model"]
    assert result.warnings == ()


def test_folder_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    result = scan(tmp_path / "none", [tmp_path / "gone"])
    assert result.models == ()
    assert str(tmp_path / "gone") in result.warnings[0]


def test_folder_given_twice_is_listed_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", model_files())
    assert len(scan(tmp_path / "none", [folder, tmp_path]).models) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system takes only valid names")
def test_folder_whose_name_is_no_text_is_passed_over(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/folder/\xff\xfe"
    make_folder(Path(os.fsdecode(name)), model_files())
    result = scan(tmp_path / "none", [tmp_path / "folder"])
    msgspec.json.encode(result)
    assert result.models == ()


def test_demo_model_is_listed_under_its_own_name(tmp_path: Path) -> None:
    (model,) = scan(tmp_path, demo=paths.demo_model()).models
    assert (model.id, model.name, model.author) == ("demo", "Demo", "MLX Model Manager")
    assert model.source is ModelSource.DEMO
    assert model.path == str(paths.demo_model())
    assert model.problem is None
    assert model.parameters == 164_224
    assert model.context_length == 32768


def test_demo_model_that_is_missing_is_a_warning(tmp_path: Path) -> None:
    result = scan(tmp_path, demo=tmp_path / "none")
    assert result.models == ()
    assert "demo model" in result.warnings[0]


# Other libraries, other copies, other disks


def test_models_of_other_programs_are_listed_in_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    studio = make_folder(home / ".lmstudio/models/mlx-community/One", model_files())
    omlx = make_folder(home / ".omlx/models/Two", model_files(max_position_embeddings=2))
    result = scan(tmp_path / "none", home=home)
    assert [(m.id, m.author, m.source) for m in result.models] == [
        (str(studio), "mlx-community", ModelSource.FOLDER),
        (str(omlx), "", ModelSource.FOLDER),
    ]
    assert [(p.name, p.models) for p in result.places] == [
        ("Hugging Face", 0),
        ("LM Studio", 1),
        ("oMLX", 1),
    ]
    assert result.warnings == ()
    assert scan(tmp_path / "none").models == ()


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({".cache/lm-studio/x": ""}, ".cache/lm-studio/models"),
        ({".lmstudio-home-pointer": "~/moved\n"}, "moved/models"),
        ({".lmstudio/settings.json": '{"downloadsFolder": "~/big/disk"}'}, "big/disk"),
        ({".lmstudio/settings.json": "{"}, ".lmstudio/models"),
        ({".omlx/settings.json": '{"model": {"model_dirs": ["~/a", 3]}}'}, "a"),
    ],
)
def test_library_of_another_program_is_found_where_its_settings_say(
    tmp_path: Path, files: dict[str, str], place: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    make_folder(tmp_path / place / "ann/one", model_files())
    assert [m.name for m in scan(tmp_path / "none", home=tmp_path).models] == ["one"]


def test_same_weights_in_two_places_are_one_row(tmp_path: Path) -> None:
    make_hub_repo(tmp_path / "hub", ID, model_files())
    copy = make_folder(tmp_path / "studio/mlx-community/Tiny-4bit", model_files())
    (model,) = scan(tmp_path / "hub", [tmp_path / "studio"]).models
    assert model.id == ID
    assert model.locations == (model.path, str(copy))
    assert model.is_named(str(copy))
    assert model.is_named(ID)
    assert not model.is_named(str(copy.parent))


def test_fine_tunes_with_equal_names_and_sizes_stay_two_rows(tmp_path: Path) -> None:
    files = model_files()
    make_hub_repo(tmp_path / "hub", ID, files)
    changed = bytearray(files["model.safetensors"])
    changed[-3] ^= 1  # within the last tensor
    make_folder(tmp_path / "mine", files | {"model.safetensors": bytes(changed)})
    assert len(scan(tmp_path / "hub", [tmp_path / "mine"]).models) == 2


def test_same_weights_under_two_ids_of_the_hub_stay_two_rows(tmp_path: Path) -> None:
    make_hub_repo(tmp_path / "hub", ID, model_files())
    make_hub_repo(tmp_path / "hub", "ann/Copy", model_files())
    make_folder(tmp_path / "studio/ann/Copy", model_files())
    found = by_id(scan(tmp_path / "hub", [tmp_path / "studio"]))
    assert len(found[ID].locations) == 1
    assert len(found["ann/Copy"].locations) == 2


def test_link_to_the_hubs_copy_is_no_second_location(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path / "hub", ID, model_files())
    (tmp_path / "studio/ann").mkdir(parents=True)
    (tmp_path / "studio/ann/link").symlink_to(repo / "snapshots" / ("a" * 40))
    (model,) = scan(tmp_path / "hub", [tmp_path / "studio"]).models
    assert len(model.locations) == 1


def test_folder_that_is_a_hub_cache_is_used_in_place(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path / "disk/hub", ID, model_files())
    (model,) = scan(tmp_path / "none", [tmp_path / "disk"]).models
    assert model.id == str(repo / "snapshots" / ("a" * 40))
    assert (model.name, model.author) == ("Tiny-4bit", "mlx-community")
    assert model.source is ModelSource.FOLDER


# What is remembered


def test_second_scan_reads_no_model_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_hub_repo(tmp_path / "hub", ID, model_files())
    first = scan(tmp_path / "hub", memory=tmp_path / "memory")
    monkeypatch.delattr("app.worker.library.found.describe")
    assert scan(tmp_path / "hub", memory=tmp_path / "memory") == first


def test_changed_model_is_read_again(tmp_path: Path) -> None:
    repo = make_hub_repo(tmp_path / "hub", ID, model_files())
    assert scan(tmp_path / "hub", memory=tmp_path / "memory").models[0].problem is None
    blob = (repo / "snapshots" / ("a" * 40) / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    (model,) = scan(tmp_path / "hub", memory=tmp_path / "memory").models
    assert "cut short" in (model.problem or "")


@pytest.mark.parametrize("text", ["", "{", '{"reader": "other", "entries": {}}', "[" * 99999])
def test_memory_that_cannot_be_used_is_no_trouble(tmp_path: Path, text: str) -> None:
    make_hub_repo(tmp_path / "hub", ID, model_files())
    (tmp_path / "memory").write_text(text)
    assert len(scan(tmp_path / "hub", memory=tmp_path / "memory").models) == 1


def test_model_of_a_disk_that_is_not_connected_stays_with_a_reason(tmp_path: Path) -> None:
    disk, memory = tmp_path / "disk", tmp_path / "memory"
    make_folder(disk / "ann/one", model_files())
    scan(tmp_path / "none", [disk], memory=memory)
    disk.rename(tmp_path / "unplugged")
    for _ in range(2):
        result = scan(tmp_path / "none", [disk], memory=memory)
        (model,) = result.models
        assert "Connect the disk" in (model.problem or "")
        assert result.places[1].problem
    (tmp_path / "unplugged").rename(disk)
    assert scan(tmp_path / "none", [disk], memory=memory).models[0].problem is None
    # A folder that is taken out of the settings is forgotten.
    assert scan(tmp_path / "none", memory=memory).models == ()


# The program


def test_program_prints_one_document(tmp_path: Path, capfdbinary: pytest.CaptureFixture) -> None:
    make_hub_repo(tmp_path / "hub", ID, model_files())
    folder = make_folder(tmp_path / "plain", model_files(max_position_embeddings=2))
    gone = str(tmp_path / "gone")
    arguments = ["scan", "--cache", str(tmp_path / "hub"), "--folder", str(folder)]
    assert main([*arguments, "--folder", gone, "--demo", str(paths.demo_model())]) == 0
    result = decode_scan(capfdbinary.readouterr().out)
    assert {model.id for model in result.models} == {ID, str(folder), "demo"}
    assert len(result.warnings) == 1


def test_program_with_a_bug_prints_the_trace_and_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise LookupError("surprise")

    monkeypatch.setattr("app.worker.scan.scan", fail)
    assert main(["scan", "--cache", str(tmp_path)]) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "LookupError: surprise" in captured.err


def test_program_without_a_mode_explains_itself(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "usage" in capfd.readouterr().err
