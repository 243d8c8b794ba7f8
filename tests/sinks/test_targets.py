"""URLs of sinks, and how sinks are found."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicomframe import errors
from dicomframe.sinks import registry
from dicomframe.sinks.targets import parse_target
from dicomframe.testing.sinks import SECRET

TOY = """
from dicomframe.sinks.plugin import Sink, hookimpl

class ToySink(Sink):
    options = {"user": "who", "password": "what", "colour": "of the toy"}

    def connect(self, target):
        raise NotImplementedError

@hookimpl
def dicomframe_register_sink():
    return ToySink()
"""

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put the distribution of a sink on the path, as its files stand when installed."""
    monkeypatch.setattr(registry, "_loader", registry._make_loader())

    def write(name: str = "toy", source: str = TOY, extras: str = "") -> None:
        info = tmp_path / f"{name}_dist-1.2.dist-info"
        info.mkdir()
        lines = f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 1.2\n{extras}"
        (info / "METADATA").write_text(lines)
        (info / "entry_points.txt").write_text(f"[dicomframe.sinks]\n{name} = {name}_sink\n")
        (tmp_path / f"{name}_sink.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, f"{name}_sink", raising=False)

    write()
    return write


@pytest.mark.parametrize(
    ("url", "server", "name"),
    [
        ("toy+http://localhost:9200/images", "http://localhost:9200", "images"),
        ("toy+https://search.example/images/", "https://search.example", "images"),
        ("TOY+HTTP://Search.Example:1/A%20b", "http://search.example:1", "A b"),
        ("toy+http://[::1]:9200/images", "http://[::1]:9200", "images"),
    ],
)
def test_url_tells_sink_server_and_name(url: str, server: str, name: str) -> None:
    target = parse_target(url)
    assert (target.sink, target.server, target.name) == ("toy", server, name)
    assert target.options == {}


@pytest.mark.parametrize("password", [SECRET, "a:b", "a@b", "a/b", "p%40ss", "a b?c#d"])
def test_credentials_of_the_url_are_options_and_shown_nowhere(password: str) -> None:
    target = parse_target(f"toy+https://me:{password}@host:1/images")
    assert target.host == "host"
    assert target.options == {"user": "me", "password": password.replace("%40", "@")}
    assert repr(target) == "Target('toy+https://host:1/images')"
    assert pickle.loads(pickle.dumps(target)) == target


def test_options_go_before_those_of_the_url() -> None:
    target = parse_target("toy+http://me:old@host/images", {"password": "new"})
    assert target.options == {"user": "me", "password": "new"}


@pytest.mark.parametrize(
    "url",
    ["toy+http://host", "toy+http://host/", "toy+http://host/a/b", "toy+http://host/a?b=1",
     "toy+http:///images", "toy+http://host:port/images", "toy+http://ho st:70000/images",
     "http://host/images", "toy://host/images", "toy+ftp://host/images", "host", ""],
)  # fmt: skip
def test_url_of_another_form_is_told_with_an_example(url: str) -> None:
    for given in (url, url.replace("://", f"://me:{SECRET}@")):
        with pytest.raises(errors.InvalidOptionError) as caught:
            parse_target(given)
        assert "'elasticsearch+https://host:9200/index'" in str(caught.value)
        assert SECRET not in str(caught.value)


def test_url_that_is_no_text_is_told() -> None:
    with pytest.raises(errors.InvalidOptionError, match="must be text, found 'NoneType'"):
        parse_target(None)  # type: ignore[arg-type]


def test_misspelt_option_lists_the_real_ones() -> None:
    with pytest.raises(errors.InvalidOptionError) as caught:
        parse_target("toy+http://host/images", {"color": SECRET})
    assert str(caught.value) == (
        "sink 'toy' has no option 'color', it takes 'user', 'password', 'colour'; did you mean "
        "'colour'?"
    )


def test_unknown_sink_lists_the_installed_and_the_closest() -> None:
    with pytest.raises(errors.UnknownSinkError, match="'elasticserch'") as caught:
        parse_target("elasticserch+http://host/images")
    for name in ("elasticsearch", "opensearch", "toy"):
        assert repr(name) in str(caught.value)
    assert "did you mean 'elasticsearch'?" in str(caught.value)


@pytest.mark.parametrize("sink", ["elasticsearch", "opensearch"])
def test_missing_client_gives_the_exact_command(monkeypatch: pytest.MonkeyPatch, sink: str) -> None:
    for module in ("elasticsearch", "opensearchpy"):
        monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    for module in ("elastic", "opensearch"):
        monkeypatch.delitem(sys.modules, f"dicomframe_elasticsearch.{module}", raising=False)
    with pytest.raises(errors.SinkNotInstalledError) as caught:
        parse_target(f"{sink}+http://host/images")
    assert str(caught.value).endswith(f"to install it: pip install 'dicomframe[{sink}]'")


def test_breach_of_the_sink_contract_names_distribution_and_cause(install: Install) -> None:
    install("bad", TOY.replace("return ToySink()", "return ToySink"))
    with pytest.raises(errors.SinkContractError) as caught:
        parse_target("bad+http://host/images")
    assert str(caught.value) == (
        "sink 'bad' of bad-dist 1.2 breaks the sink contract: its hook returned the class "
        "'ToySink', not a Sink; report it to the authors of that distribution"
    )


def test_list_of_sinks_tells_which_are_ready(install: Install) -> None:
    install("far", "import far_client", "Provides-Extra: far\n")
    found: dict[str, Any] = {info.name: info for info in registry.list_sinks()}
    assert found["toy"].ready
    assert found["elasticsearch"].ready
    assert found["far"].install == "pip install 'far-dist[far]'"
