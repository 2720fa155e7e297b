"""The routes of the control API: one row each, for server, client and documentation."""

import msgspec


class Route(msgspec.Struct, frozen=True):
    """One route."""

    name: str
    """The client method and the handler have this name."""
    method: str
    path: str
    doc: str


ROUTES: tuple[Route, ...] = (
    Route(
        "health", "GET", "/health", 'Answers {"status":"ok"} while the engine lives; always open.'
    ),
    Route("engine", "GET", "/api/engine", "Version, addresses, machine and runtimes."),
    Route("profiles", "GET", "/api/profiles", "All profiles, broken ones included."),
    Route("create_profile", "POST", "/api/profiles", "Create a profile."),
    Route("update_profile", "PUT", "/api/profiles/{id}", "Change a profile."),
    Route("delete_profile", "DELETE", "/api/profiles/{id}", "Move a profile to the trash."),
    Route("servers", "GET", "/api/servers", "All servers."),
    Route(
        "server",
        "GET",
        "/api/servers/{id}",
        "One server; `wait_s` (0 to 30) waits until it is ready, stopped or failed.",
    ),
    Route(
        "start_server", "POST", "/api/servers/{id}/start", "Start a profile; answers 202 at once."
    ),
    Route(
        "stop_server",
        "POST",
        "/api/servers/{id}/stop",
        "Stop a server; answers 202 at once. `force` (1) kills it whatever it holds.",
    ),
    Route("restart_server", "POST", "/api/servers/{id}/restart", "Stop, then start again."),
    Route("remove_server", "DELETE", "/api/servers/{id}", "Forget a stopped or failed server."),
    Route(
        "server_log",
        "GET",
        "/api/servers/{id}/log",
        "The last `max_bytes` of its log, as plain text.",
    ),
    Route("models", "GET", "/api/models", "All models on this disk."),
    Route(
        "scan_models", "POST", "/api/models/scan", "Look at the disk again; answers 202 at once."
    ),
    Route("foreign", "GET", "/api/foreign", "Model servers that this engine did not start."),
    Route(
        "stop_foreign",
        "POST",
        "/api/foreign/{id}/stop",
        "Ask a model server that this engine did not start to end; waits up to 10 s for it.",
    ),
    Route(
        "remove_model",
        "DELETE",
        "/api/models/{id:path}",
        "Delete a model from the hub's cache; refused while a server uses it.",
    ),
    Route(
        "model_fit",
        "GET",
        "/api/models/{id:path}/fit",
        "Whether a model on this disk fits the memory now; `context` in tokens.",
    ),
    Route(
        "search_hub",
        "GET",
        "/api/hub/search",
        "A page of MLX models on the hub: `text` (words, an id or a link), `sort` (trending, "
        "downloads, likes, updated, size), `cursor` (`next_cursor` of the page before), `author`, "
        "`quantization`, `tag` (vision, tools, reasoning, embedding), `supported` (1) and "
        "`details` (0 to 30: look up size and fit of so many rows). Answers within 15 s.",
    ),
    Route(
        "hub_model",
        "GET",
        "/api/hub/models/{id:path}",
        "Files, card, licence and support of one model on the hub, and whether it fits the memory "
        "now; `context` in tokens.",
    ),
    Route("downloads", "GET", "/api/downloads", "All downloads."),
    Route(
        "add_download",
        "POST",
        "/api/downloads",
        "Download a model, or go on with its download: `id`, and if need be `revision` and "
        "`verify` (check files that are there too). Answers 202 at once.",
    ),
    Route(
        "pause_download",
        "POST",
        "/api/downloads/{id:path}/pause",
        "Pause a download; every byte stays.",
    ),
    Route("resume_download", "POST", "/api/downloads/{id:path}/resume", "Go on with a download."),
    Route(
        "retry_download",
        "POST",
        "/api/downloads/{id:path}/retry",
        "Try a failed, blocked or waiting download again now.",
    ),
    Route(
        "remove_download",
        "DELETE",
        "/api/downloads/{id:path}",
        "Cancel a download; with `keep=true` its unfinished files stay for another try.",
    ),
    Route(
        "requests",
        "GET",
        "/api/requests",
        "The last requests at the gateway, the newest first: `last` (up to 1000, else 100), of "
        "one `server`. Figures only, no text.",
    ),
    Route("metrics", "GET", "/metrics", "All metrics in the text format of Prometheus."),
    Route("settings", "GET", "/api/settings", "The engine's settings with their sources."),
    Route("change_settings", "PATCH", "/api/settings", "Change some of the engine's settings."),
    Route("events", "GET", "/api/events", "The event stream (server-sent events)."),
)
