"""Answers of a model behind an OpenAI-compatible chat endpoint, hosted or local: vLLM, llama.cpp, Ollama, OpenAI.

Covers asking, a few requests at once, answers kept as they come, and what can go wrong, without ever telling the key.
A request that fails for a while (429, 5xx, a dropped connection) is repeated by the client, later each time. Parameters
that OpenAI's interface lacks, top_k and repetition_penalty, are sent where they are set, by the names that vLLM and
llama.cpp know. Services that do not know them refuse or ignore them. The loss of a reference is not covered: chat
endpoints do not tell it.
"""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.inference import refusals
from src.inference.engine import Answer, FinishReason, Sampling, TokenCounts
from src.journal import Journal
from src.params import EndpointParams
from src.progress import progress_bar
from src.prompts.rendering import Prompt, Turns

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

AT_ONCE = 4  # requests; more of them run into the limits of small accounts
TIMEOUT = 120.0  # seconds for an answer
RETRIES = 5  # after 0.5, 1, 2, 4 and 8 s, or after what the endpoint asks for
KEPT = Path(".answers")  # a file for each endpoint; git and DVC ignore the folder
FINISH_REASONS: dict[str | None, FinishReason] = {"stop": "stop", "length": "length", None: "stop"}  # some tell none
NO_KEY = "no-key"  # the client insists on a key; servers that need none ignore it


class EndpointEngine:
    """A model behind an endpoint, as an engine."""

    def __init__(self, endpoint: EndpointParams, environment: Mapping[str, str] = os.environ) -> None:
        """Prepares the client, and reads the answers that are kept; asks nothing.

        Args:
            endpoint: where the model is.
            environment: what holds the key.

        Raises:
            UserError: if the key is missing or cannot be sent.
        """
        from openai import OpenAI

        self.endpoint, self.key = endpoint, read_key(endpoint, environment)
        self.journal = Journal(KEPT / f"{endpoint.name}.jsonl")
        self.kept: dict[str, Answer] = {row["question"]: read_kept(row) for row in self.journal.rows}
        self.client = OpenAI(base_url=endpoint.address, api_key=self.key, max_retries=RETRIES, timeout=TIMEOUT)

    def answer(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Answer]:
        """An answer to each prompt, in their order; those that are kept are not asked for again.

        Args:
            prompts: turns, or text, which is sent as the one turn of a user.
            sampling: how the answers are drawn.

        Raises:
            UserError: if the endpoint gives no answer; those that it gave until then are kept.
        """
        label = f"Asking {self.endpoint.name}"
        with ThreadPoolExecutor(AT_ONCE) as pool, progress_bar(label, len(prompts), "prompts") as bar:
            answers = []
            for answer in pool.map(lambda prompt: self.ask(as_turns(prompt), sampling), prompts):
                answers.append(answer)
                bar.update()
            return answers

    def ask(self, turns: Turns, sampling: Sampling) -> Answer:
        """The kept answer to a question, or the endpoint's, which is kept.

        Args:
            turns: the question.
            sampling: how the answer is drawn.
        """
        request = {"model": self.endpoint.model, "messages": turns, **sampling_options(sampling)}
        question = digest_of({"address": self.endpoint.address, **request})
        if question not in self.kept:
            answer = self.request(request)
            self.journal.append({"question": question, **answer._asdict()})
            self.kept[question] = answer
        return self.kept[question]

    def request(self, request: dict[str, Any]) -> Answer:
        """What the endpoint answers.

        Args:
            request: in the words of OpenAI's interface.

        Raises:
            UserError: if it gives no answer.
        """
        from openai import OpenAIError

        try:
            return self.read_completion(self.client.chat.completions.create(**request))
        except (OpenAIError, ValueError) as error:  # ValueError: a body that is not JSON
            raise refusals.failed_request(self.endpoint, self.key, error) from None

    def read_completion(self, completion: "ChatCompletion") -> Answer:
        """The answer in an endpoint's response.

        Raises:
            UserError: if it holds none.
        """
        choice = next(iter(getattr(completion, "choices", None) or ()), None)
        # The client checks no types: servers leave out or add what they like.
        content = getattr(getattr(choice, "message", None), "content", None)
        finish_reason = FINISH_REASONS.get(getattr(choice, "finish_reason", None))
        if not isinstance(content, str) or not finish_reason:
            raise refusals.no_content(self.endpoint, self.key, choice)
        return Answer(content.strip(), [], finish_reason, read_usage(completion.usage))


def read_usage(usage: object) -> TokenCounts:
    """The tokens of prompt and answer as an endpoint counts them; 0 where it does not tell."""
    prompt, answer = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    return TokenCounts(prompt if isinstance(prompt, int) else 0, answer if isinstance(answer, int) else 0)


def read_key(endpoint: EndpointParams, environment: Mapping[str, str]) -> str:
    """The key of an endpoint.

    Args:
        endpoint: which names the variable.
        environment: what holds it.

    Raises:
        UserError: if it is missing, or no header of HTTP can hold it: the client's own error would show it.
    """
    if not endpoint.key_variable:
        return NO_KEY
    key = environment.get(endpoint.key_variable, "").strip()
    if not key:
        raise refusals.missing_key(endpoint)
    if not (key.isascii() and key.isprintable()):
        raise refusals.odd_key(endpoint)
    return key


def as_turns(prompt: Prompt) -> Turns:
    """A prompt as an endpoint takes it: text is the one turn of a user."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def sampling_options(sampling: Sampling) -> dict[str, Any]:
    """How an answer is drawn, in the words of OpenAI's interface; what is off is left out, as some services refuse it.

    The seed is the same for each prompt, so that an answer does not depend on the prompt's place.
    """
    options: dict[str, Any] = {"max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature}
    if sampling.temperature > 0:
        options |= {"top_p": sampling.top_p, "seed": sampling.seed}
    more: dict[str, Any] = {"top_k": sampling.top_k} if sampling.temperature > 0 and sampling.top_k > 0 else {}
    if sampling.repetition_penalty != 1:
        more |= {"repetition_penalty": sampling.repetition_penalty, "repeat_penalty": sampling.repetition_penalty}
    return options | {"extra_body": more} if more else options


def digest_of(question: object) -> str:
    """A name for what an endpoint is asked, and how."""
    return sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:32]


def read_kept(row: dict[str, Any]) -> Answer:
    """The answer in a row that was kept."""
    return Answer(row["text"], [], row["finish_reason"], TokenCounts(*row["counted"]))
