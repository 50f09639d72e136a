"""Weights files: written, read, fetched, and refused where anything is wrong with them."""

import json
import pickle
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pooch
import pytest
import skimage
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from recolor_core import Colorizer, WeightsError, list_weights, weights
from recolor_core.batch.result import read_records
from recolor_core.models.config import GeneratorConfig, RefinerConfig
from recolor_core.models.generator import Generator
from recolor_core.models.networks import NETWORKS
from recolor_core.models.refiner import Refiner
from recolor_core.weights import (
    BUNDLED,
    FORMAT,
    WeightsRecord,
    fetch_weights,
    load_weights,
    save_weights,
)

from .cli_runner import FAST, recolor

ABOUT = {
    "license": "CC0-1.0",
    "training_data": "None: random numbers.",
    "recipe": "Initialized, never trained.",
    "metrics": {"psnr": 20.5},
}


def networks():
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(width=64, decoder=(16, 16, 16), attention=1))
    refiner = Refiner(RefinerConfig(width=8, blocks=1))
    nn.init.normal_(refiner.out.weight, std=0.01)
    for module in [*generator.modules(), *refiner.modules()]:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean, std=0.1)
    return generator.eval(), refiner.eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, *networks(), **ABOUT)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache in place of the user's."""
    monkeypatch.setattr(weights, "_cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    return tmp_path / "cache"


@pytest.fixture
def as_record(monkeypatch):
    """List a file under a name, as the table of the package does."""

    def add(content, **fields):
        record = WeightsRecord(
            name="other",
            file="other.safetensors",
            sha256=sha256(content).hexdigest(),
            license="",
            training_data="",
            recipe="",
            **fields,
        )
        monkeypatch.setattr(weights, "RECORDS", (*weights.RECORDS, record))
        return record

    return add


def metadata(**changes):
    generator, refiner = GeneratorConfig(10, 64, (16, 16, 16), 1), RefinerConfig(8, 1)
    about = {
        "format": FORMAT,
        "generator": asdict(generator),
        "refiner": asdict(refiner),
    }
    return {"recolor": json.dumps({**about, **changes})}


def rewritten(saved, path, *, tensors=None, **changes):
    """The small file with other metadata, or its tensors changed by a function."""
    content = load_file(saved)
    if tensors:
        tensors(content)
    save_file(content, path, metadata=metadata(**changes))
    return path


# Round trip


@pytest.mark.slow
@torch.inference_mode()
def test_saved_networks_come_back_and_do_the_same(saved):
    generator, refiner = networks()
    loaded = load_weights(saved)
    assert loaded.generator.config == generator.config
    assert loaded.refiner.config == refiner.config
    for before, after in ((generator, loaded.generator), (refiner, loaded.refiner)):
        assert not after.training
        assert not any(p.requires_grad for p in after.parameters())
        assert all(p.dtype == torch.float32 for p in after.parameters())
        assert sum(p.numel() for p in after.parameters()) <= sum(
            p.numel() for p in before.parameters()
        )
    lightness = 100 * torch.rand(1, 1, 64, 64)
    logits = generator(lightness)
    # Half precision in the file.
    torch.testing.assert_close(loaded.generator(lightness), logits, rtol=0.02, atol=0.02)
    ab = 20 * torch.randn(1, 2, 16, 16)
    torch.testing.assert_close(
        loaded.refiner(lightness, ab), refiner(lightness, ab), rtol=0.02, atol=0.05
    )


@pytest.mark.slow
def test_the_record_of_a_file_says_what_was_written(saved):
    record = load_weights(saved).record
    assert record == load_weights(str(saved)).record
    assert {name: getattr(record, name) for name in ABOUT} == ABOUT
    assert record.name == "small"
    assert record.file == str(saved)
    assert record.sha256 == sha256(saved.read_bytes()).hexdigest()


@pytest.mark.slow
def test_saving_twice_gives_the_same_file(saved, tmp_path):
    record = save_weights(tmp_path / "again.safetensors", *networks(), **ABOUT)
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    assert record.sha256 == load_weights(saved).record.sha256
    assert [p.name for p in tmp_path.iterdir()] == ["again.safetensors"]


@pytest.mark.slow
def test_loaded_networks_do_not_share_their_weights(saved):
    first, second = load_weights(saved), load_weights(saved)
    with torch.no_grad():
        first.refiner.out.weight.zero_()
    assert second.refiner.out.weight.any()


# The weights that come with the package


def test_weights_that_half_precision_cannot_hold_are_not_written(tmp_path):
    refiner = Refiner(RefinerConfig(width=16, blocks=1))
    refiner.fuse.weight.data[0] = 1e6
    with pytest.raises(WeightsError, match="half precision"):
        save_weights(
            tmp_path / "w.safetensors",
            Generator(),
            refiner,
            license="x.",
            training_data="x.",
            recipe="x.",
        )
    assert not list(tmp_path.iterdir())


def test_every_record_is_complete_and_its_file_is_what_it_says():
    records = list_weights()
    assert records[0].name == "default"
    assert records[0].bundled
    assert len({record.name for record in records}) == len(records)
    for record in records:
        assert record.use in {"any", "research"}
        for text in (record.license, record.training_data, record.recipe):
            assert text.endswith(".")
            assert "@" not in text
        assert record.metrics
        assert all(isinstance(value, int | float) for value in record.metrics.values())
        if record.bundled:
            content = (BUNDLED / record.file).read_bytes()
            assert sha256(content).hexdigest() == record.sha256


@pytest.fixture
def second(saved, monkeypatch, tmp_path):
    """Small weights that come with the package beside the default ones."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "default.safetensors").symlink_to(BUNDLED / "default.safetensors")
    (folder / "default.int8.safetensors").symlink_to(BUNDLED / "default.int8.safetensors")
    (folder / "second.safetensors").symlink_to(saved)
    record = WeightsRecord(
        name="second",
        file="second.safetensors",
        use="any",
        sha256=sha256(saved.read_bytes()).hexdigest(),
        license="Any use: there are no training images.",
        training_data="None.",
        recipe="Never trained.",
        metrics={"psnr_db": list_weights()[0].metrics["psnr_db"] - 1.25},
    )
    monkeypatch.setattr(weights, "BUNDLED", folder)
    monkeypatch.setattr(weights, "RECORDS", (weights.RECORDS[0], record))
    return record


@pytest.mark.slow
def test_weights_beside_the_default_ones_colorize_by_their_name(second, saved):
    gray = skimage.data.camera()[::8, ::8]
    by_name, by_path = (Colorizer(name, "cpu")(gray, size=32) for name in ("second", saved))
    np.testing.assert_array_equal(by_name.rgb, by_path.rgb)
    assert by_name.provenance["weights"] == {"name": "second", "sha256": second.sha256}
    # They need no quantized form, and must not run with that of other weights.
    assert by_name.provenance["runtime"]["name"] == "torch"
    assert Colorizer("default", "cpu").runtime.name == "onnxruntime"


def test_the_command_takes_weights_by_name_and_compares_them_with_the_default(second, tmp_path):
    default = weights.RECORDS[0]
    photo = tmp_path / "photo.png"
    Image.fromarray(skimage.data.camera()[::8, ::8]).save(photo)
    assert recolor(photo, "--weights", "second", *FAST).code == 0
    (made,) = read_records(tmp_path / "photo.recolor.png")
    assert made["weights"]["name"] == "second"
    listed = recolor("weights").out.decode()
    assert f"use: {default.use} (" in listed
    assert "second  installed  use: any (any use, commercial use included)" in listed
    assert second.license in listed
    assert f"PSNR {default.metrics['psnr_db']:.2f} dB," in listed
    assert f"PSNR {second.metrics['psnr_db']:.2f} dB (-1.25 against default)" in listed
    assert "(-1.25 against default)" in recolor("weights", "second").out.decode()
    assert "against" not in recolor("weights", "default").out.decode()
    unknown = recolor(photo, "--weights", "third", *FAST)
    assert unknown.code == 2
    assert "'default', 'second'" in unknown.err


@pytest.mark.slow
@pytest.mark.parametrize("use", weights.USES)
def test_a_file_says_what_it_may_be_used_for(tmp_path, use):
    path = tmp_path / "small.safetensors"
    record = save_weights(path, *networks(), **ABOUT, use=use)
    assert record.use == load_weights(path).record.use == use


def test_a_file_without_a_use_is_read(saved, tmp_path):
    old = rewritten(saved, tmp_path / "old.safetensors")
    assert load_weights(old).record.use == "unstated"


def test_an_unknown_use_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="expected a use of any, research, unstated, got 'free'"):
        save_weights(tmp_path / "small.safetensors", *networks(), **ABOUT, use="free")
    assert not list(tmp_path.iterdir())


def test_changing_the_list_changes_no_records():
    list_weights().clear()
    assert list_weights()


# Refused


@pytest.mark.parametrize("name", ["", "nosuch", "Default", "default.pt", "weights.ckpt"])
def test_an_unknown_name_is_refused_with_those_known(name):
    with pytest.raises(WeightsError, match=r"weights by name \('default'.*\.safetensors"):
        load_weights(name)
    with pytest.raises(WeightsError, match="weights by name"):
        Colorizer(name, device="cpu")


@pytest.mark.parametrize("path", ["nosuch.safetensors", "some/where", "."])
def test_an_absent_file_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"expected a weights file at .*check the path"):
        load_weights(tmp_path / path)
    if path != ".":
        with pytest.raises(WeightsError, match=r"expected a weights file at .*check the path"):
            load_weights(path)


def test_a_bundled_file_that_is_gone_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    with pytest.raises(WeightsError, match=r"'default' is not at .*reinstall"):
        load_weights()


def test_a_file_that_was_not_fetched_yet_is_refused(as_record, cache):
    as_record(b"", url="http://127.0.0.1:9/none")
    with pytest.raises(WeightsError, match=r"'other' is not at .*recolor weights --fetch other"):
        load_weights("other")


@pytest.mark.slow
@pytest.mark.parametrize("where", [0, 7, 8, 500, 0.3, 0.999999])
def test_a_flipped_bit_is_noticed(saved, as_record, monkeypatch, tmp_path, where):
    content = bytearray(saved.read_bytes())
    as_record(bytes(content))
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    (tmp_path / "other.safetensors").write_bytes(content)
    assert load_weights("other").record.name == "other"
    content[where if isinstance(where, int) else int(where * len(content))] ^= 1
    (tmp_path / "other.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="is not the file of weights 'other': expected SHA-256"):
        load_weights("other")


@pytest.mark.parametrize("share", [0, 1e-6, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved, tmp_path, share):
    content = saved.read_bytes()
    path = tmp_path / "short.safetensors"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"cannot be read as a safetensors file.*get it again"):
        load_weights(path)


@pytest.mark.parametrize(
    "content",
    [
        b"Not weights at all\n" * 100,
        b"PK\x03\x04" + bytes(100),
        b"\xff" * 1000,
        b"\x10" + bytes(7) + b"{ not json      ",
    ],
    ids=["text", "zip", "ones", "json"],
)
def test_a_file_of_another_format_is_refused(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as a safetensors file"):
        load_weights(path)


class Bomb:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.pth"])
@pytest.mark.parametrize("write", [pickle.dumps, "torch"])
def test_a_pickle_is_refused_and_not_executed(tmp_path, name, write):
    path = tmp_path / name
    if write == "torch":
        torch.save({"bomb": Bomb()}, path)
    else:
        path.write_bytes(write(Bomb()))
    with pytest.raises(WeightsError, match="cannot be read as a safetensors file"):
        load_weights(path)


def test_a_file_that_may_not_be_read_is_refused(saved, monkeypatch):
    def denied(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(weights, "safe_open", denied)
    with pytest.raises(WeightsError, match="Permission denied"):
        load_weights(saved)


@pytest.mark.parametrize("about", [None, {}, {"format": "pt"}, {"recolor": "[1]"}])
def test_a_safetensors_file_of_something_else_is_refused(tmp_path, about):
    path = tmp_path / "foreign.safetensors"
    save_file({"conv1.weight": torch.zeros(3)}, path, metadata=about)
    with pytest.raises(WeightsError, match="is a safetensors file of something else"):
        load_weights(path)


def test_metadata_that_are_no_json_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(3)}, path, metadata={"recolor": "{"})
    with pytest.raises(WeightsError, match="damaged or foreign"):
        load_weights(path)


@pytest.mark.parametrize("layout", [0, FORMAT + 1, None, "1"])
def test_another_layout_is_refused(saved, tmp_path, layout):
    path = rewritten(saved, tmp_path / "other.safetensors", format=layout)
    with pytest.raises(WeightsError, match=rf"layout {layout}, expected {FORMAT}; use the version"):
        load_weights(path)


@pytest.mark.parametrize(
    "config",
    [
        None,
        5,
        [],
        "wide",
        {"widht": 64},
        {"width": "64"},
        {"width": -1},
        {"width": 2.5},
        {"decoder": [16, 16]},
        {"decoder": 16},
    ],
)
def test_a_configuration_of_no_network_is_refused(saved, tmp_path, config):
    path = rewritten(saved, tmp_path / "other.safetensors", generator=config)
    with pytest.raises(WeightsError, match="describes no networks of this version"):
        load_weights(path)


def test_a_configuration_that_is_not_there_is_refused(saved, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(load_file(saved), path, metadata={"recolor": json.dumps({"format": FORMAT})})
    with pytest.raises(WeightsError, match="describes no networks of this version"):
        load_weights(path)


def drop(content):
    del content["refiner.out.bias"]


def add(content):
    content["refiner.second.bias"] = torch.zeros(3)


def reshape(content):
    content["generator.head.bias"] = torch.zeros(7)


def rename(content):
    content["generator.tail.bias"] = content.pop("generator.head.bias")


@pytest.mark.slow
@pytest.mark.parametrize("change", [drop, add, reshape, rename])
def test_tensors_that_do_not_fit_are_refused(saved, tmp_path, change):
    path = rewritten(saved, tmp_path / "other.safetensors", tensors=change)
    with pytest.raises(WeightsError, match=r"does not fit its configuration in [12] tensors"):
        load_weights(path)


@pytest.mark.parametrize("config", [{"width": 128}, {"grid": 20}, {"attention": 3}])
def test_tensors_of_another_configuration_are_refused(saved, tmp_path, config):
    path = rewritten(saved, tmp_path / "other.safetensors", generator=config)
    with pytest.raises(WeightsError, match=r"does not fit its configuration"):
        load_weights(path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_refused(saved, tmp_path, number):
    def poison(content):
        content["refiner.out.bias"][1] = number

    path = rewritten(saved, tmp_path / "other.safetensors", tensors=poison)
    with pytest.raises(WeightsError, match=r"NaN or infinity in refiner\.out\.bias"):
        load_weights(path)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.int16, torch.uint8, torch.bool, torch.float8_e4m3fn])
def test_tensors_of_another_dtype_are_refused(saved, tmp_path, dtype):
    def convert(content):
        content["refiner.out.bias"] = content["refiner.out.bias"].to(dtype)

    path = rewritten(saved, tmp_path / "other.safetensors", tensors=convert)
    with pytest.raises(WeightsError, match=r"in refiner\.out\.bias, expected floating point"):
        load_weights(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("refiner", {"blocks": 100_000}),
        ("refiner", {"width": 10**9}),
        ("refiner", {"detail": 2.0}),
        ("refiner", {"detail": True}),
        ("refiner", {"detail": "4"}),
        ("refiner", {"detail": 10**6}),
        ("generator", {"attention": 100_000}),
        ("generator", {"decoder": [16, 16, 2**30]}),
        ("generator", {"grid": 1}),
        ("memory", {"width": 2**20}),
    ],
)
def test_a_claim_of_a_giant_is_refused_before_it_takes_memory(saved, tmp_path, kind, config):
    path = rewritten(saved, tmp_path / "other.safetensors", **{kind: config})
    tracemalloc.start()
    name, _ = next(iter(config.items()))
    with pytest.raises(WeightsError, match=rf"no networks of this version \({kind}: .*{name}"):
        load_weights(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def test_a_large_claim_is_compared_with_the_file_before_it_takes_memory(
    saved, tmp_path, monkeypatch
):
    path = rewritten(saved, tmp_path / "other.safetensors", generator={"width": 1024})
    build = NETWORKS["generator"]
    built = []
    monkeypatch.setitem(
        NETWORKS, "generator", lambda *shape: built.append(build(*shape)) or built[0]
    )
    with pytest.raises(WeightsError, match="does not fit its configuration"):
        load_weights(path)
    assert all(parameter.is_meta for parameter in built[0].parameters())


# Fetching


class Handler(BaseHTTPRequestHandler):
    """Serves `content` at /good, a part of it at /dropped, at /shaky only from the third time on.

    It has nothing elsewhere.
    """

    content = b""
    requests: list[str]

    def do_GET(self):
        self.requests.append(self.path)
        if self.path not in ("/good", "/dropped", "/shaky"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        tries = self.requests.count(self.path)
        dropped = self.path == "/dropped" or (self.path == "/shaky" and tries < 3)
        self.wfile.write(self.content[: len(self.content) // 2] if dropped else self.content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[type[Handler]]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    handler = type("Serving", (Handler,), {"requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        handler.url = f"http://127.0.0.1:{http.server_port}"
        try:
            yield handler
        finally:
            http.shutdown()
            thread.join()


@pytest.mark.slow
def test_fetched_weights_are_kept_and_load_by_name(saved, as_record, cache, server):
    server.content = saved.read_bytes()
    record = as_record(server.content, url=f"{server.url}/good")
    path = fetch_weights("other")
    assert path == cache / "other.safetensors"
    assert path.read_bytes() == server.content
    assert load_weights("other").record == record
    assert fetch_weights("other") == path
    assert server.requests == ["/good"]  # the second time it was there


def test_a_damaged_file_in_the_cache_is_fetched_again(as_record, cache, server):
    server.content = b"good"
    as_record(b"good", url=f"{server.url}/good")
    cache.mkdir()
    (cache / "other.safetensors").write_bytes(b"bad")
    assert fetch_weights("other").read_bytes() == b"good"


def test_progress_needs_no_further_package(as_record, cache, server, monkeypatch, capsys):
    monkeypatch.setattr(pooch.downloaders, "tqdm", None)
    server.content = b"good"
    as_record(b"good", url=f"{server.url}/good")
    assert fetch_weights("other", progress=True).read_bytes() == b"good"
    assert not capsys.readouterr().out


def test_a_download_that_breaks_off_is_tried_again(as_record, cache, server):
    server.content = b"the whole file"
    as_record(server.content, url=f"{server.url}/shaky")
    assert fetch_weights("other").read_bytes() == server.content
    assert len(server.requests) == 3


@pytest.mark.parametrize("path", ["good", "missing", "dropped"])
def test_a_download_that_fails_leaves_nothing_behind(as_record, cache, server, path):
    server.content = b"another file, or half of it" * 1000
    expected = b"the file" if path == "good" else server.content
    as_record(expected, url=f"{server.url}/{path}")
    with pytest.raises(WeightsError, match=r"'other' could not be fetched from http.*connection"):
        fetch_weights("other")
    assert not cache.exists() or list(cache.iterdir()) == []


def test_no_server_is_a_failed_download(as_record, cache, server):
    server.server_close = None
    as_record(b"", url="http://127.0.0.1:9/good")  # the discard port: nobody listens
    with pytest.raises(WeightsError, match="'other' could not be fetched"):
        fetch_weights("other")


def test_bundled_weights_need_no_fetching():
    assert fetch_weights("default") == BUNDLED / "default.safetensors"
    with pytest.raises(WeightsError, match="weights by name"):
        fetch_weights("nosuch")
