"""Web crawls, wiki dumps and downloads, on small stand-ins of the real files."""

import bz2
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lilliput.base.errors import DataError
from lilliput.data.download import crawl_files, fetch
from lilliput.data.infer import infer_sources
from lilliput.data.warc import Warc, decoded
from lilliput.data.wiki_dump import WikiDump, plain_text

PROSE = "The fox lived by the river and sang a long song to the moon every night until the sun came up again. "
BODY = f"<nav><a href='/'>Home</a></nav><article><p>{PROSE * 3}</p></article>"
PAGE = f"<html><head><title>Fox</title></head><body>{BODY}</body></html>"


# ---------------------------------------------------------------------- WARC


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """A file as Common Crawl writes it: a request, a page, a picture, and a page in Latin-1."""
    pytest.importorskip("warcio")

    def record(url: str, body: bytes, content: str, kind: str = "response") -> bytes:
        answer = f"HTTP/1.1 200 OK\r\nContent-Type: {content}\r\n\r\n".encode() + body
        head = (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-03-01T00:00:00Z\r\n"
            f"WARC-Record-ID: <urn:uuid:{len(url):036}>\r\nContent-Type: application/http; msgtype={kind}\r\n"
            f"Content-Length: {len(answer)}\r\n\r\n"
        )
        return gzip.compress(head.encode() + answer + b"\r\n\r\n")

    path = tmp_path / "CC-MAIN-0.warc.gz"
    records = [
        record("http://a.org/", b"", "text/html", "request"),
        record("http://a.org/", PAGE.encode(), "text/html; charset=utf-8"),
        record("http://a.org/p.png", b"\x89PNG", "image/png"),
        record("http://b.org/", PAGE.replace("fox", "féx").encode("latin-1"), "text/html; charset=ISO-8859-1"),
        record("http://c.org/", b"plain text", "text/plain"),
    ]
    path.write_bytes(b"".join(records))
    return path


def test_pages_of_a_crawl(crawl: Path) -> None:
    pytest.importorskip("trafilatura")
    (source,) = infer_sources([str(crawl)])
    assert isinstance(source, Warc)
    one, other, plain = source.documents()
    assert one.text.strip().startswith("The fox lived")
    assert "Home" not in one.text
    assert one.meta["url"] == "http://a.org/"
    assert "féx" in other.text
    assert plain.text == "plain text"
    html = next(iter(Warc(paths=(str(crawl),), pages="html").documents()))
    assert html.text == PAGE


def test_a_damaged_crawl_names_its_file(crawl: Path) -> None:
    whole = crawl.read_bytes()
    crawl.write_bytes(b"WARC/9.9\r\nnothing\r\n" + whole[40:])
    with pytest.raises(DataError, match=r"CC-MAIN-0.warc.gz"):
        list(Warc(paths=(str(crawl),)).documents())


def test_encodings_of_pages() -> None:
    assert decoded("é".encode("cp1252"), b"text/html") == "é"
    assert decoded("é".encode(), b"text/html") == "é"
    assert decoded(b'<meta charset="koi8-r">' + "ж".encode("koi8-r"), b"text/html")[-1] == "ж"
    assert decoded("é".encode(), b"charset=no-such-name") == "é"


# ---------------------------------------------------------------------- wiki dumps

WIKITEXT = """{{Infobox animal|name={{PAGENAME}}}}
[[File:Fox.jpg|thumb|A [[red]] fox]]
A '''fox''' is a [[mammal|small mammal]].<ref>A book</ref> It lives in a [[forest]].

{| class="wikitable"
| one || {| nested |}
|}
== Food ==
* It eats [[mice]].

== References ==
{{reflist}}
[[Category:Animals]]"""


def article(title: str, place: int, number: int, text: str, more: str = "") -> str:
    head = f"<page><title>{title}</title><ns>{place}</ns><id>{number}</id>{more}"
    return f'{head}<revision><id>99</id><text xml:space="preserve">{text}</text></revision></page>'


DUMP = f"""<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
<siteinfo><sitename>Wikipedia</sitename></siteinfo>
{article("Fox", 0, 7, WIKITEXT.replace("<", "&lt;"))}
{article("Talk:Fox", 1, 8, "No article.")}
{article("Foxes", 0, 11, "#REDIRECT [[Fox]]", '<redirect title="Fox" />')}
</mediawiki>"""


def test_articles_of_a_dump(tmp_path: Path) -> None:
    pytest.importorskip("mwparserfromhell")
    path = tmp_path / "simplewiki-latest-pages-articles.xml.bz2"
    path.write_bytes(bz2.compress(DUMP.encode()))
    (source,) = infer_sources([str(path)])
    assert isinstance(source, WikiDump)
    (fox,) = source.documents()
    assert fox.id.endswith("#7")
    assert fox.meta == {"title": "Fox"}
    assert fox.text == "Fox\n\nA fox is a small mammal. It lives in a forest.\n\nFood\nIt eats mice."
    assert plain_text("{{a}}") == ""
    path.write_bytes(bz2.compress(DUMP.encode()[:400]))
    with pytest.raises(DataError, match="not a dump"):
        list(source.documents())


# ---------------------------------------------------------------------- downloads

VERSION = {"etag": '"one"'}
FILES = {"/a.bin": bytes(range(256)) * 40, "/crawl-data/CC-0/warc.paths.gz": gzip.compress(b"x/1.gz\nx/2.gz\nx/3.gz\n")}


@pytest.fixture
def site() -> Iterator[tuple[str, list[str | None]]]:
    """A server of files that knows ranges, and sends half of a file where nothing is asked to go on."""
    asked: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            asked.append(wanted)
            body = FILES.get(self.path)
            if body is None:
                self.send_error(404)
                return
            if wanted and self.headers.get("If-Range") != VERSION["etag"]:
                wanted = None
            start = int(wanted[6:-1]) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("ETag", VERSION["etag"])
            self.end_headers()
            cut = self.path == "/a.bin" and len(asked) == 1
            self.wfile.write(body[start : start + 4096] if cut else body[start:])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_goes_on(site: tuple[str, list[str | None]], tmp_path: Path) -> None:
    address, asked = site
    with pytest.raises(DataError, match="bytes came"):
        fetch(f"{address}a.bin", tmp_path, lambda done, total: None)
    assert (tmp_path / "a.bin.part").stat().st_size == 4096
    seen: list[int] = []
    path = fetch(f"{address}a.bin", tmp_path, lambda done, total: seen.append(done))
    assert path.read_bytes() == FILES["/a.bin"]
    assert asked == [None, "bytes=4096-"]
    assert seen[-1] == len(FILES["/a.bin"])
    assert fetch(f"{address}a.bin", tmp_path, lambda done, total: None) == path
    assert len(asked) == 2
    with pytest.raises(DataError, match="404"):
        fetch(f"{address}none", tmp_path, lambda done, total: None)
    with pytest.raises(DataError, match="no address"):
        fetch("file:///etc/passwd", tmp_path, lambda done, total: None)


def test_a_file_that_changed_is_downloaded_anew(
    site: tuple[str, list[str | None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = site
    with pytest.raises(DataError, match="bytes came"):
        fetch(f"{address}a.bin", tmp_path, lambda done, total: None)
    monkeypatch.setitem(FILES, "/a.bin", b"new" * 9000)
    monkeypatch.setitem(VERSION, "etag", '"two"')
    assert fetch(f"{address}a.bin", tmp_path, lambda done, total: None).read_bytes() == b"new" * 9000
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_the_files_of_a_crawl(site: tuple[str, list[str | None]], tmp_path: Path) -> None:
    address, _ = site
    assert crawl_files(address, "CC-0", 2, tmp_path, lambda done, total: None) == [
        f"{address}x/1.gz",
        f"{address}x/2.gz",
    ]
