"""Published weights: verified wherever they come from, and nothing half downloaded is ever taken for them."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torchvision import models

from pytorch_designer.directories.model_directory import open_model_directory
from pytorch_designer.errors import FailedToDownloadFilesError
from pytorch_designer.models import pretrained
from pytorch_designer.models.architectures import Architecture, build_network, find_architecture
from pytorch_designer.models.loading import load_model, network_for_classes
from pytorch_designer.models.pretrained import download_weights, verified_file
from pytorch_designer.models.saving import save_untrained_model
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

CONTENT = b"weights" * 1000
NAME = f"net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


class _Server(ThreadingHTTPServer):
    """Answers each request with the next of `answers`, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: list[tuple[int, bytes]] = [(200, CONTENT)]
        self.requested: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/models"


class _Answer(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requested.append(self.path)
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(CONTENT) if body else 0))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join(120)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch's own cache of weight files, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(pretrained, "FIRST_WAIT_SECONDS", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "torch" / "hub" / "checkpoints"


def _set_mirror(monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_WEIGHTS_MIRROR", mirror)
    settings.cache_clear()


def test_file_is_downloaded_once_into_torchs_cache(server: _Server, cache: Path) -> None:
    file = verified_file(f"{server.url}/{NAME}")
    assert file == cache / NAME
    assert file.read_bytes() == CONTENT
    assert verified_file(f"{server.url}/{NAME}") == file
    assert server.requested == [f"/models/{NAME}"]
    assert [path.name for path in cache.iterdir()] == [NAME]


def test_damaged_cached_file_is_replaced(server: _Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT[:-1])
    assert verified_file(f"{server.url}/{NAME}").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "faults",
    [[(503, b"")], [(500, b""), (429, b"")], [(200, CONTENT[:10])], [(200, CONTENT[::-1]), (200, CONTENT[:10])]],
    ids=["unavailable", "two answers", "cut off", "other bytes"],
)
def test_passing_fault_is_tried_again(server: _Server, faults: list[tuple[int, bytes]]) -> None:
    server.answers = [*faults, (200, CONTENT)]
    assert verified_file(f"{server.url}/{NAME}").read_bytes() == CONTENT
    assert len(server.requested) == len(faults) + 1


@pytest.mark.parametrize(
    ("answer", "num_requests", "said"),
    [
        ((404, b""), 1, "404"),
        ((503, b""), 3, "503"),
        ((200, CONTENT[::-1]), 3, "SHA-256"),
        ((200, CONTENT[:10]), 3, "SHA-256|IncompleteRead"),
    ],
    ids=["not found", "unavailable", "other bytes", "cut off"],
)
def test_lasting_fault_leaves_nothing_and_advises(
    server: _Server, cache: Path, answer: tuple[int, bytes], num_requests: int, said: str
) -> None:
    server.answers = [answer]
    with pytest.raises(FailedToDownloadFilesError, match=said) as caught:
        verified_file(f"{server.url}/{NAME}")
    assert len(server.requested) == num_requests
    assert list(cache.iterdir()) == []
    assert {"TORCH_HOME", "PYTORCH_DESIGNER_WEIGHTS_MIRROR"} <= set(caught.value.advice.replace(",", "").split())
    assert str(cache) in caught.value.advice


def test_no_network_is_a_named_error() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as closed:
        port = closed.server_address[1]
    with pytest.raises(FailedToDownloadFilesError, match="refused"):
        verified_file(f"http://127.0.0.1:{port}/{NAME}")


@pytest.mark.parametrize(
    ("end", "query"), [("", ""), ("/", ""), ("?sv=1&sig=a%2Fb", "?sv=1&sig=a%2Fb"), ("/?sv=1", "?sv=1")]
)
def test_mirror_address_takes_the_place_of_the_published_one(
    server: _Server, monkeypatch: pytest.MonkeyPatch, end: str, query: str
) -> None:
    _set_mirror(monkeypatch, server.url + end)
    assert verified_file(f"http://published.invalid/{NAME}").read_bytes() == CONTENT
    assert server.requested == [f"/models/{NAME}{query}"]


@pytest.mark.parametrize("as_mirror", [str, Path.as_uri], ids=["path", "file address"])
def test_mirror_folder_is_used_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_mirror: Callable[[Path], str]
) -> None:
    folder = tmp_path / "my mirror"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    _set_mirror(monkeypatch, as_mirror(folder))
    assert verified_file(f"http://published.invalid/{NAME}") == folder / NAME


def test_mirror_folder_without_the_file_or_with_another_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_mirror(monkeypatch, str(tmp_path))
    with pytest.raises(FailedToDownloadFilesError, match="does not have"):
        verified_file(f"http://published.invalid/{NAME}")
    (tmp_path / NAME).write_bytes(b"other")
    with pytest.raises(FailedToDownloadFilesError, match="SHA-256"):
        verified_file(f"http://published.invalid/{NAME}")


def test_mirror_of_another_kind_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _set_mirror(monkeypatch, "ftp://mirror.invalid/")
    with pytest.raises(FailedToDownloadFilesError, match="neither a folder nor"):
        verified_file(f"http://published.invalid/{NAME}")


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_no_published_file_is_taken_with_other_content(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = models.get_model_weights(name).DEFAULT.url
    (tmp_path / url.rpartition("/")[2]).write_bytes(b"other")
    _set_mirror(monkeypatch, str(tmp_path))
    with pytest.raises(FailedToDownloadFilesError, match="SHA-256"):
        verified_file(url)


def test_pretrained_model_is_stored_with_weights_and_preprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: Callable[[dict[str, Tensor], str], Path]
) -> None:
    torch.manual_seed(0)
    source = models.squeezenet1_1(weights=None)
    file = publish(source.state_dict(), "squeezenet1_1")
    monkeypatch.setattr(models.SqueezeNet1_1_Weights.DEFAULT.value, "url", f"http://published.invalid/{file.name}")
    _set_mirror(monkeypatch, str(file.parent))

    save_untrained_model(tmp_path / "model", Architecture("squeezenet1_1"), pretrained=True)

    loaded = load_model(open_model_directory(tmp_path / "model"))
    assert loaded.has_weights
    assert loaded.preprocessing is not None
    assert (loaded.preprocessing.resize_size, loaded.preprocessing.crop_height) == (256, 224)
    network = network_for_classes(loaded, ["a", "b"])
    assert torch.equal(network.get_parameter("features.0.weight"), source.features[0].weight)
    assert network.get_parameter("classifier.1.weight").shape[0] == 2


@pytest.mark.slow
def test_densenets_dotted_names_are_brought_up_to_date(
    monkeypatch: pytest.MonkeyPatch, publish: Callable[[dict[str, Tensor], str], Path]
) -> None:
    state = models.densenet121(weights=None).state_dict()
    dotted = {name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): state[name] for name in state}
    file = publish(dotted, "densenet121")
    monkeypatch.setattr(models.DenseNet121_Weights.DEFAULT.value, "url", f"http://published.invalid/{file.name}")
    _set_mirror(monkeypatch, str(file.parent))
    assert download_weights(Architecture("densenet121")).keys() == state.keys()


def test_auxiliary_heads_are_left_out(
    monkeypatch: pytest.MonkeyPatch, publish: Callable[[dict[str, Tensor], str], Path]
) -> None:
    state = build_network(Architecture("googlenet"), None).state_dict()
    file = publish({**state, "aux1.fc2.bias": torch.ones(3)}, "googlenet")
    monkeypatch.setattr(models.GoogLeNet_Weights.DEFAULT.value, "url", f"http://published.invalid/{file.name}")
    _set_mirror(monkeypatch, str(file.parent))
    assert download_weights(Architecture("googlenet")).keys() == state.keys()


def test_failed_download_leaves_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_mirror(monkeypatch, str(tmp_path / "empty"))
    with pytest.raises(FailedToDownloadFilesError):
        save_untrained_model(tmp_path / "model", Architecture("squeezenet1_1"), pretrained=True)
    assert not (tmp_path / "model").exists()


def test_timm_weights_that_cannot_be_had_are_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FailedToDownloadFilesError, match="timm"):
        download_weights(find_architecture("timm/test_resnet"))
