"""Calls about profiles."""

from app.client.calls.link import Link, quote_part
from app.wire.nouns import Profile, ProfileDraft


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

    def delete_profile(self, profile_id: str) -> None:
        """Move a profile to the trash."""
        self.request("DELETE", f"/api/profiles/{quote_part(profile_id)}")
