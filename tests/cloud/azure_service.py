"""Local stand-in for Azure ML: records the requests of the real azure-ai-ml and answers them.

Requests arrive through a transport instead of the network. The client is created with this transport; the SDK's
storage clients, which it creates itself for uploads, are patched to use it (`conftest.py`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import HttpTransport, RequestsTransportResponse
from azure.core.rest import HttpRequest
from azure.core.rest._requests_basic import RestRequestsTransportResponse

STORAGE = "https://account.blob.core.windows.net"
SIGNATURE = "c2lnbmF0dXJlLW9mLXRoZS11cGxvYWQ"
TOKEN_SECRET = "secret-part-of-the-token"

_REGISTRY = {
    "registryName": "shared",
    "primaryRegion": "westeurope",
    "primaryRegionResourceProviderUri": "https://cert-westeurope.experiments.azureml.net/",
    "subscriptionId": "11111111-1111-1111-1111-111111111111",
    "resourceGroup": "registry-group",
}
_UPLOAD = {
    "blobUri": f"{STORAGE}/uploads",
    "storageAccountArmId": "/subscriptions/s/storage",
    "credential": {"credentialType": "SAS", "sasUri": f"{STORAGE}/uploads?sv=2024&sig={SIGNATURE}"},
}
_DATASTORE = {
    "id": "/datastores/workspaceblobstore",
    "name": "workspaceblobstore",
    "properties": {
        "datastoreType": "AzureBlob",
        "accountName": "account",
        "containerName": "files",
        "credentials": {"credentialsType": "Sas"},
    },
}
FIXED_ANSWERS: tuple[tuple[str, Any], ...] = (
    (r"GET .*/discovery", _REGISTRY),
    (r"PUT .*/tempdatarefs/.*", {"blobReferenceForConsumption": _UPLOAD}),
    (r"POST .*/startPendingUpload", {"blobReferenceForConsumption": _UPLOAD}),
    (r"GET .*/datastores/workspaceblobstore", _DATASTORE),
    (r"POST .*/listSecrets", {"secretsType": "Sas", "sasToken": f"sv=2024&sig={SIGNATURE}"}),
    (r"GET .*/versions", {"value": []}),
)


@dataclass(frozen=True)
class Request:
    """A recorded request."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class AzureService:
    """Records every request and answers as Azure ML does, or with a failure if the request matches `failing`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._created: dict[str, Any] = {}
        self.failing: tuple[str, Answer] | None = None

    def of(self, method: str, pattern: str) -> list[Request]:
        """The requests to Azure ML with this method and a path that ends with a match of `pattern`."""
        asked = [r for r in self.requests if r.method == method and f"https://{r.host}" != STORAGE]
        return [r for r in asked if re.search(f"{pattern}$", r.path)]

    def answer(self, method: str, address: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(address)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        request = Request(method, parts.netloc, parts.path, query, headers, body)
        self.requests.append(request)
        if self.failing is not None and re.search(self.failing[0], f"{method} {parts.path}"):
            return self.failing[1]
        if address.startswith(STORAGE):
            return self._storage(request)
        return self._management(request)

    def _storage(self, request: Request) -> Answer:
        if request.method == "PUT":
            return Answer(200 if request.query.get("comp") == "metadata" else 201)
        return Answer(404, headers={"x-ms-error-code": "BlobNotFound"})

    def _management(self, request: Request) -> Answer:
        for pattern, body in FIXED_ANSWERS:
            if re.fullmatch(pattern, f"{request.method} {request.path}"):
                return Answer(200, body)
        if request.method == "PUT":
            asset_id = re.sub(r".*/(registries/.*)", r"azureml://\1", request.path)
            self._created[request.path] = {"id": asset_id, "name": request.path.rsplit("/", 1)[-1], **request.json}
            return Answer(201, self._created[request.path])
        if request.path in self._created:
            return Answer(200, self._created[request.path])
        return Answer(404, {"error": {"code": "NotFound", "message": f"{request.path} was not found"}})


class ServiceTransport(HttpTransport):
    """Transport to the service in this process."""

    def __init__(self, service: AzureService) -> None:
        self._service = service

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, request: Any, **_: Any) -> Any:
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        answer = self._service.answer(request.method, request.url, dict(request.headers), content)
        response = requests.Response()
        response.status_code = answer.status
        response._content = b"" if answer.body is None else json.dumps(answer.body).encode()
        response._content_consumed = True
        response.headers["Content-Type"] = "application/json"
        response.headers.update(answer.headers)
        response.request = requests.Request(request.method, request.url).prepare()
        if isinstance(request, HttpRequest):
            return RestRequestsTransportResponse(request=request, internal_response=response)
        return RequestsTransportResponse(request, response)


class Login:
    """A valid credential."""

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        claims = {"aud": scopes[0].removesuffix("/.default"), "secret": TOKEN_SECRET}
        return AccessToken(jwt.encode(claims, "k" * 32), 4_102_444_800)
