"""MKL's faster kernels: asked for where they are withheld, in use before PyTorch is loaded, and right."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.base.errors import ConfigError
from lilliput.base.machine import compiler
from lilliput.base.runtime import products

elsewhere = sys.platform != "linux" or os.uname().machine != "x86_64" or compiler() is None
AMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\n"


@pytest.fixture
def amd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of AMD's with an empty cache."""
    (tmp_path / "cpuinfo").write_text(AMD)
    monkeypatch.setattr(products, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(products.VARIABLE, raising=False)
    return tmp_path


@pytest.mark.skipif(elsewhere, reason="MKL's kernels are withheld on Linux and x86-64 only")
def test_it_concerns_processors_that_are_not_intels(amd: Path):
    assert products.concerned()
    (amd / "cpuinfo").write_text(AMD.replace("AuthenticAMD", "GenuineIntel"))
    assert not products.concerned()
    assert products.prepare() is None
    assert products.state() is None


def test_an_unknown_choice_is_refused(amd: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(products.VARIABLE, "sytem")
    with pytest.raises(ConfigError, match="did you mean 'system'"):
        products.prepare()


@pytest.mark.skipif(elsewhere, reason="needs Linux, x86-64 and a C++ compiler")
def test_without_a_compiler_products_stay_as_they_were(amd: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lilliput.base.machine.compiler", lambda: None)
    monkeypatch.setattr(products, "loaded", lambda: False)  # this very process may have it from the real cache
    assert products.prepare() is None
    assert not products.library().exists()
    assert "no C++ compiler" in (products.state() or "")


PRODUCT = """
import lilliput
from lilliput.base.runtime import products
from pathlib import Path
products.CPUINFO = Path({cpuinfo!r})
products.prepare()
before = products.loaded()
import torch
a, b = torch.randn(300, 200), torch.randn(200, 100)
torch.testing.assert_close(a @ b, (a.double() @ b.double()).float(), atol=1e-4, rtol=1e-4)
print(before, products.state())
"""


def _run(amd: Path, code: str, **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key != products.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code.format(cpuinfo=str(amd / "cpuinfo"))],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(elsewhere, reason="needs Linux, x86-64 and a C++ compiler")
def test_the_library_is_there_before_pytorch_and_products_stay_right(amd: Path):
    assert _run(amd, PRODUCT).startswith("True MKL's kernels for Intel's processors")
    assert products.library().exists()
    assert _run(amd, PRODUCT, LILLIPUT_MKL="system") == "False MKL's kernels for other processors (LILLIPUT_MKL=system)"
    products.library().write_bytes(b"damaged")
    assert _run(amd, PRODUCT).startswith("True")  # built anew
    late = _run(amd, "import torch\n" + PRODUCT)
    assert late.startswith("False MKL's kernels for other processors")
    assert "PyTorch was loaded before Lilliput" in late
