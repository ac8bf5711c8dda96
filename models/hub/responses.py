"""What is checked of a hub's responses before huggingface_hub reads them."""

from __future__ import annotations

import json

import httpx2

from turbo_webnn.models.hub.answers import WrongAnswerError, is_etag, require_etag, require_model_info, require_tree


def require_etags(response: httpx2.Response) -> None:
    """Refuse an ETag that cannot name a file; a redirect's own, of no file, is left out."""
    linked = response.headers.get("X-Linked-Etag")
    if linked is not None:
        require_etag(linked)
    elif response.has_redirect_location and not is_etag(response.headers.get("ETag", "")):
        response.headers.pop("ETag", None)
    elif "ETag" in response.headers:
        require_etag(response.headers["ETag"])


def require_answer(kind: str, response: httpx2.Response) -> None:
    """Read an answer of the API, and refuse one that is not of its `kind`, which `asked_of_api` gives."""
    try:
        answer = json.loads(response.read())
    except (ValueError, RecursionError) as error:
        raise WrongAnswerError("no JSON that can be read") from error
    if kind == "tree":
        require_tree(answer)
        following = response.links.get("next", {}).get("url")
        if following is not None and asked_of_api(response.request.url.join(following)) != "tree":
            raise WrongAnswerError("a listing that goes on elsewhere")
    else:
        require_model_info(answer)


def asked_of_api(url: httpx2.URL) -> str | None:
    """What of the models' API `url` asks for: "tree", "revision", or None where it is another place."""
    _, found, rest = url.path.partition("/api/models/")
    parts = rest.split("/")
    if not found:
        return None
    return {2: "revision"}.get(len(parts)) or (parts[2] if parts[2:] and parts[2] in ("tree", "revision") else None)
