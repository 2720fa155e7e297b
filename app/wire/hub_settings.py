"""The settings of the way to the hub: what a start from Finder gets from no shell."""

from app.wire.setting import Scope, Setting, SettingKind

HUB_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "hub_token",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.SECRET,
        "Hugging Face token",
        "For models that are private or ask for access, and for more requests. It is made on "
        "huggingface.co under Settings, Access Tokens, and kept where hf auth login keeps it.",
        default=False,
        variable="HF_TOKEN",
    ),
    Setting(
        "hub_endpoint",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.TEXT,
        "Address of the hub",
        "Of a mirror that models are looked up and downloaded at. Empty: huggingface.co.",
        "",
        pattern=r"https?://[^\s/@]+(/\S*)?|",
        expected="an address such as https://hub.example.org, or empty",
        needs_restart=True,
        variable="HF_ENDPOINT",
    ),
    Setting(
        "proxy",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.TEXT,
        "Proxy for the hub",
        "Such as http://proxy.example.org:3128. Empty: the one of the system, if it has one.",
        "",
        pattern=r"(https?://)?[^\s/@]+/?|",
        expected="an address without name and password, such as http://proxy.example.org:3128",
        needs_restart=True,
        variable="HTTPS_PROXY",
    ),
)
