"""The proxy before the engine's socket, asked directly on its own."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import APIError
from docker.types import DriverConfig, Mount

from compose.images import image
from compose.stack import SOCKET
from laptop.stack import free_ports
from tests.containers.running_stack import engine, until

TASKS = image("tasks")
USER = "10001:10001"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    (port,) = free_ports(1)
    group = engine("run", "--rm", "-v", f"{SOCKET}:/s", "--entrypoint", "stat", TASKS, "-c", "%g", "/s")
    words = ["--publish", f"127.0.0.1:{port}:2375", "--group-add", group, "--volume", f"{SOCKET}:{SOCKET}"]
    words += [
        "--read-only",
        "--cap-drop",
        "ALL",
        "--env",
        "TASK_IMAGE=ml-assets-core/tasks",
        "--env",
        f"TASK_USER={USER}",
    ]
    container = engine("run", "--detach", *words, image("engine-proxy"))
    try:
        until("the proxy's answer", lambda: _status("GET", f"http://127.0.0.1:{port}/_ping") == 200, 20)
        yield f"127.0.0.1:{port}"
    finally:
        engine("rm", "--force", container)


def test_a_task_runs_through_it(address: str) -> None:
    client = docker.APIClient(base_url=f"tcp://{address}", version="auto")
    container = _create(client, command=["sh", "-c", "id -u; exit 3"])
    assert client.containers(all=True, filters={"id": container, "network": "bridge"})
    try:
        lines = client.attach(container, stdout=True, stderr=True, stream=True)
        client.start(container)
        assert b"".join(lines).strip() == b"10001"
        assert client.wait(container)["StatusCode"] == 3
        assert client.logs(container, stdout=True, stderr=False).strip() == b"10001"
    finally:
        client.remove_container(container, force=True)


@pytest.mark.parametrize(
    "host",
    [
        {"privileged": True},
        {"mounts": [Mount("/host", "/", type="bind")]},
        {"binds": ["/:/host"]},
        {"pid_mode": "host"},
        {"ipc_mode": "host"},
        {"network_mode": "host"},
        {"cap_add": ["SYS_ADMIN"]},
        {"devices": ["/dev/null:/dev/null"]},
        {"mounts": [Mount("/host", None, type="volume", driver_config=DriverConfig("local", {"o": "bind"}))]},
        {"security_opt": ["seccomp=unconfined"]},
    ],
    ids=lambda host: next(iter(host)),
)
def test_nothing_of_the_host_is_handed_out(address: str, host: dict[str, Any]) -> None:
    client = docker.APIClient(base_url=f"tcp://{address}", version="auto")
    with pytest.raises(APIError, match="of the host"):
        _create(client, host=host)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"user": "root"}, "has to run as 10001:10001"),
        ({"user": ""}, "has to run as 10001:10001"),
        ({"image": "postgres:18-bookworm"}, "only the image ml-assets-core/tasks"),
        ({"image": "ml-assets-core/tasks:0.1.0/../postgres"}, "only the image ml-assets-core/tasks"),
        ({"host": {"read_only": False}}, "read-only"),
    ],
    ids=lambda case: str(case) if isinstance(case, dict) else "",
)
def test_only_the_task_image_as_an_ordinary_user(address: str, what: dict[str, Any], words: str) -> None:
    client = docker.APIClient(base_url=f"tcp://{address}", version="auto")
    with pytest.raises(APIError, match=words):
        _create(client, **what)


PLAIN = json.dumps(
    {"Image": TASKS, "User": USER, "Cmd": ["true"], "HostConfig": {"ReadonlyRootfs": True, "Binds": None}},
    ensure_ascii=False,
)
PADDING = 100_000 * " "


@pytest.mark.parametrize(
    "body",
    [
        PLAIN[:-1] + ',"hostconfig":{"privileged":true}}',
        PLAIN[:-1] + ',"HostConfig":{"Privileged":true}}',
        PLAIN[:-1] + f',{PADDING}"hostconfig":{{"ReadonlyRootfs":false}}}}',
        PLAIN.replace('"Binds": null', '"privileged" : true'),
        PLAIN.replace('"Binds": null', '"Binds" : ["/:/host"]'),
        PLAIN.replace('"Binds": null', '"Bindſ":["/:/host"]'),
        PLAIN.replace('"Binds": null', '"Bind\\u017f":["/:/host"]'),
        PLAIN.replace('"Binds": null', '"Net\u212aey":1'),
        PLAIN.replace('"Binds": null', '"maskedPaths":[]'),
        PLAIN[:-1] + ',"image":"postgres:18-bookworm"}',
        PLAIN[:-1] + ',"Image":"postgres:18-bookworm"}',
        PLAIN[:-1] + ',"uSer":"0"}',
        PLAIN.replace('"HostConfig": {"ReadonlyRootfs": true', '"HostConfig.ReadonlyRootfs": true, "X": {"Y": 1'),
    ],
    ids=lambda body: body.replace(PADDING, "…")[-40:],
)
def test_no_spelling_hides_what_is_asked(address: str, body: str) -> None:
    assert _posted(address, "/containers/create", body.encode()) == 403


def test_what_is_not_read_whole_is_refused(address: str) -> None:
    late = PLAIN[:-1] + 119_000 * " " + "}"
    assert _posted(address, "/containers/create", late.encode(), {"X-Fat": "a" * 12_000}) == 403
    pieces = iter([PLAIN[:-1].encode(), b"}"])
    assert _posted(address, "/containers/create", pieces, {"Transfer-Encoding": "chunked"}) == 403


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("fromImage=ml-assets-core/tasks", b"fromImage=&fromSrc=http://other&repo=ml-assets-core/tasks"),
        ("fromImage=ml-assets-core/tasks&fromSrc=-&repo=ml-assets-core/tasks", b""),
        ("from%49mage=other&fromImage=ml-assets-core/tasks", b""),
    ],
)
def test_only_the_task_image_itself_is_pulled(address: str, query: str, body: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert _posted(address, f"/images/create?{query}", body, form) == 403


def test_a_pull_of_the_task_image_reaches_the_engine(address: str) -> None:
    client = docker.APIClient(base_url=f"tcp://{address}", version="auto")
    with pytest.raises(APIError) as answered:
        client.pull("ml-assets-core/tasks", tag="no-such-tag")
    assert "engine proxy" not in str(answered.value)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/containers/x/exec"),
        ("POST", "/build"),
        ("POST", "/commit?container=x"),
        ("GET", "/containers/x/archive?path=/"),
        ("PUT", "/containers/x/archive?path=/"),
        ("POST", "/volumes/create"),
        ("GET", "/secrets"),
        ("POST", "/v1.41/images/create?fromImage=alpine&tag=3"),
        ("DELETE", "/images/postgres:18-bookworm"),
        ("POST", "/containers/create/../../build"),
    ],
)
def test_other_calls_are_refused(address: str, method: str, path: str) -> None:
    assert _status(method, f"http://{address}{path}") == 403


def _create(
    client: docker.APIClient,
    *,
    image: str = TASKS,
    user: str = USER,
    command: list[str] | None = None,
    host: dict[str, Any] | None = None,
) -> str:
    settings = {
        "read_only": True,
        "tmpfs": {"/tmp": ""},  # noqa: S108
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        **(host or {}),
    }
    made = client.create_container(
        image=image, user=user, command=command or ["true"], host_config=client.create_host_config(**settings)
    )
    return str(made["Id"])


def _posted(address: str, path: str, body: bytes | Iterator[bytes], headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection(address, timeout=10)
    chunked = "Transfer-Encoding" in (headers or {})
    try:
        given = {"Content-Type": "application/json", **(headers or {})}
        connection.request("POST", path, body, given, encode_chunked=chunked)
        return connection.getresponse().status
    finally:
        connection.close()


def _status(method: str, address: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
