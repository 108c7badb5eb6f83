/** What the server and the page say to each other; src/pytorch_designer/designer/server is the other end. */

export type Literal = string | number | boolean;
export interface Point { x: number; y: number }
export interface NodePort { node: string; port: string }
/** Where a link starts: the output of a node, or a pipeline input. */
export type Source = NodePort | { input: string };

export interface DocumentSummary { path: string; name: string; num_nodes: number; modified: number }
export interface DeletedDocument { id: string; path: string; time: number }
export interface Template { id: string; name: string; description: string }
export interface Project {
  folder: string;
  name: string;
  documents: DocumentSummary[];
  open: string | null;
  version: string;
  workspace: string | null;
  /** What is missing for a submission, as far as it can be told without the network; empty where nothing is. */
  submit_problem: string;
  /** Whether this machine has signs of a login to Azure. */
  has_login: boolean;
  /** Pipelines that can be brought back, the latest first. */
  deleted: DeletedDocument[];
  templates: Template[];
}

export interface Palette { categories: { name: string; components: Component[] }[] }
export interface Component {
  /** Stable identifier: a path relative to the project, or "builtin:score_image_model". */
  reference: string;
  name: string;
  display_name: string;
  version: string;
  description: string;
  category: string;
  kind: string;
  is_builtin: boolean;
  inputs: Port[];
  parameters: Parameter[];
  outputs: Port[];
  /** Why it does not load; it stays in the palette, greyed, with this. */
  fault: string | null;
  file: string | null;
}
export interface Port {
  name: string;
  type: string;
  /** What the folder holds, by the tag `port.NAME`: ImageDirectory, ModelDirectory, ... */
  directory_type: string | null;
  optional: boolean;
  description: string;
}
export interface Parameter {
  name: string;
  type: "integer" | "number" | "string" | "boolean";
  default: Literal | null;
  minimum: number | null;
  maximum: number | null;
  choices: string[] | null;
  optional: boolean;
  description: string;
}

export interface Document {
  path: string;
  version: string;
  name: string;
  description: string;
  nodes: Node[];
  inputs: PipelineInput[];
  outputs: PipelineOutput[];
  settings: Record<string, Literal>;
  faults: Fault[];
  /** Label of what undo would undo. */
  undo: string | null;
  redo: string | null;
  /** Why this file cannot be edited on the canvas, for example YAML that does not parse. */
  read_only: string | null;
}
export type NodeKind = "command" | "pipeline" | "sweep" | "parallel" | "if_else" | "do_while" | "other";
export interface Node {
  name: string;
  kind: NodeKind;
  reference: string;
  component: Component | null;
  inputs: Record<string, Binding>;
  outputs: Record<string, Binding>;
  position: Point | null;
  comment: string;
  /** Why runs on this machine leave it out: `DISABLED`, or because of a node that is; "" where it runs. */
  left_out: string;
  settings: NodeSettings;
  line: number;
}
export const DISABLED = "disabled";
export interface NodeSettings {
  compute: string | null;
  instance_count: string | number | null;
  process_count_per_instance: string | number | null;
  environment_variables: Record<string, string>;
}
export type Binding =
  | { kind: "node"; node: string; port: string }
  | { kind: "pipeline"; name: string }
  | { kind: "value"; value: Literal }
  | { kind: "data"; path: string; type: string; mode: string | null }
  | { kind: "expression"; text: string };
export interface PipelineInput {
  name: string;
  type: string;
  value: Literal | null;
  path: string | null;
  optional: boolean;
  description: string;
  position: Point | null;
}
export interface PipelineOutput { name: string; type: string; path: string | null; source: NodePort | null }
export interface Fault {
  severity: "error" | "warning";
  rule: string;
  message: string;
  advice: string;
  line: number;
  column: number;
  node: string | null;
  port: string | null;
  keys: string[];
}

export type PipelineKey =
  | "display_name"
  | "description"
  | "experiment_name"
  | "settings.default_compute"
  | "settings.force_rerun"
  | "settings.continue_on_step_failure";
export type Edit =
  | { op: "add_node"; reference: string; name?: string; position?: Point; connect?: { port: string; from: NodePort } }
  | { op: "remove_nodes"; names: string[] }
  | { op: "rename_node"; name: string; to: string }
  | { op: "duplicate_nodes"; names: string[]; offset: Point }
  | { op: "paste_nodes"; yaml: string; position: Point }
  | { op: "connect"; node: string; port: string; from: Source; replaces?: boolean }
  | { op: "disconnect"; node: string; port: string }
  | { op: "set_value"; node: string; port: string; value: Literal | null }
  | { op: "set_data"; node: string; port: string; path: string; type: string; mode?: string }
  | { op: "move_nodes"; positions: Record<string, Point | null> }
  | { op: "set_disabled"; names: string[]; disabled: boolean }
  | { op: "set_comment"; node: string; text: string }
  | { op: "set_setting"; node: string; key: string; value: string | number | null }
  | {
      op: "add_input";
      name: string;
      type: string;
      value?: Literal;
      path?: string;
      connect?: { node: string; port: string };
    }
  | { op: "set_input"; name: string; value?: Literal | null; path?: string; description?: string }
  | { op: "rename_input"; name: string; to: string }
  | { op: "remove_input"; name: string }
  | { op: "add_output"; name: string; source: NodePort }
  | { op: "set_output"; name: string; path: string | null }
  | { op: "rename_output"; name: string; to: string }
  | { op: "remove_output"; name: string }
  | { op: "set_pipeline"; key: PipelineKey; value: string | boolean | null };
export interface Version { id: string; version: string; label: string; time: number; name?: string }

export interface ForecastNode { state: "reused" | "runs" | "depends"; reason: string; reused_from?: number | null }
/** `problem` says why there is none, in this and in code: that a pipeline cannot run yet is no error. */
export interface Forecast { nodes: Record<string, ForecastNode> | null; problem: string }
export interface SdkCode { code: string | null; problem: string }

export interface RunSummary {
  run: string;
  name: string;
  state: string;
  started: number;
  seconds: number | null;
  document: string | null;
  num_nodes: number;
  num_reused: number;
  error: string | null;
}
export interface Run extends RunSummary {
  nodes: Record<string, NodeState>;
  inputs: Record<string, string>;
  /** Number of the last event that is in here. */
  sequence: number;
}
export interface NodeState {
  state: "waiting" | "running" | "completed" | "reused" | "failed" | "canceled" | "skipped" | "interrupted";
  started: number | null;
  seconds: number | null;
  progress: { text: string; fraction: number | null } | null;
  reason: string | null;
  reused_from: number | null;
  exit_code: number | null;
  error: NodeError | null;
  peak_memory_bytes: number | null;
  log_files: string[];
  outputs: string[];
}
/** What ended a node: a named error of the component or of the harness, or only a message. */
export interface NodeError {
  name: string | null;
  code: string | null;
  reason: string | null;
  message: string;
  where: string | null;
  advice: string;
  examples: string[];
}
export interface NamedError { code: string; reason: string; message: string; where: string; advice: string }
export interface RunRequest extends RunSelection {
  document: string;
  version: string;
  /** By node, as `pytorch-designer run --fault` has them: "kill-after=5". */
  faults?: Record<string, string[]>;
}
/** Which nodes of a pipeline run, and whether kept results count. */
export interface RunSelection { only?: string[]; from?: string[]; to?: string[]; force?: boolean }
export interface LogText { text: string; offset: number; next_offset: number; size: number; ended: boolean }
/** A part of a log: from a byte (negative: before the end), or the one that ends before a byte. */
export interface LogPlace { offset?: number; before?: number; limit?: number }
export interface RunMetrics { nodes: Record<string, Record<string, [number, number | null, number][]>> }
export interface ComparisonRow {
  kind: "parameter" | "metric" | "duration" | "output" | "input" | "state";
  /** null: the whole run. */
  node: string | null;
  name: string;
  a: Literal | null;
  b: Literal | null;
  differs: boolean;
}
export type Preview =
  | {
      kind: "images";
      directory_type: string;
      classes: { name: string; count: number }[];
      total: number;
      images: { thumbnail: string; label: string | null; name: string }[];
      next_offset: number | null;
    }
  | { kind: "table"; columns: string[]; rows: (string | number | null)[][]; total: number; next_offset: number | null }
  | { kind: "model"; facts: [string, string][]; report: string | null }
  | { kind: "report"; url: string; facts: [string, string][] }
  | { kind: "transformation"; steps: string[] }
  | { kind: "files"; files: { name: string; size: number; url: string }[] }
  | { kind: "text"; text: string; truncated: boolean }
  | { kind: "missing"; message: string };

/** A change of a run; `node` and `state` are there if `kind` is "node". */
export interface RunEvent {
  run: string;
  sequence: number;
  kind: "started" | "node" | "ended";
  summary: RunSummary;
  node?: string;
  state?: NodeState;
}

export interface ServerEvents {
  document: { path: string; version: string };
  /** A document has another name. */
  moved: { from: string; to: string };
  /** A document was deleted; `id` brings it back. */
  removed: { path: string; id: string };
  palette: Record<string, never>;
  /** Events were missed: everything is to be read again. */
  reset: Record<string, never>;
  run: RunEvent;
  /** A log has grown; its text is read by offset. */
  log: { run: string; node: string; file: string; size: number };
  submission: { id: string; text: string; ended: boolean };
}
