"""mlx_lm.server in our runner: its option table, its command and its failures in words."""

from importlib import metadata

from app import paths
from app.wire.errors import ErrorCode
from app.wire.nouns import Failure, Profile
from app.wire.options import Option, OptionKind, RuntimeInfo

_K = OptionKind

# Names, defaults and ranges as in mlx_lm/server.py 0.32.2; a range is narrower than what argparse
# takes where a value was seen to hang the server, to loop or to fail every request.
OPTIONS: tuple[Option, ...] = (
    Option(
        "max_tokens", "--max-tokens", _K.INT, "Longest answer",
        "How many tokens an answer may have when the request does not say.",
        default=512, minimum=1, maximum=1_000_000, unit="tokens", group="Answers", is_basic=True,
    ),
    Option(
        "temp", "--temp", _K.FLOAT, "Temperature",
        "0 always takes the likeliest word; higher values vary more. Used when the request does "
        "not say.",
        default=0.0, minimum=0.0, maximum=5.0, group="Answers", is_basic=True,
    ),
    Option(
        "top_p", "--top-p", _K.FLOAT, "Top p",
        "Considers only the likeliest words that together reach this share; 1 considers all.",
        default=1.0, minimum=0.0, maximum=1.0, group="Answers", is_basic=True,
    ),
    Option(
        "top_k", "--top-k", _K.INT, "Top k",
        "Considers only this many of the likeliest words; 0 considers all.",
        default=0, minimum=0, maximum=1_000_000, group="Answers",
    ),
    Option(
        "min_p", "--min-p", _K.FLOAT, "Min p",
        "Leaves out words that are less likely than this share of the likeliest one.",
        default=0.0, minimum=0.0, maximum=1.0, group="Answers",
    ),
    Option(
        "chat_template", "--chat-template", _K.TEXT, "Chat template",
        "Template text that replaces the model's own. A wrong one fails every chat.",
        group="Prompt",
    ),
    Option(
        "use_default_chat_template", "--use-default-chat-template", _K.FLAG,
        "Use the default chat template",
        "For a model that has no chat template of its own.", default=False, group="Prompt",
    ),
    Option(
        "chat_template_args", "--chat-template-args", _K.JSON, "Chat template arguments",
        'Values for the template, for example {"enable_thinking": false}.', default="{}",
        group="Prompt", is_basic=True,
    ),
    Option(
        "adapter_path", "--adapter-path", _K.PATH, "Adapter folder",
        "A folder with adapter_config.json and adapters.safetensors of a fine-tuning.",
        group="Model",
    ),
    Option(
        "draft_model", "--draft-model", _K.TEXT, "Draft model",
        "A small model of the same family that guesses ahead. Faster for one request at a time; "
        "requests are then served one after another.",
        group="Model",
    ),
    Option(
        "num_draft_tokens", "--num-draft-tokens", _K.INT, "Draft tokens",
        "How many tokens the draft model guesses ahead.",
        default=3, minimum=1, maximum=64, unit="tokens", group="Model",
    ),
    Option(
        "trust_remote_code", "--trust-remote-code", _K.FLAG, "Run code from the model folder",
        "Runs Python files that came with the model, with all your rights. Only for models of "
        "people you trust.",
        default=False, group="Model",
    ),
    Option(
        "decode_concurrency", "--decode-concurrency", _K.INT, "Parallel answers",
        "How many answers are generated at the same time. Each needs memory for its context.",
        default=32, minimum=1, maximum=1024, group="Load", is_basic=True,
    ),
    Option(
        "prompt_concurrency", "--prompt-concurrency", _K.INT, "Parallel prompts",
        "How many prompts are read at the same time.",
        default=8, minimum=1, maximum=1024, group="Load",
    ),
    Option(
        "prefill_step_size", "--prefill-step-size", _K.INT, "Prompt step",
        "How many tokens of a prompt are read in one step. Smaller steps need less memory.",
        default=2048, minimum=16, maximum=1_000_000, unit="tokens", group="Load",
    ),
    Option(
        "prompt_cache_size", "--prompt-cache-size", _K.INT, "Remembered prompts",
        "How many prompts are kept so that a follow-up starts faster; 0 keeps none.",
        default=10, minimum=0, maximum=10_000, group="Memory",
    ),
    Option(
        "prompt_cache_bytes", "--prompt-cache-bytes", _K.SIZE, "Memory for remembered prompts",
        "The most that remembered prompts may take, for example 4G. Left empty, it is a quarter "
        "of the memory that is free at the start: without a bound they grow until the GPU runs "
        "out of memory. Not kept to while a draft model or a quantised cache is in use.",
        group="Memory", is_basic=True,
    ),
    Option(
        "kv_bits", "--kv-bits", _K.INT, "Cache bits",
        "Stores the context with 2 to 8 bits a number: less memory for long contexts, but "
        "requests are then served one after another.",
        minimum=2, maximum=8, choices=("2", "3", "4", "5", "6", "8"), unit="bits", group="Memory",
    ),
    Option(
        "kv_group_size", "--kv-group-size", _K.INT, "Cache group size",
        "Numbers that share a scale in a quantised cache; must divide the model's head size.",
        default=64, minimum=32, maximum=128, choices=("32", "64", "128"), group="Memory",
    ),
    Option(
        "quantized_kv_start", "--quantized-kv-start", _K.INT, "Quantise the cache from",
        "The first tokens of a context stay unquantised up to this position.",
        default=5000, minimum=0, maximum=10_000_000, unit="tokens", group="Memory",
    ),
    Option(
        "log_level", "--log-level", _K.CHOICE, "Log detail",
        "DEBUG writes whole prompts and every token to the log file.",
        default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), group="Log",
    ),
    Option(
        "pipeline", "--pipeline", _K.FLAG, "Pipeline",
        "Splits a model over several Macs layer by layer. Only for a distributed start.",
        default=False, group="Model",
    ),
)  # fmt: skip

_CAUSES: tuple[tuple[str, ErrorCode, str, str], ...] = (
    ("insufficient memory", ErrorCode.OUT_OF_MEMORY, "The GPU ran out of memory.",
     "Stop another server, or choose a smaller model or fewer parallel answers."),
    ("outofmemory", ErrorCode.OUT_OF_MEMORY, "The GPU ran out of memory.",
     "Stop another server, or choose a smaller model or fewer parallel answers."),
    ("not supported", ErrorCode.MODEL_UNSUPPORTED,
     "This mlx-lm does not know the architecture of {model}.",
     "Choose another model, or update the app when a newer mlx-lm supports it."),
    ("no safetensors found", ErrorCode.MODEL_BROKEN, "{model} has no weights.",
     "Download the model again."),
    ("incomplete download", ErrorCode.MODEL_BROKEN, "A weight file of {model} is incomplete.",
     "Download the model again."),
    ("load_safetensors", ErrorCode.MODEL_BROKEN, "A weight file of {model} cannot be read.",
     "Download the model again."),
    ("expected shape", ErrorCode.MODEL_BROKEN,
     "The weights of {model} do not fit its config.json.", "Download the model again."),
    ("backend tokenizer", ErrorCode.MODEL_BROKEN, "{model} has no usable tokenizer.",
     "Download the model again."),
    ("adapter path does not exist", ErrorCode.MODEL_MISSING,
     "The adapter folder of this profile does not exist.", "Choose another adapter folder."),
    ("cached snapshot", ErrorCode.MODEL_MISSING, "{model} is not on this disk.",
     "Download the model first."),
    ("config.json", ErrorCode.MODEL_BROKEN, "{model} has no config.json.",
     "Download the model again."),
    ("address already in use", ErrorCode.PORT_BUSY, "The port of the server is taken.",
     "Start it again; another port is used then."),
)  # fmt: skip
"""Part of the reported error in lower case, code, sentence, advice; the first match counts."""


class MlxLm:
    """Text models by mlx-lm."""

    def __init__(self) -> None:
        self.info = RuntimeInfo("mlx_lm", "mlx-lm", metadata.version("mlx-lm"), OPTIONS)

    def command(self, profile: Profile, model: str) -> list[str]:
        """Return the runner's command; the server takes any free loopback port."""
        command = [*paths.program("runner"), "--model", model, "--host", "127.0.0.1", "--port", "0"]
        # The gateway is the only client, so no web page needs an allowance.
        command += ["--allowed-origins", ""]
        for option in OPTIONS:
            value = profile.options.get(option.name)
            if value is None or value is False:
                continue
            if value is True:
                command.append(option.flag)
            else:
                # Joined by "=", a value that begins with a dash cannot be taken for an option.
                command.append(f"{option.flag}={value}")
        return command

    def explain(self, stage: str, error: str, profile: Profile) -> Failure:
        """Return the failure that mlx-lm's error means."""
        lower = error.lower()
        for part, code, sentence, hint in _CAUSES:
            if part in lower:
                return Failure(code, sentence.format(model=profile.model), hint)
        if stage == "load":
            return Failure(
                ErrorCode.MODEL_BROKEN,
                f"{profile.model} could not be loaded: {error}",
                "The log has the details. Downloading the model again often helps.",
            )
        return Failure(
            ErrorCode.SERVER_CRASHED,
            f"The server ended: {error}",
            "The log has the details.",
        )
