"""Checks of the hub's responses, before huggingface_hub reads them."""

from __future__ import annotations

import json

import httpx2

from turbo_webnn.models.hub.answers import WrongAnswerError, is_etag, require_etag, require_model_info, require_tree


def require_etags(response: httpx2.Response) -> None:
    """Refuse an ETag that is no valid file name; remove the ETag of a redirect, which describes no file."""
    linked = response.headers.get("X-Linked-Etag")
    if linked is not None:
        require_etag(linked)
    elif response.has_redirect_location and not is_etag(response.headers.get("ETag", "")):
        response.headers.pop("ETag", None)
    elif "ETag" in response.headers:
        require_etag(response.headers["ETag"])


def require_answer(kind: str, response: httpx2.Response) -> None:
    """Read an answer of the API, and refuse one that is not of the `kind` that `api_request_kind` returns."""
    try:
        answer = json.loads(response.read())
    except (ValueError, RecursionError) as error:
        raise WrongAnswerError("no JSON that can be read") from error
    if kind == "tree":
        require_tree(answer)
        next_url = response.links.get("next", {}).get("url")
        if next_url is not None and api_request_kind(response.request.url.join(next_url)) != "tree":
            raise WrongAnswerError("a listing that goes on elsewhere")
    else:
        require_model_info(answer)


def api_request_kind(url: httpx2.URL) -> str | None:
    """The kind of request to the models' API: "tree" or "revision"; None for any other `url`."""
    _, separator, rest = url.path.partition("/api/models/")
    parts = rest.split("/")
    if not separator:
        return None
    return {2: "revision"}.get(len(parts)) or (parts[2] if parts[2:] and parts[2] in ("tree", "revision") else None)
