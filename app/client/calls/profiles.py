"""Calls about profiles."""

from app.client.calls.link import Link, query_text, quote_part
from app.wire.nouns import Profile, ProfileDraft
from app.wire.plan import StartPlan
from app.wire.portable import ImportPreview, ImportRequest, ImportResult, LaunchPreview


class ProfileCalls(Link):
    """Calls about profiles."""

    def profiles(self) -> list[Profile]:
        """Return all profiles."""
        return self.get("/api/profiles", list[Profile])

    def create_profile(self, draft: ProfileDraft) -> Profile:
        """Create a profile."""
        return self.send("POST", "/api/profiles", draft, Profile)

    def update_profile(self, profile_id: str, draft: ProfileDraft) -> Profile:
        """Change a profile."""
        return self.send("PUT", f"/api/profiles/{quote_part(profile_id)}", draft, Profile)

    def start_plan(self, profile_id: str, *, context: int | None = None) -> StartPlan:
        """Return what a start would take of the memory now; context in tokens. Up to 16 s."""
        query = query_text(context=context)
        return self.get(f"/api/profiles/{quote_part(profile_id)}/plan{query}", StartPlan)

    def delete_profile(self, profile_id: str) -> None:
        """Move a profile to the trash."""
        self.request("DELETE", f"/api/profiles/{quote_part(profile_id)}")

    def restore_profile(self, profile_id: str) -> Profile:
        """Bring a deleted profile back from the trash."""
        path = f"/api/profiles/{quote_part(profile_id)}/restore"
        return self.send("POST", path, None, Profile)

    def export_profile(self, profile_id: str) -> str:
        """Return a profile as the text of a file that other computers can import."""
        return self.request("GET", f"/api/profiles/{quote_part(profile_id)}/export").decode("utf-8")

    def preview_profile(self, draft: ProfileDraft) -> LaunchPreview:
        """Return what a draft would start, and what is wrong with it."""
        return self.send("POST", "/api/profiles/preview", draft, LaunchPreview)

    def preview_import(self, wanted: ImportRequest) -> ImportPreview:
        """Return what an import would bring."""
        return self.send("POST", "/api/imports/preview", wanted, ImportPreview)

    def import_profiles(self, wanted: ImportRequest) -> ImportResult:
        """Import profiles."""
        return self.send("POST", "/api/imports", wanted, ImportResult)
