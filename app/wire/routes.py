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
    Route(
        "restore_profile",
        "POST",
        "/api/profiles/{id}/restore",
        "Bring a deleted profile back from the trash, its file as it was.",
    ),
    Route(
        "export_profile",
        "GET",
        "/api/profiles/{id}/export",
        "One profile as the text of a file that other computers can import.",
    ),
    Route(
        "preview_profile",
        "POST",
        "/api/profiles/preview",
        "What a draft would start: the command, what is wrong with it, and the Python for it.",
    ),
    Route(
        "preview_import",
        "POST",
        "/api/imports/preview",
        "What the `text` of an exported file would import, or, with `source` `predecessor`, what "
        "the earlier MLX Manager left on this computer: names, models, options and what needs "
        "consent. Changes nothing.",
    ),
    Route(
        "import_profiles",
        "POST",
        "/api/imports",
        "Import profiles: the `text` or `source` of the preview, the `chosen` numbers (all where "
        "it is left out) and the `allow`ed kinds of what needs consent; anything else that needs "
        "it is left out.",
    ),
    Route(
        "start_plan",
        "GET",
        "/api/profiles/{id}/plan",
        "What a start of a profile would take of the memory now, and which servers to stop for it; "
        "`context` in tokens.",
    ),
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
        "The last `max_bytes` of its log, as plain text. `offset`: raw bytes from there on; `run`: "
        "an earlier run. The headers tell offset, size and version of the log.",
    ),
    Route(
        "server_log_runs",
        "GET",
        "/api/servers/{id}/log/runs",
        "The runs of a server whose logs are kept, with size and file, the newest first.",
    ),
    Route(
        "server_history",
        "GET",
        "/api/servers/{id}/history",
        "A server's figures over the last `span_s` (300, 3600 or 86400) seconds, also from before "
        "a restart of the engine.",
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
        "verify_model",
        "POST",
        "/api/models/{id:path}/verify",
        "Compare a model's files with their checksums; answers 202 at once, and `check` of the "
        "model tells how far it is and what it found. Damage is its `problem` until it is "
        "mended.",
    ),
    Route(
        "stop_verify",
        "DELETE",
        "/api/models/{id:path}/verify",
        "End the check of a model's files, or forget what it found.",
    ),
    Route(
        "preview_removal",
        "GET",
        "/api/models/{id:path}/removal",
        "What deleting a model would do: its folders with their sizes, and who uses it.",
    ),
    # After the row above with the same end: an id may be any path.
    Route(
        "remove_model",
        "DELETE",
        "/api/models/{id:path}",
        "Delete a model from the hub's cache, or move its folder to the trash: of several folders "
        "the first, or `location`. Refused while a server or a profile uses it; `force` (1) "
        "deletes it in spite of profiles.",
    ),
    Route("places", "GET", "/api/places", "The folders that models are looked for in."),
    Route(
        "leftovers",
        "GET",
        "/api/leftovers",
        "Unfinished files in the hub's cache that no download owns, by model.",
    ),
    Route(
        "remove_leftovers",
        "DELETE",
        "/api/leftovers",
        "Remove unfinished files that no download owns; answers what was removed.",
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
    Route("pause_downloads", "POST", "/api/downloads/pause", "Pause all downloads."),
    Route(
        "resume_downloads",
        "POST",
        "/api/downloads/resume",
        "Go on with all downloads that are paused.",
    ),
    Route(
        "move_download",
        "POST",
        "/api/downloads/{id:path}/move",
        "Move a queued download in the queue: `to` is top, up, down or bottom.",
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
        "Requests at the gateway, the newest first, also from before a restart: `last` (up to "
        "1000, else 100), of one `server`, `before` an id. Figures only, no text.",
    ),
    Route(
        "request_texts",
        "GET",
        "/api/requests/{id}/texts",
        "Prompt and answer of a request that has ended; 404 unless `record_texts` was on then.",
    ),
    Route("delete_texts", "DELETE", "/api/requests/texts", "Delete all prompts and answers."),
    Route("metrics", "GET", "/metrics", "All metrics in the text format of Prometheus."),
    Route("named_keys", "GET", "/api/keys", "All named API keys, without their secrets."),
    Route(
        "create_key",
        "POST",
        "/api/keys",
        "Make a named API key; only this answer has its secret.",
    ),
    Route("revoke_key", "DELETE", "/api/keys/{id}", "Forget a named API key."),
    Route("settings", "GET", "/api/settings", "The engine's settings with their sources."),
    Route("change_settings", "PATCH", "/api/settings", "Change some of the engine's settings."),
    Route(
        "events",
        "GET",
        "/api/events",
        "The event stream (server-sent events), with figures every second or as rarely as `every` "
        "seconds; while nobody wants them more often, the engine measures every 5 seconds.",
    ),
)
