"""Set everything up, then run a task: ``python3 run.py serve`` or ``python3 run.py tests``.

Needs Python 3.11 or newer with venv, and nothing else. Makes ``.venv`` beside this file, puts Nox
into it and hands over to noxfile.py, whose sessions install the rest. Written so that any Python
can parse it, because a Python that is too old must still be able to say so.
"""

import os
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")


def stop(message):
    sys.exit("run.py: " + message)


def capture(command):
    """Run ``command``; return its exit status and all it printed."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate()[0].decode("utf-8", "replace")
    return process.returncode, output


def make_environment():
    if os.path.exists(PYTHON) and capture([PYTHON, "-c", "import nox"])[0] == 0:
        return
    status, output = capture([sys.executable, "-m", "venv", VENV])
    if status != 0:
        stop("this Python cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv).")
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--retries", "2"]
    status, output = capture(install + ["-c", os.path.join(ROOT, "constraints.txt"), "nox"])
    if status != 0:
        stop("could not install Nox: " + reason(output))


def reason(output):
    """Say in one line why pip failed."""
    if "No matching distribution" in output or "NewConnectionError" in output or "ConnectionError" in output:
        return "no package index could be reached. Check the network, then run this again."
    last = [line for line in output.splitlines() if line.startswith("ERROR")]
    return last[-1] if last else "pip failed. Run it by hand to see more: " + PYTHON + " -m pip install nox"


def main(arguments):
    if sys.version_info < OLDEST:
        have = ".".join(str(part) for part in sys.version_info[:3])
        stop("dlbook needs Python 3.11 or newer, and this is Python " + have + ". Try python3.11 run.py, or newer.")
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        arguments = ["--list"]
    elif not arguments[0].startswith("-"):
        arguments = ["--session"] + arguments
    make_environment()
    try:
        return subprocess.call([PYTHON, "-m", "nox", "--noxfile", os.path.join(ROOT, "noxfile.py")] + arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
