"""Vocabulary of Azure ML's component and pipeline schemas, as azure-ai-ml 1.35 implements them.

A test compares these tables with the installed SDK.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PORT_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)  # a member of a group is `group.name`
PARAMETER_TYPES = _words("boolean integer number string")
FILE_TYPES = _words("uri_file")
FOLDER_TYPES = _words("uri_folder mltable mlflow_model triton_model")
DATA_TYPES = FILE_TYPES | FOLDER_TYPES | _words("custom_model path")  # the last two are a file or a folder
COLLECTED_OUTPUTS = _words("artifacts default")  # hold what the job writes to ./outputs and ./logs
MODES = _words("direct download eval_download eval_mount mount ro_mount rw_mount upload link")
TYPE_ALIASES = {
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "str": "string",
    "text": "string",
    "bool": "boolean",
    "folder": "uri_folder",
    "directory": "uri_folder",
    "anydirectory": "uri_folder",
    "file": "uri_file",
    "anyfile": "uri_file",
    "dataset": "uri_folder",
    "enum": "string",
}

_COMPONENT = _words(
    "$schema name version id display_name description tags type auto_delete_setting creation_context latest_version"
    " inputs outputs is_deterministic"
)
COMMAND_COMPONENT_KEYS = _COMPONENT | _words(
    "code command environment distribution resources properties additional_includes queue_settings"
)
PIPELINE_COMPONENT_KEYS = _COMPONENT | _words("jobs")
_JOB = _words(
    "$schema name id display_name description tags type experiment_name properties services inputs outputs compute"
    " identity creation_context log_files status"
)
PIPELINE_JOB_KEYS = _JOB | _words("settings jobs component")
SWEEP_JOB_KEYS = _JOB | _words(
    "trial search_space sampling_algorithm objective limits early_termination queue_settings resources"
)
SETTINGS_KEYS = _words("default_datastore default_compute continue_on_step_failure force_rerun on_init on_finalize")

PARAMETER_KEYS = _words("type description optional default min max enum")
DATA_INPUT_KEYS = _words("type description optional default mode")
OUTPUT_KEYS = _words("type description mode")
JOB_INPUT_KEYS = _words("type path mode datastore path_on_compute value")
JOB_OUTPUT_KEYS = _words("type path mode name version $schema")

RESOURCES_KEYS = _words("instance_count instance_type shm_size docker_args locations max_instance_count properties")
DISTRIBUTION_KEYS = {
    "pytorch": _words("type process_count_per_instance"),
    "mpi": _words("type process_count_per_instance"),
    "tensorflow": _words("type parameter_server_count worker_count"),
    "ray": _words(
        "type port address include_dashboard dashboard_port head_node_additional_args worker_node_additional_args"
    ),
}
ENVIRONMENT_KEYS = _words(
    "$schema name version id description tags image build conda_file os_type inference_config datastore"
    " auto_delete_setting creation_context latest_version intellectual_property"
)
BUILD_KEYS = _words("path dockerfile_path")

_NODE = _words(
    "$schema type component inputs outputs properties comment name display_name experiment_name description tags"
)
_RUNS_COMMAND = _words(
    "code command compute environment environment_variables identity limits resources distribution queue_settings"
    " services"
)
NODE_KEYS = {
    "command": _NODE | _RUNS_COMMAND,
    "pipeline": _NODE,
    "sweep": _NODE - {"component"}
    | _words(
        "trial search_space sampling_algorithm objective limits early_termination compute queue_settings resources"
        " identity"
    ),
    "parallel": _NODE
    | _words(
        "compute environment_variables error_threshold identity input_data logging_level max_concurrency_per_instance"
        " mini_batch_error_threshold mini_batch_size partition_keys resources retry_settings task"
    ),
}
INLINE_COMMAND_KEYS = _JOB | _RUNS_COMMAND | _words("parent_job_name parameters")  # those of a command job too
CONTROL_FLOW_TYPES = _words("do_while if_else parallel_for")
NODE_TYPES = CONTROL_FLOW_TYPES | _words("command pipeline sweep parallel automl spark import data_transfer")

NODE_KINDS = _words("command pipeline sweep parallel")
OTHER_COMPONENT_KINDS = _words("parallel spark import data_transfer automl")
CONTROL_KINDS = _words("if_else do_while")
"""The nodes that run jobs here, and those that decide about them."""

RESERVED_INPUT_NAMES = _words("path ld_library_path user logname home pwd shell")
AWKWARD_INPUT_NAMES = _words("name class")
