"""A program that stands in for `docker`: it writes down how it was called, and runs the command of `run`.

    FOLDER/calls.jsonl          the arguments of each call
    FOLDER/images/              an empty file for each image that is there
    FOLDER/containers/NAME      the process group of each container, which is no descendant of the client

It is a program of its own: no module of this project is imported.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

FOLDER = Path(os.environ["STAND_IN_DOCKER"])
VALUED = {
    *("--name", "--label", "--network", "--shm-size", "--workdir", "--security-opt", "--user", "--gpus"),
    *("--env", "--mount", "--entrypoint"),
}


def run(arguments: list[str]) -> int:
    """Run a command in a session of its own, with the named variables alone, until it ends or is removed."""
    given: dict[str, list[str]] = {}
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("--"):
            break
        if word in VALUED:
            given.setdefault(word, []).append(next(rest))
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    for text in given["--env"]:
        name, has_value, value = text.partition("=")
        if name != "DESIGNER_HARNESS_JOB" and (has_value or name in os.environ):  # it is to be found by name alone
            variables[name] = value if has_value else os.environ[name]
    command = [given["--entrypoint"][0], *rest]
    process = subprocess.Popen(command, cwd=given["--workdir"][0], env=variables, start_new_session=True)
    record = FOLDER / "containers" / given["--name"][0]
    record.write_text(str(process.pid))
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(process.pid, signal.SIGTERM))
    code = process.wait()
    record.unlink(missing_ok=True)
    return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Do what `docker` would do."""
    with (FOLDER / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    match arguments:
        case ["info"]:
            print("Server:\n Runtimes: io.containerd.runc.v2 runc")
        case ["image", "inspect", name]:
            return 0 if (FOLDER / "images" / name).exists() else 1
        case ["pull", name]:
            print(f"pulling {name}")
            if "missing" in name:
                print("manifest unknown", file=sys.stderr)
                return 1
            (FOLDER / "images" / name).touch()
        case ["build", "--iidfile", made, "--file", dockerfile, context]:
            (FOLDER / "Dockerfile").write_text(Path(dockerfile).read_text())
            (FOLDER / "context.json").write_text(json.dumps(sorted(path.name for path in Path(context).iterdir())))
            Path(made).write_text("sha256:built")
        case ["run", *options]:
            return run(options)
        case ["rm", "--force", name]:
            record = FOLDER / "containers" / name
            if record.exists():
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.killpg(int(record.read_text()), signal.SIGKILL)
                record.unlink(missing_ok=True)
        case _:
            print(f"unknown: {arguments}", file=sys.stderr)
            return 125
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
