"""Agents: a model, tools and an executor, working on a task step by step."""

from __future__ import annotations

from pinjra.agents.agent import Agent as Agent
from pinjra.agents.approval import AuditLog as AuditLog
from pinjra.agents.approval import Decision as Decision
from pinjra.agents.approval import allow as allow
from pinjra.agents.approval import refuse as refuse
from pinjra.agents.approval import replace as replace
from pinjra.agents.code_agent import CodeAgent as CodeAgent
from pinjra.agents.errors import AgentBudgetError as AgentBudgetError
from pinjra.agents.errors import AgentError as AgentError
from pinjra.agents.errors import AgentExecutionError as AgentExecutionError
from pinjra.agents.errors import AgentGenerationError as AgentGenerationError
from pinjra.agents.errors import AgentInterrupted as AgentInterrupted
from pinjra.agents.errors import AgentMaxStepsError as AgentMaxStepsError
from pinjra.agents.errors import AgentParsingError as AgentParsingError
from pinjra.agents.errors import AgentToolCallError as AgentToolCallError
from pinjra.agents.errors import AgentToolExecutionError as AgentToolExecutionError
from pinjra.agents.memory.memory import AgentMemory as AgentMemory
from pinjra.agents.memory.steps import ActionStep as ActionStep
from pinjra.agents.memory.steps import CompactionStep as CompactionStep
from pinjra.agents.memory.steps import FinalAnswerStep as FinalAnswerStep
from pinjra.agents.memory.steps import MemoryStep as MemoryStep
from pinjra.agents.memory.steps import NestedRun as NestedRun
from pinjra.agents.memory.steps import PlanningStep as PlanningStep
from pinjra.agents.memory.steps import SystemPromptStep as SystemPromptStep
from pinjra.agents.memory.steps import TaskStep as TaskStep
from pinjra.agents.memory.steps import Timing as Timing
from pinjra.agents.printing import LogLevel as LogLevel
from pinjra.agents.prompts.templates import PromptTemplates as PromptTemplates
from pinjra.agents.run.budget import Budget as Budget
from pinjra.agents.run.budget import Price as Price
from pinjra.agents.run.compaction import Compaction as Compaction
from pinjra.agents.run.results import RunResult as RunResult
from pinjra.agents.tool_calling_agent import ToolCallingAgent as ToolCallingAgent

MultiStepAgent = Agent
"""The name that users of other libraries know for `Agent`."""
