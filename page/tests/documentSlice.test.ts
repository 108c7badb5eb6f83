import { afterEach, beforeEach, expect, it, vi } from "vitest";

import type { Document } from "../src/api/types";
import { allCommands } from "../src/editing/allCommands";
import { isEnabled } from "../src/editing/commands";
import { savingState } from "../src/state/documentSlice";
import { useStore } from "../src/state/store";
import { demo } from "./demo";

type Answer = { status: number; body: unknown } | "unreachable";
let requests: { path: string; body: { version: string; label: string; edits: unknown[] } }[] = [];
let answers: ((body: { version: string }) => Answer | Promise<Answer>)[] = [];

beforeEach(async () => {
  requests = [];
  answers = [() => ({ status: 200, body: demo() })];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const body = init.body === undefined ? {} : JSON.parse(init.body as string);
    requests.push({ path, body });
    const answer = await (answers.shift() ?? (() => ({ status: 500, body: {} })))(body);
    if (answer === "unreachable") throw new TypeError("refused");
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  });
  useStore.setState({ waiting: [], conflict: null, notice: null, isConnected: true });
  await useStore.getState().open("pipeline.yaml");
  requests = [];
});
afterEach(() => vi.unstubAllGlobals());

const { edit } = useStore.getState();
const set = (value: number) => edit("Set epochs", [{ op: "set_value", node: "train", port: "epochs", value }]);
const epochs = (document: Document | null) => document?.nodes.find(({ name }) => name === "train")?.inputs.epochs;
const saved = (version: string, value: number): Answer => {
  const document = demo();
  document.nodes[2]!.inputs.epochs = { kind: "value", value };
  return { status: 200, body: { ...document, version } };
};

it("shows an edit at once and takes the document of the answer", async () => {
  answers = [() => saved("v2", 9)];
  const done = set(9);
  expect(epochs(useStore.getState().document)).toEqual({ kind: "value", value: 9 });
  expect(savingState(useStore.getState())).toBe("saving");
  expect(await done).toBe(true);
  expect(useStore.getState().confirmed?.version).toBe("v2");
  expect(savingState(useStore.getState())).toBe("saved");
});

it("sends one gesture after the other, each on the version before it", async () => {
  answers = [() => saved("v2", 9), () => saved("v3", 10)];
  await Promise.all([set(9), set(10)]);
  expect(requests.map(({ body }) => body.version)).toEqual(["v1", "v2"]);
  expect(epochs(useStore.getState().document)).toEqual({ kind: "value", value: 10 });
});

it("keeps what waits when the server is away, and sends it later", async () => {
  answers = [() => "unreachable"];
  const done = set(9);
  await vi.waitFor(() => expect(savingState(useStore.getState())).toBe("offline"));
  expect(epochs(useStore.getState().document)).toEqual({ kind: "value", value: 9 });
  answers = [() => saved("v2", 9)];
  await useStore.getState().resume();
  expect(await done).toBe(true);
  expect(useStore.getState().waiting).toEqual([]);
});

it("shows a conflict with the file as it is now, and tries again only when asked", async () => {
  const error = { code: "InvalidSpec", reason: "conflict", message: "epochs was set to 4.", where: "", advice: "" };
  answers = [() => ({ status: 409, body: { error, document: { ...demo(), version: "hand" } } })];
  expect(await set(9)).toBe(false);
  const { conflict, document } = useStore.getState();
  expect(conflict).toMatchObject({ label: "Set epochs", message: "epochs was set to 4." });
  expect(document?.version).toBe("hand");
  answers = [() => saved("v3", 9)];
  useStore.getState().settleConflict(true);
  await vi.waitFor(() => expect(useStore.getState().confirmed?.version).toBe("v3"));
  expect(requests.at(-1)?.body.version).toBe("hand");
});

it("asks about what waited behind a conflict, and sends nothing of it unasked", async () => {
  const error = { code: "InvalidSpec", reason: "conflict", message: "train is gone.", where: "", advice: "" };
  answers = [() => ({ status: 409, body: { error, document: { ...demo(), version: "hand" } } })];
  const { undo, settleConflict } = useStore.getState();
  expect(await Promise.all([set(9), set(10), undo()])).toEqual([false, false, false]);
  expect(requests.length).toBe(1);
  expect(useStore.getState().waiting).toEqual([]);
  expect(epochs(useStore.getState().document)).toEqual({ kind: "pipeline", name: "epochs" });
  expect(useStore.getState().conflict?.behind.map(({ label }) => label)).toEqual(["Set epochs", "Undo"]);
  answers = [() => saved("v3", 9), () => saved("v4", 10)];
  settleConflict(true);
  await vi.waitFor(() => expect(useStore.getState().confirmed?.version).toBe("v4"));
  expect(requests.length).toBe(3); // the undo would undo something else now
});

it("shows the pipeline of an earlier run, in which nothing can be edited", async () => {
  const past = { ...demo(), version: "then", nodes: demo().nodes.slice(0, 2), read_only: "This was run." };
  const { showPast } = useStore.getState();
  showPast(past);
  expect(useStore.getState().document).toBe(past);
  expect(await set(9)).toBe(false);
  expect(requests).toEqual([]);
  expect(useStore.getState().notice?.message).toBe("This was run.");
  showPast(null);
  expect(useStore.getState().document?.nodes.length).toBe(demo().nodes.length);
});

it("takes back what the server refuses and says why", async () => {
  const error = { code: "InvalidSpec", reason: "types", message: "It does not fit.", where: "", advice: "Do not." };
  answers = [() => ({ status: 400, body: { error } })];
  expect(await set(9)).toBe(false);
  expect(epochs(useStore.getState().document)).toEqual({ kind: "pipeline", name: "epochs" });
  expect(useStore.getState().notice).toMatchObject({ kind: "error", message: "It does not fit.", advice: "Do not." });
});

it("takes the name that the file has got elsewhere, and sends what follows there", async () => {
  answers = [() => ({ status: 200, body: { ...demo(), path: "renamed.yaml", version: "v2" } }), () => saved("v3", 4)];
  await set(9);
  expect(useStore.getState().path).toBe("renamed.yaml");
  await set(4);
  expect(requests.map(({ path }) => path)).toEqual(["api/documents/pipeline.yaml/edits", "api/documents/renamed.yaml/edits"]);
});

it("sends what waits before the file gets another name", async () => {
  answers = [() => saved("v2", 9), () => ({ status: 200, body: { ...demo(), path: "b.yaml", version: "v2" } })];
  const done = set(9);
  await useStore.getState().rename("b.yaml");
  expect(await done).toBe(true);
  expect(requests.slice(0, 2).map(({ path }) => path.split("/").at(-1))).toEqual(["edits", "rename"]);
  expect(useStore.getState().path).toBe("b.yaml");
});

it("closes a document that is deleted, and Ctrl Z brings it back", async () => {
  const project = { documents: [], deleted: [], templates: [] };
  answers = [() => ({ status: 200, body: { id: "1-a" } }), () => ({ status: 200, body: project })];
  await useStore.getState().remove();
  const { path, notice, lastRemoved } = useStore.getState();
  expect([path, notice?.message, lastRemoved?.id]).toEqual([null, "pipeline.yaml was deleted.", "1-a"]);
  answers = [() => ({ status: 201, body: demo() })];
  const undo = allCommands().find(({ id }) => id === "undo")!;
  expect(isEnabled(undo, useStore.getState())).toBe(true);
  requests = [];
  await undo.perform(useStore.getState());
  expect(requests[0]!.path).toBe("api/deleted/1-a");
  expect(useStore.getState().path).toBe("pipeline.yaml");
});

it("keeps a document open that was not deleted", async () => {
  answers = [() => ({ status: 409, body: { error: { reason: "in_use", message: "It is running.", advice: "" } } })];
  await expect(useStore.getState().remove()).rejects.toThrow("It is running.");
  expect(useStore.getState().path).toBe("pipeline.yaml");
});
