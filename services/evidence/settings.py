"""Settings of evidence: it is one of those that make people's ids."""

from shared import settings


class Settings(settings.Settings):
    """Those that every service has."""

    def keys(self) -> dict[str, bytes]:
        """Return the keys that this service uses, the district's included."""
        return super().keys() | {"district_key": self.district()}
