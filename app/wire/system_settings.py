"""The settings of what the app does in the system around it: menu bar, login, notifications."""

from app.wire.setting import Scope, Setting, SettingKind

SYSTEM_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "menu_bar",
        Scope.APP,
        "General",
        SettingKind.BOOL,
        "Show servers in the menu bar",
        "An icon with every server, its state and speed. On Linux, where the desktop has a tray.",
        default=True,
    ),
    Setting(
        "close_window",
        Scope.APP,
        "General",
        SettingKind.CHOICE,
        "Closing the window",
        "The usual way is to hide it on a Mac, where a click in the Dock brings it back, and to "
        "quit on Linux.",
        "usual",
        choices=(("usual", "The usual way"), ("hide", "Hides it"), ("quit", "Quits")),
    ),
    Setting(
        "notifications",
        Scope.APP,
        "General",
        SettingKind.BOOL,
        "Notifications",
        "Tells of finished downloads and failed servers while the window is not in use.",
        default=True,
    ),
    Setting(
        "start_at_login",
        Scope.SYSTEM,
        "General",
        SettingKind.BOOL,
        "Open at login",
        "Opens the app when you log in.",
        default=False,
    ),
    Setting(
        "engine_at_login",
        Scope.SYSTEM,
        "General",
        SettingKind.BOOL,
        "Start an engine at login",
        "Programs can use your servers without the window, and quitting the app does not stop "
        "them. mlxm engine --install does the same.",
        default=False,
    ),
    Setting(
        "check_updates",
        Scope.APP,
        "General",
        SettingKind.BOOL,
        "Tell about newer versions",
        "Once a day the app asks its project's page for the newest version. It sends nothing about "
        "you or this computer, and downloads nothing.",
        default=False,
    ),
)
