"""Asks the hub what a model consists of, and puts its refusals into words."""

import json
import logging
import re
import ssl

import httpx2
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from app.wire.errors import ErrorCode
from app.worker.download.plan import Plan, make_plan
from app.worker.download.trouble import NETWORK, Later, Trouble, later_for_status

_log = logging.getLogger("download")
_TIMEOUT_S = 15.0
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,199}")
_NONSENSE = (
    httpx2.InvalidURL, ValueError, TypeError, KeyError, AttributeError, RecursionError,
)  # fmt: skip
REJECTED = "Your Hugging Face token was rejected, so this download goes on without it."


class Login:
    """The token of the hub library's own store, until the hub rejects it."""

    def __init__(self) -> None:
        self.token = get_token()
        self.is_rejected = False

    def reject(self) -> None:
        """Go on without the token."""
        self.token = None
        self.is_rejected = True


def check_revision(repo_id: str, revision: str) -> None:
    """Raise Trouble for a revision that cannot be the name of a file below `refs`."""
    parts = revision.split("/")
    if not _REVISION.fullmatch(revision) or any(p in ("", ".", "..") for p in parts):
        raise _no_revision(repo_id, revision)


def read_plan(repo_id: str, revision: str, login: Login) -> Plan:
    """Return the plan for a revision. Blocks up to 15 s. Raises Later or Trouble."""
    api = HfApi()
    try:
        info = api.model_info(
            repo_id,
            revision=revision,
            files_metadata=True,
            timeout=_TIMEOUT_S,
            token=login.token or False,
        )
    except HFValidationError as error:
        raise Trouble(
            ErrorCode.BAD_REQUEST, f"“{repo_id}” is no id of a model.", "Write it like author/name."
        ) from error
    except OfflineModeIsEnabled as error:
        raise Trouble(
            ErrorCode.HUB_OFFLINE,
            "Downloads are turned off by HF_HUB_OFFLINE.",
            "Start the app without this variable.",
            needs_user=True,
        ) from error
    except HfHubHTTPError as error:
        raise _from_answer(error, repo_id, revision, login) from error
    except httpx2.TransportError as error:
        raise from_transport(error) from error
    except json.JSONDecodeError as error:
        raise _no_json(error) from error
    except _NONSENSE as error:
        raise Later("The hub answers something unexpected", tries=3) from error
    return make_plan(info.id or repo_id, info.sha, list(info.siblings or ()))


def _no_json(error: json.JSONDecodeError) -> Later:
    if error.doc.lstrip()[:1] == "<":
        # As networks of hotels and trains do until their own page was seen.
        return Later("A web page answers in the hub's place; log in to this network in a browser")
    return Later("The hub answers something unexpected", tries=3)


def _from_answer(
    error: HfHubHTTPError, repo_id: str, revision: str, login: Login
) -> Later | Trouble:
    status = error.response.status_code
    _log.info("%s: the answer for its description has the status %d", repo_id, status)
    # The first is a kind of the third.
    if isinstance(error, GatedRepoError):
        return refused(repo_id, status, login)
    if isinstance(error, RevisionNotFoundError):
        return _no_revision(repo_id, revision)
    if isinstance(error, RepositoryNotFoundError | DisabledRepoError):
        return _no_repo(repo_id, login, is_disabled=isinstance(error, DisabledRepoError))
    if status in (401, 403):
        return rejected_or_refused(repo_id, status, login)
    return later_for_status(status, error.response.headers.get) or Trouble(
        ErrorCode.HUB_FAILED,
        f"The hub refuses to describe {repo_id}.",
        "Try again later.",
    )


def rejected_or_refused(repo_id: str, status: int, login: Login) -> Later | Trouble:
    """Return what an answer without a reason means: the fault of the token, if there is one."""
    if not login.token:
        return refused(repo_id, status, login)
    login.reject()
    return Later(REJECTED, after_s=0.0)


def refused(repo_id: str, status: int, login: Login) -> Trouble:
    """Return the end of a download that the hub does not allow."""
    if status == 401 or not login.token:
        reason = ", and your token was rejected" if login.is_rejected else ""
        return Trouble(
            ErrorCode.TOKEN_NEEDED,
            f"{repo_id} needs a login at the hub{reason}.",
            "Set a Hugging Face token in Settings, or log in with hf auth login. Then retry.",
            needs_user=True,
        )
    return Trouble(
        ErrorCode.ACCESS_NEEDED,
        f"The authors of {repo_id} must allow you to download it.",
        f"Ask for access at {HfApi().endpoint}/{repo_id}, then retry.",
        needs_user=True,
    )


def from_transport(error: BaseException) -> Later:
    """Return the trouble of a connection that failed."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Later("The hub's certificate is not trusted", tries=3)
        cause = cause.__cause__ or cause.__context__
    return Later(NETWORK)


def _no_repo(repo_id: str, login: Login, *, is_disabled: bool) -> Trouble:
    if is_disabled:
        return Trouble(
            ErrorCode.REPO_NOT_FOUND,
            f"The hub has disabled {repo_id}.",
            "Choose another model.",
        )
    advice = (
        "use a token that may read it"
        if login.token
        else "it needs a Hugging Face token, see Settings"
    )
    return Trouble(
        ErrorCode.REPO_NOT_FOUND,
        f"There is no model {repo_id} on the hub, or it is private.",
        f"Check the name; if it is private, {advice}.",
    )


def _no_revision(repo_id: str, revision: str) -> Trouble:
    return Trouble(
        ErrorCode.REVISION_NOT_FOUND,
        f"{repo_id} has no revision “{revision[:80]}”.",
        "Check the revision, or leave it out for the newest.",
    )
