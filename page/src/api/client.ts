/** Requests to the server of this page. */

import type {
  ComparisonRow,
  Document,
  DocumentSummary,
  Edit,
  Forecast,
  Literal,
  LogPlace,
  LogText,
  NamedError,
  Palette,
  Preview,
  Project,
  Run,
  RunMetrics,
  RunRequest,
  RunSelection,
  RunSummary,
  SdkCode,
  Version,
} from "./types";

/** A request that the server refused; `document` is the present one where an edit met a conflict. */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    readonly error: NamedError,
    readonly document: Document | null = null,
  ) {
    super(error.message);
  }
}

const UNREACHABLE: NamedError = {
  code: "Unreachable",
  reason: "unreachable",
  message: "The designer on this machine does not answer.",
  where: "",
  advice: "Start `pytorch-designer designer` again; nothing that was saved is lost.",
};

async function request(method: string, path: string, body?: unknown): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`api/${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new RequestError(0, UNREACHABLE);
  }
  if (response.ok) return response;
  const answer = (await response.json().catch(() => ({}))) as { error?: NamedError; document?: Document };
  const fallback = { ...UNREACHABLE, message: `The designer answered ${response.status}.`, advice: "" };
  throw new RequestError(response.status, answer.error ?? fallback, answer.document ?? null);
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await (await request(method, path, body)).json()) as T;
}

async function text(path: string): Promise<string> {
  return (await request("GET", path)).text();
}

/** A path as part of an address: its slashes stay. */
export function addressed(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function query(values: Record<string, string | number | readonly string[] | undefined>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    [value ?? []].flat().map((one) => [name, String(one)]).filter(([, one]) => one !== ""),
  );
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

const at = (path: string): string => `documents/${addressed(path)}`;
const ofRun = (run: string): string => `runs/${encodeURIComponent(run)}`;

export const api = {
  project: () => json<Project>("GET", "project"),
  palette: () => json<Palette>("GET", "palette"),

  documents: () => json<{ documents: DocumentSummary[] }>("GET", "documents"),
  create: (path: string, template: string, imported?: string) =>
    json<Document>("POST", "documents", { path, template, ...(imported === undefined ? {} : { text: imported }) }),
  document: (path: string) => json<Document>("GET", at(path)),
  edit: (path: string, version: string, label: string, edits: Edit[]) =>
    json<Document>("POST", `${at(path)}/edits`, { version, label, edits }),
  undo: (path: string, version: string) => json<Document>("POST", `${at(path)}/undo`, { version }),
  redo: (path: string, version: string) => json<Document>("POST", `${at(path)}/redo`, { version }),
  rename: (path: string, to: string) => json<Document>("POST", `${at(path)}/rename`, { to }),
  remove: (path: string, version: string) => json<{ id: string }>("POST", `${at(path)}/delete`, { version }),
  writeAgain: (path: string) => json<Document>("POST", `${at(path)}/write-again`, {}),
  bringBack: (id: string, path?: string) =>
    json<Document>("POST", `deleted/${encodeURIComponent(id)}`, path === undefined ? {} : { path }),
  versions: (path: string) => json<{ versions: Version[] }>("GET", `${at(path)}/versions`),
  nameVersion: (path: string, name: string) => json<unknown>("POST", `${at(path)}/versions`, { name }),
  restore: (path: string, version: string, id: string) =>
    json<Document>("POST", `${at(path)}/restore`, { version, id }),
  text: (path: string) => text(`${at(path)}/text`),
  /** The YAML of some nodes, as it is pasted again. */
  nodesText: (path: string, names: string[]) =>
    text(`${at(path)}/nodes?${new URLSearchParams(names.map((name) => ["name", name]))}`),
  putText: (path: string, version: string, content: string) =>
    json<Document>("PUT", `${at(path)}/text`, { version, text: content }),
  /** Folders of data, as the document names them. */
  dataFolders: (path: string) => json<{ folders: string[] }>("GET", `${at(path)}/data-folders`),
  check: (path: string, node: string, port: string, value: Literal | null) =>
    json<{ message: string | null }>("POST", `${at(path)}/check`, { node, port, value }),
  forecast: (path: string, { only, from, to, force }: RunSelection = {}) =>
    json<Forecast>("GET", `${at(path)}/forecast${query({ only, from, to, force: force ? 1 : undefined })}`),
  sdk: (path: string) => json<SdkCode>("GET", `${at(path)}/sdk`),
  submit: (path: string) => json<{ log: string }>("POST", `${at(path)}/submit`, {}),

  start: (wanted: RunRequest) => json<{ run: string }>("POST", "runs", wanted),
  runs: (search = "") => json<{ runs: RunSummary[] }>("GET", `runs${query({ search })}`),
  run: (run: string) => json<Run>("GET", ofRun(run)),
  cancel: (run: string, node?: string) =>
    json<unknown>("POST", `${ofRun(run)}/cancel`, node === undefined ? {} : { node }),
  logFiles: (run: string, node: string) =>
    json<{ files: { name: string; size: number }[] }>("GET", `${ofRun(run)}/logs/${addressed(node)}`),
  log: (run: string, node: string, file: string, place: LogPlace) =>
    json<LogText>("GET", `${ofRun(run)}/logs/${addressed(node)}/${addressed(file)}${query({ ...place })}`),
  metrics: (run: string, node?: string) => json<RunMetrics>("GET", `${ofRun(run)}/metrics${query({ node })}`),
  runText: (run: string) => text(`${ofRun(run)}/document`),
  /** Null where the text of the run is not kept. */
  runPipeline: (run: string) => json<Document | null>("GET", `${ofRun(run)}/pipeline`),
  clone: (run: string, path: string) => json<Document>("POST", `${ofRun(run)}/clone`, { path }),
  compare: (a: string, b: string) => json<{ rows: ComparisonRow[] }>("GET", `runs/compare${query({ a, b })}`),
  output: (run: string, node: string, port: string, page: { offset?: number; class?: string } = {}) =>
    json<Preview>("GET", `${ofRun(run)}/outputs/${addressed(node)}/${addressed(port)}${query(page)}`),
  preview: (path: string, document: string, page: { offset?: number; class?: string } = {}) =>
    json<Preview>("GET", `preview${query({ path, document, ...page })}`),
};
