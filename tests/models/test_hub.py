"""Public weights: cards that tell the truth, and downloads from a server that misbehaves."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import json
import math
import os
import re
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import trustme
from flax import nnx
from safetensors.numpy import load_file, save

from limecraft_jax import cli, models
from limecraft_jax.cli import downloads
from limecraft_jax.models import hub, networks
from limecraft_jax.models.card import WEIGHTS, ModelCard, Source, class_list
from limecraft_jax.types import InputError

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = models.PUBLIC
ARRAY = np.random.default_rng(0).random((150, 1000), np.float32)
DATA = save({"dense.kernel": ARRAY})
OTHER = save({"dense.kernel": ARRAY + 1})
SHA = hashlib.sha256(DATA).hexdigest()
HALF = len(DATA) // 2


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file, as badly as the test asks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append(dict(self.headers))
        self.close_connection = True
        plan = server.plans.pop(0) if server.plans else "good"
        getattr(self, f"do_{plan}")()

    def log_message(self, *_):
        pass

    def answer(self, code, headers, body=b""):
        self.send_response(code)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        with contextlib.suppress(OSError):  # the other side may have had enough
            self.wfile.write(body)

    def do_good(self, sent=None):
        data, start = self.server.data, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range") == self.server.tag:
            start = int(asked[1])
        body = data[start:]
        headers = {"Content-Length": len(body), "ETag": self.server.tag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206 if start else 200, headers, body[:sent])

    def do_cut(self):
        self.do_good(sent=HALF)

    def do_nothing(self):
        self.do_good(sent=0)

    def do_silent(self):
        self.do_good(sent=HALF)
        self.server.end.wait(10)

    def do_still(self):
        self.do_nothing()
        self.server.end.wait(10)

    def do_mute(self):
        self.server.end.wait(10)

    def do_slow(self):
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.data)))
            self.end_headers()
            for start in range(0, len(self.server.data), 1 << 16):
                self.wfile.write(self.server.data[start : start + (1 << 16)])
                time.sleep(0.02)

    def do_whole_anyway(self):
        """Ignores that a part was asked for."""
        self.answer(200, {"Content-Length": len(self.server.data)}, self.server.data)

    def do_wrong_part(self):
        """A part of another file, though If-Range forbids it."""
        headers = {"Content-Length": 10, "ETag": '"other"'}
        self.answer(206, headers | {"Content-Range": f"bytes 5-14/{len(DATA)}"}, b"0123456789")

    def do_chunked(self, last=True):
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(self.server.data), 1 << 16):
                piece = self.server.data[start : start + (1 << 16)]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n" if last else b"")

    def do_unfinished_chunks(self):
        self.do_chunked(last=False)

    def do_missing(self):
        self.answer(404, {"Content-Length": 0})

    def do_busy(self):
        self.answer(503, {"Content-Length": 0})

    def do_page(self):
        page = b"<html>Please log in to this network</html>"
        self.answer(200, {"Content-Length": len(page)}, page)

    def do_elsewhere(self):
        self.answer(302, {"Content-Length": 0, "Location": self.server.location})


@contextlib.contextmanager
def serve(context=None):
    """A hub on this machine with one file; with https if there is a context for it."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.handle_error = lambda *_: None  # a client may leave without a word
    if context:
        made.socket = context.wrap_socket(made.socket, server_side=True)
    made.plans, made.asked, made.data, made.tag = [], [], DATA, '"one"'
    made.end, made.location = threading.Event(), ""
    made.url = f"http{'s' if context else ''}://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.end.set()
        made.shutdown()
        made.server_close()
        thread.join()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A hub on this machine, and an empty cache."""
    monkeypatch.setenv("LIMECRAFT_JAX_CACHE", str(tmp_path / "cache"))
    with serve() as made:
        yield made


CARD = ModelCard(
    "tiny", "Tiny", "", ("a", "b"), 4, 4, 3, parameters=ARRAY.size,
    source=Source("someone/tiny", "model.safetensors", "v1", len(DATA), SHA),
)  # fmt: skip
UNKNOWN = dataclasses.replace(CARD, source=Source("someone/tiny", "model.safetensors"))


def fetch(server, *plans, card=CARD, **options):
    server.plans += plans
    return hub.fetch(card, base=server.url, loopback=True, **{"timeout": 5.0, **options})


def refused(server, *plans, match, **options):
    with pytest.raises(InputError, match=match) as caught:
        fetch(server, *plans, **options)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert hub.find(options.get("card", CARD)) is None
    return str(caught.value)


def leftovers():
    return {path.name for path in hub.folder().iterdir()} - {"tiny.safetensors.lock"}


# ------------------------------------------------------------------ what comes whole


@pytest.mark.parametrize("plan", ["good", "slow", "chunked", "whole_anyway"])
@pytest.mark.parametrize("card", [CARD, UNKNOWN], ids=["pinned", "unpinned"])
def test_a_file_arrives_as_it_was_sent(server, plan, card):
    told = []
    path = fetch(server, plan, card=card, progress=lambda *pair: told.append(pair))
    assert path == hub.place(card) == hub.find(card)
    np.testing.assert_array_equal(load_file(path)["dense.kernel"], ARRAY)
    assert hub.fingerprint(card) == SHA
    assert leftovers() == {"tiny.safetensors", "tiny.json"}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == len(DATA)
    assert {total for _, total in told} == {0 if plan == "chunked" else len(DATA)}
    assert fetch(server, card=card) == path
    assert len(server.asked) == 1  # the second time nobody is asked


def test_the_address_is_that_of_the_hub():
    assert hub.address(CARD) == "https://huggingface.co/someone/tiny/resolve/v1/model.safetensors"


def test_a_redirect_is_followed(server):
    server.location = f"{server.url}/elsewhere"
    fetch(server, "elsewhere", "good")
    assert len(server.asked) == 2


# ------------------------------------------------------------------ what breaks off


def test_a_cut_download_goes_on_where_it_broke_off(server):
    fetch(server, "cut", "good")
    first, second = server.asked
    assert "Range" not in first
    assert second["Range"] == f"bytes={HALF - 1}-"
    assert second["If-Range"] == '"one"'
    assert hub.fingerprint(CARD) == SHA


@pytest.mark.parametrize("plans", [["cut", "whole_anyway"], ["cut", "wrong_part", "good"]])
def test_a_server_that_cannot_go_on_is_asked_for_all(server, plans):
    fetch(server, *plans)
    assert hub.fingerprint(CARD) == SHA


def test_a_file_that_changed_meanwhile_is_taken_from_its_beginning(server):
    refused(server, "cut", "nothing", "nothing", match="broke off")
    server.data, server.tag = OTHER, '"two"'
    fetch(server, card=UNKNOWN)
    assert hub.fingerprint(UNKNOWN) == hashlib.sha256(OTHER).hexdigest()


@pytest.mark.parametrize("tag", ["", 'W/"one"'])
def test_without_a_firm_mark_a_download_starts_over(server, tag):
    server.tag = tag
    fetch(server, "cut", "good")
    assert [asked.get("Range") for asked in server.asked] == [None] * 2
    assert hub.fingerprint(CARD) == SHA


def test_a_truncated_file_is_told_and_nothing_valid_is_left(server):
    refused(server, *["cut", "nothing"], match=r"broke off after 0\.3 MB .*goes on from there\.$")
    assert leftovers() == {"tiny.safetensors.part", "tiny.safetensors.part.etag"}
    fetch(server)
    assert server.asked[-1]["Range"] == f"bytes={HALF - 1}-"


def test_chunks_without_an_end_are_no_file(server):
    refused(server, "unfinished_chunks", "unfinished_chunks", match="broke off")


def test_a_silent_server_is_given_up(server):
    refused(server, "silent", "still", match=r"broke off .*timed out", timeout=0.2)
    refused(server, "mute", match=r"no way to .* \(timed out\)", timeout=0.2)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, OSError("the page is closed")])
def test_a_download_can_be_stopped_and_goes_on_later(server, stop):
    def progress(done, total):
        if done > HALF:
            raise stop

    with pytest.raises((KeyboardInterrupt, RuntimeError, InputError)):
        fetch(server, "good", progress=progress)
    kept = (hub.folder() / "tiny.safetensors.part").stat().st_size
    assert HALF < kept <= len(DATA)
    assert hub.find(CARD) is None
    fetch(server)
    assert server.asked[-1]["Range"] == f"bytes={kept - 1}-"
    assert hub.fingerprint(CARD) == SHA


# ------------------------------------------------------------------ what must not come


def test_another_file_is_refused_with_both_hashes(server):
    server.data = OTHER
    found = hashlib.sha256(OTHER).hexdigest()
    said = refused(server, match="may have replaced the file, or it was tampered with")
    assert SHA in said
    assert found in said
    (path,) = re.findall(r"--file (\S+) --accept", said)
    assert leftovers() == {"tiny.safetensors.rejected"}
    # The way that the sentence names works.
    hub.adopt(CARD, path, accept=True)
    assert hub.find(CARD) == hub.place(CARD)
    assert hub.fingerprint(CARD) == found


@pytest.mark.parametrize("plan", ["good", "chunked"])
def test_too_large_a_file_is_refused(server, plan):
    source = dataclasses.replace(CARD.source, size=len(DATA) - 1)
    card = dataclasses.replace(CARD, source=source)
    told = []
    refused(
        server, plan, match=rf"may take {len(DATA) - 1} bytes", card=card,
        progress=lambda *pair: told.append(pair),
    )  # fmt: skip
    assert leftovers() == set()
    assert bool(told) == (plan == "chunked")  # a declared size is refused at once


def test_without_a_known_size_there_is_a_limit(server, monkeypatch):
    monkeypatch.setattr(hub, "LIMIT", 1000)
    refused(server, match="may take 1000 bytes", card=UNKNOWN)


@pytest.mark.parametrize(
    ("plan", "match"),
    [
        ("missing", r"got 404 .* the publisher may have moved it; .* --file\.$"),
        ("busy", r"got 503 .* try again in a while\.$"),
        ("page", r"must be a whole safetensors file, got tiny\.safetensors\.part"),
    ],
)
def test_other_answers_are_told(server, plan, match):
    refused(server, plan, match=match)
    assert leftovers() == set()


@pytest.mark.parametrize(
    "location",
    ["http://example.org/x", "file:///etc/hostname", "ftp://127.0.0.1/x", "//example.org/x"],
)
def test_no_redirect_leads_away_from_https(server, location):
    server.location = location
    refused(server, "elsewhere", match="must stay on https, but the way leads to")
    assert len(server.asked) == 1


def test_a_circle_of_redirects_ends(server):
    server.location = f"{server.url}/again"
    refused(server, *["elsewhere"] * 30, match="got 302")
    assert len(server.asked) < 20


def test_http_needs_to_be_allowed(server):
    with pytest.raises(InputError, match="must stay on https, but the way leads to http://127"):
        hub.fetch(CARD, base=server.url)
    with pytest.raises(InputError, match="must stay on https"):
        hub.fetch(CARD, base="http://example.org", loopback=True)
    assert server.asked == []


@pytest.fixture
def secure(server, tmp_path, monkeypatch):
    """The same hub with https, as in real life, and who signed for it."""
    signer = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signer.issue_cert("127.0.0.1").configure_cert(context)
    signer.cert_pem.write_to_path(tmp_path / "signer.pem")
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with serve(context) as made:
        yield made, tmp_path / "signer.pem"


def test_https_needs_a_certificate_of_somebody_known(secure, monkeypatch):
    server, signer = secure
    with pytest.raises(InputError, match=r"no way to https:.*certificate verify failed"):
        hub.fetch(CARD, base=server.url, timeout=5.0)
    assert server.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(signer))
    server.plans += ["cut", "good"]
    hub.fetch(CARD, base=server.url, timeout=5.0)
    assert hub.fingerprint(CARD) == SHA
    assert server.asked[1]["Range"] == f"bytes={HALF - 1}-"


def test_https_leads_back_to_http_for_nobody(secure, server, monkeypatch):
    good, signer = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(signer))
    good.plans, good.location = ["elsewhere"], server.url
    with pytest.raises(InputError, match="must stay on https, but the way leads to http://127"):
        hub.fetch(CARD, base=good.url, timeout=5.0)
    assert server.asked == []


def test_without_a_network_the_other_way_is_told(server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(InputError) as caught:
        hub.fetch(CARD, base=base, loopback=True)
    said = str(caught.value)
    assert "there is no network or no way to http" in said
    assert f"download {base}/someone/tiny/resolve/v1/model.safetensors on another" in said
    assert f"put it at {hub.place(CARD)}" in said
    assert "python -m limecraft_jax download tiny --file PATH" in said
    # Both ways work.
    hub.place(CARD).write_bytes(DATA)
    assert hub.find(CARD) == hub.place(CARD)


# ------------------------------------------------------------------ one at a time


def test_two_at_once_download_once(server):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(server))) for _ in range(4)]
    server.plans += ["slow"] * 4
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [hub.place(CARD)] * 4
    assert len(server.asked) == 1


def test_who_waits_is_kept_posted_and_may_leave(server):
    hub.folder().mkdir()

    def leave(done, total):
        raise KeyboardInterrupt

    with hub._alone(hub.place(CARD), hub.folder() / "x", None), pytest.raises(KeyboardInterrupt):
        fetch(server, progress=leave)
    fetch(server, progress=None)  # nobody holds the lock any more


def test_a_lock_of_a_process_that_died_holds_nobody_up(server):
    hub.folder().mkdir()
    path = hub.folder() / "tiny.safetensors.lock"
    hold = (
        "import sys, time; from limecraft_jax.models import hub; file = open(sys.argv[1], 'a+b'); "
        "print(hub._locked(file), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as other:
        assert other.stdout.readline() == "True\n"
        with path.open("a+b") as file:
            assert not hub._locked(file)
        other.kill()
    fetch(server)


# ------------------------------------------------------------------ what lies in the cache


def test_a_changed_file_is_noticed_and_fetched_anew(server):
    path = fetch(server)
    changed = bytearray(DATA)
    changed[-1] ^= 1
    path.write_bytes(changed)
    assert hub.find(CARD) is None
    assert hub.fingerprint(CARD) == ""
    with pytest.raises(InputError, match=f"must have sha256 {SHA}, got "):
        hub.available(CARD)
    fetch(server)
    assert hub.fingerprint(CARD) == SHA


def test_a_changed_file_without_a_published_hash_is_noticed(server):
    path = fetch(server, card=UNKNOWN)
    path.write_bytes(OTHER)
    assert hub.find(UNKNOWN) is None
    with pytest.raises(InputError, match=f"must have sha256 {SHA}, got "):
        hub.available(UNKNOWN)


def test_a_file_is_hashed_once_until_it_changes(server, monkeypatch):
    path = fetch(server)
    hashed = []
    real = hub._sha256
    monkeypatch.setattr(hub, "_sha256", lambda path: hashed.append(path) or real(path))
    assert hub.find(CARD) == path
    assert hashed == []
    os.utime(path, (1, 1))
    assert hub.find(CARD) == path
    assert hub.find(CARD) == path
    assert hashed == [path]
    (hub.folder() / "tiny.json").write_text("[nonsense")
    assert hub.find(CARD) == path
    assert hashed == [path, path]


def test_a_file_that_belongs_to_an_older_card_is_not_taken(server):
    fetch(server)
    newer = Source("someone/tiny", "model.safetensors", sha256=hashlib.sha256(OTHER).hexdigest())
    assert hub.find(dataclasses.replace(CARD, source=newer)) is None


def test_without_its_weights_a_model_says_how_to_get_them(server):
    for name in PUBLIC:
        assert not models.ready(name)
        assert models.fingerprint(name) == ""
        with pytest.raises(InputError, match=f"`python -m limecraft_jax download {name}`"):
            models.load(name)


def test_with_its_weights_a_model_loads_through_the_registry(server, tmp_path):
    """MobileNet V1, for its publisher names no hash that we know of."""
    card = models.card("mobilenet_v1")
    build, _ = networks.architecture(card.network)
    shapes = nnx.eval_shape(lambda: build(len(card.classes), card.family))
    random = np.random.default_rng(0)
    arrays = {
        ".".join(map(str, path)): random.random(leaf.shape, np.float32)
        for path, leaf in nnx.to_flat_state(nnx.state(shapes))
    }
    (tmp_path / "given").write_bytes(save(arrays))
    hub.adopt(card, tmp_path / "given")
    assert models.ready("mobilenet_v1")
    assert models.fingerprint("mobilenet_v1") == hub._sha256(tmp_path / "given")
    classifier = models.load("mobilenet_v1")
    assert classifier.card == card
    for path, leaf in nnx.to_flat_state(classifier.weights):
        np.testing.assert_array_equal(leaf[...], arrays[".".join(map(str, path))])


def test_bundled_models_are_ready_and_need_no_download(server):
    assert all(models.ready(name) for name in models.BUNDLED)
    with pytest.raises(InputError, match="got 'digits', which needs no download"):
        hub.fetch(models.card("digits"))


def test_the_cache_lies_at_home_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("LIMECRAFT_JAX_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub.folder() == tmp_path / ".cache" / "limecraft-jax" / "models"
    monkeypatch.setenv("LIMECRAFT_JAX_CACHE", "~/elsewhere")
    assert hub.folder() == tmp_path / "elsewhere"


# ------------------------------------------------------------------ files brought by hand


def test_a_file_can_be_brought_by_hand(server, tmp_path):
    given = tmp_path / "any name"
    given.write_bytes(DATA)
    assert hub.adopt(CARD, given) == hub.find(CARD)
    assert given.read_bytes() == DATA
    assert leftovers() == {"tiny.safetensors", "tiny.json"}
    assert hub.adopt(CARD, hub.place(CARD)) == hub.find(CARD)  # it may lie there already


def test_another_file_is_taken_by_hand_only_if_accepted(server, tmp_path):
    given = tmp_path / "other.safetensors"
    given.write_bytes(OTHER)
    with pytest.raises(InputError, match=f"sha256 {SHA}, got [0-9a-f]{{64}}: .*--accept"):
        hub.adopt(CARD, given)
    assert hub.find(CARD) is None
    hub.adopt(CARD, given, accept=True)
    os.utime(hub.place(CARD))  # still accepted after another look
    assert hub.find(CARD) == hub.place(CARD)
    hub.place(CARD).write_bytes(DATA)  # the published one is always welcome
    assert hub.fingerprint(CARD) == SHA


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a pickle in a zip", DATA[:-1], DATA + b"x"])
def test_only_whole_safetensors_are_taken(server, tmp_path, content):
    given = tmp_path / "model.bin"
    given.write_bytes(content)
    with pytest.raises(InputError, match=r"must be a whole safetensors file, got model\.bin"):
        hub.adopt(UNKNOWN, given, accept=True)
    hub.place(UNKNOWN).parent.mkdir(exist_ok=True)
    hub.place(UNKNOWN).write_bytes(content)
    assert hub.find(UNKNOWN) is None


def test_a_file_that_is_not_there_is_told(server, tmp_path):
    with pytest.raises(InputError, match=r"must be an existing file, got '.*gone'"):
        hub.adopt(CARD, tmp_path / "gone")


# ------------------------------------------------------------------ a disk that is full


@contextlib.contextmanager
def small_disk(room):
    """No file may grow beyond `room` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_sentence_and_the_rest_comes_later(server, tmp_path):
    given = tmp_path / "given"
    given.write_bytes(DATA)
    with small_disk(HALF):
        refused(server, match=r"must fit into .* free \d+ MB there, or name another folder")
        with pytest.raises(InputError, match="must fit into"):
            hub.adopt(CARD, given)
    fetch(server)
    assert hub.fingerprint(CARD) == SHA


def test_a_cache_that_is_a_file_is_one_sentence(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIMECRAFT_JAX_CACHE", str(tmp_path / "file" / "cache"))
    refused(server, match=r"must fit into .*cannot be written \(Not a directory\)")


# ------------------------------------------------------------------ the command


@pytest.fixture
def command(server, monkeypatch, capsys):
    """Run a command with the tiny model as the only one that is not bundled."""
    monkeypatch.setattr(models, "MODELS", {"tiny": "limecraft_jax.models.hub"})
    monkeypatch.setattr(models, "card", lambda name: CARD)
    real = hub.fetch
    there = {"base": server.url, "loopback": True, "timeout": 5.0}
    monkeypatch.setattr(hub, "fetch", lambda card, progress: real(card, progress, **there))
    monkeypatch.setattr(downloads, "speed", lambda card: "fast")  # tiny is no network

    def run(*given):
        status = cli.main(given)
        return status, *capsys.readouterr()

    return run


def test_the_command_downloads_with_a_bar(command):
    status, out, _ = command("models")
    assert "1 MB; ; https://huggingface.co/someone/tiny; not here yet: python -m" in out
    status, out, err = command("download", "tiny")
    assert status == 0
    assert out == f"tiny: {hub.place(CARD)}\nsha256 {SHA}\nOn this machine: fast.\n"
    assert err.split("\r")[-1] == "[" + "#" * 30 + "] 0.6/0.6 MB\n"
    status, out, _ = command("models")
    assert f"here: {hub.place(CARD)}" in out


def test_the_command_takes_a_file(command, tmp_path, server):
    given = tmp_path / "other.safetensors"
    given.write_bytes(OTHER)
    status, _, err = command("download", "tiny", "--file", str(given))
    assert status == 2
    assert err.startswith(f"limecraft_jax: the weights of tiny must have sha256 {SHA}, got ")
    status, out, _ = command("download", "tiny", "--file", str(given), "--accept")
    assert status == 0
    assert hashlib.sha256(OTHER).hexdigest() in out
    assert server.asked == []
    status, _, err = command("download", "tiny", "--accept")
    assert status == 2
    assert "--accept needs --file" in err


def test_an_unknown_model_cannot_be_downloaded(capsys):
    assert cli.main(["download", "resnet5"]) == 2
    assert "got 'resnet5': did you mean 'resnet50'?" in capsys.readouterr().err


# ------------------------------------------------------------------ the cards


@pytest.mark.parametrize("name", PUBLIC)
class TestEveryPublicCard:
    def test_it_names_a_network_and_a_file(self, name):
        card = models.card(name)
        assert card.name == name
        assert card.network in networks.NETWORKS
        assert card.source.file.endswith(".safetensors")
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", card.source.repository)
        assert re.fullmatch("|[0-9a-f]{64}", card.source.sha256)
        assert 10 < hub.megabytes(card) < 110
        for fact in ("title", "about", "data", "architecture", "trained", "license", "memory"):
            assert getattr(card, fact), f"the card of {name} says nothing about {fact}"
        assert all(0.7 < value < 0.82 for _, value in card.accuracy)
        assert len(card.mean) == len(card.std) == card.channels

    def test_its_parameters_are_those_of_the_network(self, name):
        card = models.card(name)
        build, _ = networks.architecture(card.network)
        shapes = nnx.eval_shape(lambda: build(len(card.classes), card.family))
        leaves = {path: leaf.shape for path, leaf in nnx.to_flat_state(nnx.state(shapes))}
        # Behind each convolution the published network has a batch norm of two numbers per channel,
        # ours has them folded into the kernel and one bias.
        norms = sum(shape[0] for shape in leaves.values() if len(shape) == 1) - len(card.classes)
        assert card.parameters == sum(map(math.prod, leaves.values())) + norms

    def test_writing_keeps_the_list_of_classes_by_name(self, name, tmp_path):
        card = models.card(name)
        path = card.write(tmp_path)
        assert json.loads(path.read_text())["classes"] == "imagenet"
        assert path.read_text() == (WEIGHTS / f"{name}.json").read_text()
        assert ModelCard.read(name, tmp_path) == card


def test_the_thousand_names_are_unique_and_in_the_usual_order():
    names = class_list("imagenet")
    assert len({name.lower() for name in names}) == len(names) == 1000
    for index, name in {
        0: "tench", 207: "golden retriever", 281: "tabby", 285: "Egyptian cat",
        504: "coffee mug", 954: "banana", 967: "espresso", 968: "cup", 999: "toilet tissue",
    }.items():  # fmt: skip
        assert names[index] == name


def test_a_card_can_name_no_other_list(tmp_path):
    fields = json.loads((WEIGHTS / "resnet50.json").read_text())
    (tmp_path / "x.json").write_text(json.dumps(fields | {"classes": "../../secret"}))
    with pytest.raises(InputError, match=r"class list of a card must be a known name, got"):
        ModelCard.read("x", tmp_path)
