"""Every check in one command: `python tests/run.py [arguments for pytest]`.

Installs what the checks need into the Python that runs it, makes sure that there is a browser,
then checks style, types and behavior. Ends with status 1 if anything failed, and says what.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHECKS = {
    "ruff check": ["ruff", "check"],
    "ruff format": ["ruff", "format", "--check"],
    "mypy": ["mypy"],
    "pytest": ["pytest"],
}


def call(*command: str) -> bool:
    """Run a command in the repository's folder, its output as it comes; whether it succeeded."""
    print("$", " ".join(command), flush=True)
    return subprocess.run(command, cwd=ROOT).returncode == 0


def installed_browser() -> str | None:
    """The browser on the PATH, if there is one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def playwrights_browser() -> str | None:
    """The browser that playwright downloaded, if it did."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def browser() -> str | None:
    """Path of a Chromium-like browser."""
    return installed_browser() or playwrights_browser()


def get_browser() -> bool:
    """Install a browser unless there is one: Debian's as root, else playwright's own."""
    if browser():
        return True
    debian = shutil.which("apt-get") and platform.freedesktop_os_release().get("ID") != "ubuntu"
    if debian and os.geteuid() == 0:  # Ubuntu's package is a snap, which containers cannot run
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        install = ("apt-get", "install", "-y", "--no-install-recommends", "chromium")
        if call("apt-get", "update") and call(*install):
            return browser() is not None
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(-1, "--with-deps")
    return call(*command) and browser() is not None


def main(arguments: list[str]) -> int:
    """Install, check, and tell what failed."""
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    if not call(*pip, "-r", str(REQUIREMENTS)):
        print("tests/requirements.txt must be installed, but pip failed: see above.")
        return 1
    if not get_browser():
        print(
            "The browser checks need Chromium, and none could be installed: "
            "install it by hand so that 'chromium' is on the PATH, and run this again."
        )
        return 1
    failed = []
    for name, command in CHECKS.items():
        more = arguments if name == "pytest" else []
        if not call(sys.executable, "-m", *command, *more):
            failed.append(name)
    print("Failed: " + ", ".join(failed) + "." if failed else "All checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
