"""Text of others is shown without what a terminal obeys and without secrets."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytorch_designer.shown_text import on_one_line, printable, program_line, redacted

SECRET = "SEcret9xy"

WITH_SECRETS = {
    "signature of an address": "https://a.blob.core.windows.net/c?sv=1&se=2026&sig={}%3D&sp=r",
    "signature, quoted once more": "u%3Fsv%3D1%26sig%3D{}",
    "shared access signature": "SharedAccessSignature=sv=2&sig={}",
    "account key": "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={}==;EndpointSuffix=core.windows.net",
    "account key that begins with a slash": "AccountKey=/{}==",
    "shared access key": "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey={}",
    "connection string": "Server=tcp:x,1433;User ID=u;Password={};Encrypt=yes",
    "short name in a connection string": "Uid=u;Pwd={};",
    "bearer": "Authorization: Bearer {}",
    "basic": "Authorization: Basic {}==",
    "another scheme": "Authorization: token {}",
    "header in a dict": "{{'Authorization': 'Bearer {}'}}",
    "header in JSON": '{{"authorization": "Basic {}"}}',
    "header in a tuple": "[('Authorization', 'Bearer {}')]",
    "header of a key": "Ocp-Apim-Subscription-Key: {}",
    "cookie": "Cookie: session={}; other={}",
    "web token": "it was eyJ{}.eyJ{}.{}",
    "client secret in a form": "grant_type=x&client_secret={}&scope=y",
    "client secret in JSON": '{{"client_secret": "{}"}}',
    "client secret in JSON in a text": '{{\\"client_secret\\": \\"{}\\"}}',
    "client secret in YAML": "tenant: x\nclient_secret: {}\nother: y",
    "client secret in camel case": "clientSecret: '{}'",
    "client secret of Python": "ClientSecretCredential(client_secret='{}')",
    "client secret, quoted": "client_secret%3D{}",
    "variable": "AZURE_CLIENT_SECRET={} python x.py",
    "variable of MLflow": "MLFLOW_TRACKING_TOKEN={}",
    "access token": "https://x/y?access_token={}&z=1",
    "access token in JSON": '{{"access_token":"{}","refresh_token":"{}"}}',
    "user and password": "https://user:{}@host/path",
    "password with a slash": "postgresql://user:a/{}@host:5432/db",
    "token as user": "cannot clone https://{}@github.com/x/y",
    "password": "password={}",
    "password in YAML": "password: {} with blanks {}",
    "password in XML": "<password>{}</password>",
    "option": "tool --password {} --other",
    "key of an interface": "x-api-key: {}",
    "key of Amazon": "aws_secret_access_key = {}",
    "token of GitHub": "ghp_{0}{0}{0}",
    "fine-grained token of GitHub": "github_pat_{0}{0}{0}",
    "token of Hugging Face": "hf_{0}{0}{0}",
    "token of Azure DevOps": "AZURE_DEVOPS_EXT_PAT={}",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "private key that was cut": "-----BEGIN PRIVATE KEY-----\\n{}",
}

WITHOUT_SECRETS = (
    "found character '@' that cannot start any token in line 3",
    "max_tokens=5, num_tokens: 7",
    "EnvironmentCredential: unavailable. Set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET.",
    "https://host:443/path?x=1 and https://host/a@b",
    "PWD=/home/x",
    "Basic authentication failed with exit code=1",
    "secret_images/cat: 12 images",
    "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "azureml://registries/azureml/components/score/versions/2",
)


@pytest.mark.parametrize("text", WITH_SECRETS.values(), ids=WITH_SECRETS)
def test_secrets_are_cut_out(text: str) -> None:
    shown = redacted(f"before {text.format(*[SECRET] * 3)}")
    assert SECRET not in shown
    assert shown.startswith("before ")


@pytest.mark.parametrize(
    "token",
    [
        "a2b3" * 13,  # Azure DevOps
        f"{'aB1' * 26}AZDOaB12",
        "aB18Q~" + "x9Y~" * 8 + "ab",  # Entra ID
        "a1B2" * 21 + "ab==",  # a storage account's key
        "AKIA" + "A1B2" * 4,
        "glpat-" + "x1Y2" * 5,
    ],
)
def test_tokens_are_known_by_their_shape(token: str) -> None:
    assert token not in redacted(f"refused {token}, sorry")


@pytest.mark.parametrize("text", WITHOUT_SECRETS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_follows_a_secret_stays() -> None:
    assert redacted("a?sig=x&sp=r b") == "a?sig=***&sp=r b"
    assert redacted("AccountKey=x;EndpointSuffix=core") == "AccountKey=***;EndpointSuffix=core"
    assert redacted("https://u:p@host/path") == "https://***@host/path"


@pytest.mark.slow
def test_long_texts_take_no_time() -> None:
    started = time.process_time()
    for text in ("a", "a.", "://", "token ", "token=", "a://b:", '"', "eyJ", "<token>", "-----BEGIN PRIVATE KEY-----"):
        redacted(text * (20_000 // len(text)))
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b]0;title\x07", r"a\x1b[31mred\x1b]0;title\x07"),
        ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("bytes \udcff", r"bytes \udcff"),
        ("over\rwritten", r"over\rwritten"),
        ("Ünïcödé 日本 \u00a0\u200d👩", "Ünïcödé 日本 \u00a0\u200d👩"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_name_cannot_make_a_line_of_its_own() -> None:
    assert on_one_line("a\nError: b\tc") == r"a\nError: b\tc"


def test_colors_of_programs_are_dropped_and_the_rest_is_written_out() -> None:
    assert program_line("\x1b[1;32mok\x1b[0m \x1b]0;title\x07\x1bc\x1b[2A") == r"ok \x1bc"


@pytest.mark.slow
@pytest.mark.parametrize("traceback", ["0", "1"])
def test_errors_and_tracebacks_are_shown_without_secrets_and_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traceback: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTORCH_DESIGNER_TRACEBACK", traceback)
    for raised in ("InvalidSpecError", "RuntimeError"):
        program = (
            "from pytorch_designer.cli.boundary import run_guarded\n"
            "from pytorch_designer.errors import InvalidSpecError\n"
            f"def fail(): raise {raised}('\\x1b[31m {{\"client_secret\": \"' + 'SEcret' + '9xy' + '\"}}')\n"
            "raise SystemExit(run_guarded(fail))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
        info = (tmp_path / "outputs" / "error_info.json").read_text(encoding="utf-8")
        assert done.returncode == 1
        assert "client_secret" in done.stderr
        assert "client_secret" in info
        for shown in (done.stderr, info):
            assert SECRET not in shown
            assert "\x1b" not in shown
