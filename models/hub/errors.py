"""Translation of huggingface_hub's exceptions into RequestErrors of one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx2
from huggingface_hub import errors

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub.answers import WrongAnswerError
from turbo_webnn.models.hub.guard import Guard, HubFailure
from turbo_webnn.models.printable import printable

_UNEXPECTED = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError, httpx2.InvalidURL)
"""Exceptions of the library for an answer of unexpected form."""


@contextmanager
def as_request_errors(repo: str, revision: str | None, guard: Guard) -> Iterator[None]:
    """Translate the exceptions of huggingface_hub in the block, which calls only that library."""
    try:
        yield
    except errors.GatedRepoError as error:
        raise RequestError(f"{repo} is gated", "accept its licence on its page, then run: hf auth login") from error
    except errors.RevisionNotFoundError as error:
        raise RequestError(f"{repo} has no revision {revision!r}", "give a branch, a tag or a commit") from error
    except errors.RepositoryNotFoundError as error:
        raise RequestError(
            f"there is no folder {repo}, and the hub has no model of that id or keeps it private",
            "check the name; for a private one set HF_TOKEN or run: hf auth login",
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise _interrupted(repo, guard.trouble) if guard.trouble else _unreachable(repo) from error
    except HubFailure as error:
        raise _interrupted(repo, str(error)) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise RequestError(
                f"the hub refuses {repo} to this user ({status})", "check HF_TOKEN, or run: hf auth login"
            ) from error
        raise _interrupted(repo, f"the hub answers {status}") from error
    except (WrongAnswerError, errors.FileMetadataError, *_UNEXPECTED) as error:
        fault = f" (it has {error})" if isinstance(error, WrongAnswerError) else ""
        raise RequestError(f"fetching {repo} failed: the answer is not a hub's{fault}", "check HF_ENDPOINT") from error
    except (errors.HTTPError, OSError) as error:
        raise _interrupted(repo, printable(str(error)) or type(error).__name__) from error


def _unreachable(repo: str) -> RequestError:
    return RequestError(
        f"{repo} is no folder, not whole in the cache, and the hub is out of reach",
        "check the name, the network, HF_ENDPOINT and HF_HUB_OFFLINE",
    )


def _interrupted(repo: str, reason: str) -> RequestError:
    return RequestError(f"fetching {repo} failed ({reason})", "try again: files that arrived whole are kept")
