"""Options of ``dllm-rl serve``."""

from pydantic import Field, SecretStr

from dllm_rl.config.chat import ChatPromptConfig
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig


class ServeConfig(ModelCommandConfig):
    """Serve a model to clients of OpenAI's API."""

    host: str = Field("127.0.0.1", description="Address to listen at; others than this machine's own need api_key.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen at; 0 takes a free one.")
    api_key: SecretStr | None = Field(
        None, description="What clients must send as bearer token; the environment variable "
        "DLLM_RL_API_KEY if not given, and nothing if that is not set either.")
    model_name: str | None = Field(None, description="Name of the model for clients; the checkpoint's folder if not given.")
    prompt: ChatPromptConfig = Field(ChatPromptConfig(), description="How a conversation becomes a prompt.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How answers are decoded where a request says nothing.")
    engine: EngineConfig = Field(EngineConfig(), description="Sequences in flight and their cache.")
    max_waiting: int = Field(256, ge=0, description="Responses that may wait for a slot; more are refused with 429.")
    max_prompt_tokens: int = Field(8192, ge=1, description="Longest prompt.")
    max_output_tokens: int = Field(4096, ge=1, description="Longest response.")
    max_n: int = Field(16, ge=1, description="Most responses of one request.")
    weights_root: str | None = Field(
        None, description="Folder below which clients may have weights loaded from; they may not if not given.")
    shutdown_grace: int = Field(30, ge=0, description="Seconds that running requests get when the server is stopped.")
