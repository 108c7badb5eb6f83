"""Text of others, made fit to be shown: without control characters that a terminal obeys, and without secrets.

File names, values in YAML files and lines of other programs may hold any bytes. An escape sequence in them could move
the cursor, change what was printed before, or set the window's title. Messages of libraries often quote what they were
given: addresses with passwords, headers, connection strings.
"""

from __future__ import annotations

import re

_HIDDEN = "***"
# C0 and C1 controls but for tab and line feed, marks that reverse the reading direction, line separators, and halves of
# surrogate pairs, with which Python stands for bytes that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_LINE_CONTROLS = re.compile("[\t\n]")
_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")

_NAME = (
    r"(?:secret|passw(?:or)?d|passphrase|(?<![a-z])pwd|(?<![a-z])pat|token|credentials?json"
    r"|(?:api|account|access|subscription|shared|storage|private|signing|master|encryption|instrumentation)[_-]?key"
    r"|signature|authorization|cookie)"
)
_QUOTE = r"\\{0,3}[\"']"
_QUOTED = rf"(?P<quote>{_QUOTE})(?:(?!(?P=quote)).)*(?P=quote)"
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        (r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", rf"\1{_HIDDEN}"),
        # user:password@ and token@ in an address. A password may hold a slash; a port, which looks alike, may not.
        (r"(?<=://)[^\s/'\"<>@:]{0,200}:(?!\d+(?:[/?#]|$))[^\s'\"<>]{0,400}@", f"{_HIDDEN}@"),
        (r"(?<=://)[^\s/'\"<>]{1,400}@", f"{_HIDDEN}@"),
        # "name": "value", 'name': 'value', name = "value", ("name", "value")
        (rf"({_NAME}(?:{_QUOTE})?\s*(?:=>|[:=]|%3[AD])\s*b?){_QUOTED}", rf"\1{_HIDDEN}"),
        (rf"({_NAME}{_QUOTE}\s*,\s*b?){_QUOTED}", rf"\1{_HIDDEN}"),
        (rf"({_NAME}>)[^<]+(?=</)", rf"\1{_HIDDEN}"),
        (rf"(--?[\w-]{{0,40}}{_NAME}\s+)(?!-)\S+", rf"\1{_HIDDEN}"),
        (r"\b((?:proxy-)?authorization\s*[:=]\s*)[^\n\"',}]+", rf"\1{_HIDDEN}"),
        (r"\b((?:set-)?cookie\s*:\s*)[^\n\"']+", rf"\1{_HIDDEN}"),
        # name=value in queries, forms and connection strings; name: value in YAML and headers
        (rf"({_NAME}(?:{_QUOTE})?(?:=|%3D))(?<!pwd=)[^\s&;,'\"<>)\]}}]+", rf"\1{_HIDDEN}"),
        (rf"({_NAME}(?:{_QUOTE})?\s*[:=]\s+)[^\s,;}}\]][^\n,;}}\]]*", rf"\1{_HIDDEN}"),
        (rf"({_NAME}(?:{_QUOTE})?:)(?![\s/\\])[^\s,;}}\]'\"]+", rf"\1{_HIDDEN}"),
        (r"(\bpwd=)(?!/)[^\s&;,'\"<>)\]}]+", rf"\1{_HIDDEN}"),  # PWD=/folder is a shell's working directory
        (r"((?:\b|%26|%3F)sig(?:=|%3D)|[?&](?:se|st|skoid|sktid|code|key)=)[^&\s\"'<>;]+", rf"\1{_HIDDEN}"),
        (r"\b(bearer\s+)[\w.~+/=-]{6,}", rf"\1{_HIDDEN}"),
        # Tokens that are known by their shape
        (r"\beyJ[\w-]+\.[\w-]+\.?[\w-]*", _HIDDEN),
        (r"\b(?:gh[opsur]_|github_pat_|glpat-|hf_|npm_|pypi-|dapi|xox[a-z]-|sk-|sk_live_|rk_live_)[\w-]{16,}", _HIDDEN),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", _HIDDEN),
        (r"\bAIza[\w-]{35}", _HIDDEN),
        (r"\b[\w.~-]{3}\dQ~[\w.~-]{30,36}", _HIDDEN),  # client secrets of Entra ID
        (r"\b[a-z0-9]{60,80}AZDO[a-z0-9]{4}\b", _HIDDEN),  # Azure DevOps; the next one is its older form
        (r"(?<![a-z0-9])(?-i:[a-z2-7]{52})(?![a-z0-9])", _HIDDEN),
        (r"(?<![\w+/])[\w+/]{86}==", _HIDDEN),  # keys of storage accounts
    )
)


def printable(text: str) -> str:
    """`text` with each character that a terminal would obey written as Python writes it; line ends and tabs stay."""
    return _UNSAFE.sub(_written, text)


def on_one_line(text: str) -> str:
    """`printable` for a name or value: line ends and tabs are written out too."""
    return _LINE_CONTROLS.sub(_written, printable(text))


def with_empty_named(line: str) -> str:
    """A line of a list; where what it should name is empty or blank, as in "line 2: ", it says so."""
    line = line.rstrip()
    return f"{line} (empty)".lstrip() if not line or line.endswith(":") else line


def program_line(line: str) -> str:
    """A line of another program's output: its colors and cursor movements dropped, the rest `printable`."""
    return printable(_TERMINAL_SEQUENCE.sub("", line))


def redacted(text: str) -> str:
    """`text` without passwords, tokens, keys and signatures, as far as they can be recognized."""
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    return text


def spreadsheet_text(text: str) -> str:
    """`text` for a cell of a CSV file for people: what a spreadsheet would take for a formula begins with a `'`."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _written(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
