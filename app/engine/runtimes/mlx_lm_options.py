"""The options of mlx_lm.server as a table."""

from app.wire.options import Option, OptionKind

_K = OptionKind

# Names, defaults and ranges as in mlx_lm/server.py 0.32.2; a range is narrower than what argparse
# takes where a value was seen to hang the server, to loop or to fail every request.
OPTIONS: tuple[Option, ...] = (
    Option(
        "max_tokens", "--max-tokens", _K.INT, "Longest answer",
        "How many tokens an answer may have when the request does not say.",
        default=512, minimum=1, maximum=1_000_000, unit="tokens", group="Answers", is_basic=True,
        why="mlx-lm's own value; long enough for most answers, short enough to end a runaway one.",
    ),
    Option(
        "temp", "--temp", _K.FLOAT, "Temperature",
        "0 always takes the likeliest word; higher values vary more. Used when the request does "
        "not say.",
        default=0.0, minimum=0.0, maximum=5.0, group="Answers", is_basic=True,
        why="mlx-lm's own value: the same question gives the same answer, which suits code "
        "and tests.",
    ),
    Option(
        "top_p", "--top-p", _K.FLOAT, "Top p",
        "Considers only the likeliest words that together reach this share; 1 considers all.",
        default=1.0, minimum=0.0, maximum=1.0, group="Answers", is_basic=True,
        why="mlx-lm's own value: nothing is cut off.",
    ),
    Option(
        "top_k", "--top-k", _K.INT, "Top k",
        "Considers only this many of the likeliest words; 0 considers all.",
        default=0, minimum=0, maximum=1_000_000, group="Answers",
        why="mlx-lm's own value: nothing is cut off.",
    ),
    Option(
        "min_p", "--min-p", _K.FLOAT, "Min p",
        "Leaves out words that are less likely than this share of the likeliest one.",
        default=0.0, minimum=0.0, maximum=1.0, group="Answers",
        why="mlx-lm's own value: nothing is cut off.",
    ),
    Option(
        "chat_template", "--chat-template", _K.TEXT, "Chat template",
        "Template text that replaces the model's own. A wrong one fails every chat.",
        group="Prompt",
        why="The model's own template is the one that it was trained with.",
    ),
    Option(
        "use_default_chat_template", "--use-default-chat-template", _K.FLAG,
        "Use the default chat template",
        "For a model that has no chat template of its own.", default=False, group="Prompt",
        why="Nearly every chat model brings a template of its own.",
    ),
    Option(
        "chat_template_args", "--chat-template-args", _K.JSON, "Chat template arguments",
        'Values for the template, for example {"enable_thinking": false}.', default="{}",
        group="Prompt", is_basic=True,
        why="Templates have sensible values of their own.",
    ),
    Option(
        "adapter_path", "--adapter-path", _K.PATH, "Adapter folder",
        "A folder with adapter_config.json and adapters.safetensors of a fine-tuning.",
        group="Model",
        why="A model works without a fine-tuning.",
    ),
    Option(
        "draft_model", "--draft-model", _K.MODEL, "Draft model",
        "A small model of the same family that guesses ahead. Faster for one request at a time; "
        "requests are then served one after another.",
        group="Model",
        why="With a draft model, requests are no longer answered in parallel.",
    ),
    Option(
        "num_draft_tokens", "--num-draft-tokens", _K.INT, "Draft tokens",
        "How many tokens the draft model guesses ahead.",
        default=3, minimum=1, maximum=64, unit="tokens", group="Model",
        why="mlx-lm's own value; more guesses are more often wrong.",
    ),
    Option(
        "trust_remote_code", "--trust-remote-code", _K.FLAG, "Run code from the model folder",
        "Runs Python files that came with the model, with all your rights. Only for models of "
        "people you trust.",
        default=False, group="Model",
        why="Code of strangers should never run without your word.",
    ),
    Option(
        "decode_concurrency", "--decode-concurrency", _K.INT, "Parallel answers",
        "How many answers are generated at the same time. Each needs memory for its context.",
        default=32, minimum=1, maximum=1024, group="Load", is_basic=True,
        why="mlx-lm's own value: enough for a team, and idle places cost nothing.",
    ),
    Option(
        "prompt_concurrency", "--prompt-concurrency", _K.INT, "Parallel prompts",
        "How many prompts are read at the same time.",
        default=8, minimum=1, maximum=1024, group="Load",
        why="mlx-lm's own value: reading more prompts at once delays the first words of all.",
    ),
    Option(
        "prefill_step_size", "--prefill-step-size", _K.INT, "Prompt step",
        "How many tokens of a prompt are read in one step. Smaller steps need less memory.",
        default=2048, minimum=16, maximum=1_000_000, unit="tokens", group="Load",
        why="mlx-lm's own value: larger steps are hardly faster and need more memory.",
    ),
    Option(
        "prompt_cache_size", "--prompt-cache-size", _K.INT, "Remembered prompts",
        "How many prompts are kept so that a follow-up starts faster; 0 keeps none.",
        default=10, minimum=0, maximum=10_000, group="Memory",
        why="mlx-lm's own value: enough for ten conversations to go on at once.",
    ),
    Option(
        "prompt_cache_bytes", "--prompt-cache-bytes", _K.SIZE, "Memory for remembered prompts",
        "The most that remembered prompts may take, for example 4G. Left empty, it is a quarter "
        "of the memory that is free at the start: without a bound they grow until the GPU runs "
        "out of memory. Not kept to while a draft model or a quantised cache is in use.",
        group="Memory", is_basic=True,
        why="Chosen at the start by the memory that is free then.",
    ),
    Option(
        "kv_bits", "--kv-bits", _K.INT, "Cache bits",
        "Stores the context with 2 to 8 bits a number: less memory for long contexts, but "
        "requests are then served one after another.",
        minimum=2, maximum=8, choices=("2", "3", "4", "5", "6", "8"), unit="bits", group="Memory",
        why="Full precision: fewer bits cost quality and parallel answers.",
    ),
    Option(
        "kv_group_size", "--kv-group-size", _K.INT, "Cache group size",
        "Numbers that share a scale in a quantised cache; must divide the model's head size.",
        default=64, minimum=32, maximum=128, choices=("32", "64", "128"), group="Memory",
        why="mlx-lm's own value, which divides the head size of nearly all models.",
    ),
    Option(
        "quantized_kv_start", "--quantized-kv-start", _K.INT, "Quantise the cache from",
        "The first tokens of a context stay unquantised up to this position.",
        default=5000, minimum=0, maximum=10_000_000, unit="tokens", group="Memory",
        why="mlx-lm's own value: short contexts keep their full quality.",
    ),
    Option(
        "log_level", "--log-level", _K.CHOICE, "Log detail",
        "DEBUG writes whole prompts and every token to the log file.",
        default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), group="Log",
        why="Tells what happens without writing prompts to the disk.",
    ),
    Option(
        "pipeline", "--pipeline", _K.FLAG, "Pipeline",
        "Splits a model over several Macs layer by layer. Only for a distributed start.",
        default=False, group="Model",
        why="A single Mac runs the whole model.",
    ),
)  # fmt: skip

LAUNCH: tuple[Option, ...] = (
    Option(
        "python", "", _K.PATH, "Python",
        "The Python that runs this server: a program, or the folder of an environment with mlx-lm. "
        "Empty: the one of the settings.",
        group="Program",
        why="One mlx-lm for all profiles is the easiest to keep up to date.",
    ),
    Option(
        "environment", "", _K.JSON, "Environment variables",
        'Names and values for the server, for example {"MLX_METAL_FAST_SYNCH": "1"}.',
        default="{}", group="Program",
        why="mlx-lm needs none.",
    ),
)  # fmt: skip
"""How the server's process is started; no arguments of the server itself."""

TABLE = (*OPTIONS, *LAUNCH)
"""Everything that a profile of this runtime may say."""
