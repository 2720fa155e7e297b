"""Deletes a model from the hub's cache as the hub library does, shared blobs included."""

from pathlib import Path

from huggingface_hub import scan_cache_dir


def remove(cache: Path, model_id: str) -> int:
    """Delete all revisions of a model and return the bytes that this freed. Raises OSError."""
    info = scan_cache_dir(cache)
    commits = [
        revision.commit_hash
        for repo in info.repos
        if repo.repo_type == "model" and repo.repo_id == model_id
        for revision in repo.revisions
    ]
    strategy = info.delete_revisions(*commits)
    strategy.execute()
    folder = cache / ("models--" + model_id.replace("/", "--"))
    if folder.exists():
        raise OSError(f"{folder} is still there")
    return strategy.expected_freed_size
