"""Deletes a model from the hub's cache as the hub library does, shared blobs included."""

from pathlib import Path

from huggingface_hub import scan_cache_dir

from app.worker.library.hubcache import PREFIX


def remove(cache: Path, model_id: str) -> None:
    """Delete all revisions of a model. Raises OSError."""
    info = scan_cache_dir(cache)
    commits = [
        revision.commit_hash
        for repo in info.repos
        if repo.repo_type == "model" and repo.repo_id == model_id
        for revision in repo.revisions
    ]
    info.delete_revisions(*commits).execute()
    folder = cache / (PREFIX + model_id.replace("/", "--"))
    if folder.exists():
        raise OSError(f"{folder} is still there")
