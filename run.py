"""Set everything up, then run a task: ``python3 run.py serve`` or ``python3 run.py tests``.

Needs Python 3.11 or newer with venv, and nothing else. Makes ``.venv`` beside this file, puts Nox
into it and hands over to noxfile.py, whose sessions install the rest. Written so that any Python
can run it, because a Python that is too old must still be able to say so.
"""

import os
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, *(["Scripts", "python.exe"] if os.name == "nt" else ["bin", "python"]))
OFFLINE = ("No matching distribution", "ConnectionError")


def stop(message):
    sys.exit("run.py: " + message)


def capture(command):
    """Run ``command``; return its exit status and all it printed."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate()[0].decode("utf-8", "replace")
    return process.returncode, output


def make_environment():
    """Make ``.venv`` with Nox in it, unless it is there."""
    if os.path.exists(PYTHON) and capture([PYTHON, "-c", "import nox"])[0] == 0:
        return
    if capture([sys.executable, "-m", "venv", VENV])[0] != 0:
        stop("this Python lacks venv. On Debian and Ubuntu: apt install python3-venv.")
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--retries", "2"]
    status, output = capture(install + ["-c", os.path.join(ROOT, "constraints.txt"), "nox"])
    if any(sign in output for sign in OFFLINE):
        stop("no package index could be reached. Check the network, then run this again.")
    if status != 0:
        errors = [line for line in output.splitlines() if line.startswith("ERROR")]
        stop("could not install Nox. " + (errors or [output.strip()])[-1])


def main(arguments):
    if sys.version_info < OLDEST:
        have = ".".join(str(part) for part in sys.version_info[:3])
        stop("dlbook needs Python 3.11 or newer, and this is Python " + have + ".")
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        arguments = ["--list"]
    elif not arguments[0].startswith("-"):
        arguments = ["--session"] + arguments
    make_environment()
    nox = [PYTHON, "-m", "nox", "--noxfile", os.path.join(ROOT, "noxfile.py")]
    try:
        return subprocess.call(nox + arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
