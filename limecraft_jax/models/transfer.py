"""One file over the network: https only, never more than agreed, going on where it broke off.

The standard library alone. What arrives lies in a part file, and beside it the mark (ETag) by which
the server tells whether it still has the same contents; without one a download starts over.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limecraft_jax import __version__
from limecraft_jax.types import InputError

CHUNK = 1 << 18  # bytes read at once
TRIES = 5  # connections for one file, as long as each brings something
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Progress = Callable[[int, int], None]


class Unreachable(Exception):
    """There is no way to the server; the text says why."""


def transfer(
    url: str,
    part: Path,
    most: int,
    progress: Progress | None = None,
    timeout: float = 30.0,
    loopback: bool = False,
) -> None:
    """Bring a file into `part`, after what an earlier attempt left there.

    Parameters
    ----------
    url
        Where it is; https, and so is every address that the server sends us on to.
    part
        Where it goes. It stays if the download breaks off or `progress` raises.
    most
        Most bytes that are accepted.
    progress
        Told (bytes so far, bytes in all or 0 if the server does not say) after every piece.
    timeout
        Seconds of silence after which a connection is given up.
    loopback
        Also allow http to this very machine; for tests.

    Raises
    ------
    Unreachable
        No connection: no network, no such host, refused, silent.
    InputError
        Anything else that the server did.
    OSError
        The part file cannot be written.
    """
    _check(url, loopback)
    opener = _opener(loopback)
    for _ in range(TRIES):
        before = size(part)
        why = _attempt(opener, url, part, most, progress, timeout)
        if not why:
            return
        if size(part) == before:
            break
    raise InputError(
        f"a download must be whole, but that of {url} broke off after {size(part) / 1e6:.1f} MB "
        f"({why}): try again, it goes on from there."
    )


def size(path: Path) -> int:
    """Bytes in a file; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def discard(part: Path) -> None:
    """Forget what arrived."""
    part.unlink(missing_ok=True)
    _mark(part).unlink(missing_ok=True)


def _mark(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _check(url: str, loopback: bool) -> None:
    where = urllib.parse.urlsplit(url)
    if where.scheme == "https" or (
        loopback and where.scheme == "http" and where.hostname in LOOPBACK
    ):
        return
    raise InputError(
        f"a download must stay on https, but the way leads to {url}: "
        "do not go on, and ask the publisher."
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where a download may go."""

    def __init__(self, loopback: bool):
        self.loopback = loopback

    def http_error_302(self, req, fp, code, msg, headers):
        try:
            _check(urllib.parse.urljoin(req.full_url, headers.get("location", "")), self.loopback)
        except InputError:
            fp.close()
            raise
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener(loopback: bool) -> urllib.request.OpenerDirector:
    """An opener that knows https and nothing else: neither file:// nor ftp://."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if loopback else None),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPSHandler(),
        _Redirects(loopback),
        *([urllib.request.HTTPHandler()] if loopback else []),
    ):
        opener.add_handler(handler)
    return opener


def _attempt(
    opener: urllib.request.OpenerDirector,
    url: str,
    part: Path,
    most: int,
    progress: Progress | None,
    timeout: float,
) -> str:
    """One connection; why the file is not whole after it, or nothing."""
    with contextlib.closing(_open(opener, url, part, timeout)) as response:
        done, total = _place(response, part)
        if done < 0:
            discard(part)
            return "the server went on with another file"
        with part.open("r+b" if done else "wb") as file:
            file.seek(done)
            if not done:
                _mark(part).write_text(response.headers.get("ETag", ""), encoding="utf-8")
            while max(done, total) <= most:
                piece = _read(response)
                if isinstance(piece, str):
                    return piece
                if not piece:
                    return "the server closed the connection" if done < total else ""
                file.write(piece)
                done += len(piece)
                if progress:
                    file.flush()
                    progress(done, total)
    discard(part)
    raise InputError(
        f"a download may take {most} bytes, but {url} holds "
        f"{total or f'more than {most}'}: this cannot be the file that was meant."
    )


def _open(opener: urllib.request.OpenerDirector, url: str, part: Path, timeout: float) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": f"limecraft-jax/{__version__}"})
    mark = _mark(part).read_text(encoding="utf-8") if _mark(part).exists() else ""
    if size(part) and mark.startswith('"'):
        # From the last byte that we have: also a file that is whole has something to send.
        request.add_header("Range", f"bytes={size(part) - 1}-")
        request.add_header("If-Range", mark)
    try:
        return opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(url, error.code) from None
    except urllib.error.URLError as error:
        raise Unreachable(f"{error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{error or type(error).__name__}") from None


def _refused(url: str, code: int) -> InputError:
    reason = http.client.responses.get(code, "")
    if code == 429 or code >= 500:
        return InputError(
            f"{url} must answer with a file, got {code} {reason}: try again in a while."
        )
    return InputError(
        f"{url} must answer with a file, got {code} {reason}: the publisher may have moved it; "
        "find it there, download it by hand and give its path with --file."
    )


def _place(response: Any, part: Path) -> tuple[int, int]:
    """Where the answer begins in the file, and how long the file is or 0; (-1, 0) if it misfits."""
    if response.status != 206:
        return 0, response.length or 0
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    same = response.headers.get("ETag", "") == _mark(part).read_text(encoding="utf-8")
    if not (told and same and int(told[1]) == size(part) - 1):
        return -1, 0
    return int(told[1]), 0 if told[2] == "*" else int(told[2])


def _read(response: Any) -> bytes | str:
    """The next piece, empty at the end; a text says why there is none."""
    try:
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
