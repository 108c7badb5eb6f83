/** Commands that change the document. */

import { api } from "../api/client";
import { CARD_WIDTH } from "../canvas/cardGeometry";
import { currentCard, fitAll, focusCard, middleOfCanvas, placeAt, placesNow } from "../canvas/flowAccess";
import { linkInput } from "../canvas/flowNodes";
import { free, sizesOf } from "../canvas/layout";
import { selectedNodes } from "../state/selectionSlice";
import { useStore, type State } from "../state/store";
import { listed } from "../shared/words";
import { middlePlace } from "./adding";
import { looksLikeNodes } from "./clipboard";
import { focusFirstPort, focusFitting, startLink } from "./linking";
import type { Command } from "./commands";
import { boundTo, inputName, inputNodeId, nodeNamed, type PortEnd } from "./linkRules";
import { DISABLED, type Edit, type Point } from "../api/types";

const PASTED_HEIGHT = 150;
const OFFSET = { x: 40, y: 40 };
const hasDocument = (state: State): boolean => state.document !== null;
const canEdit = (state: State): boolean => state.document !== null && state.document.read_only === null;
const hasNodes = (state: State): boolean => canEdit(state) && selectedNodes(state).length > 0;

export const editingCommands: Command[] = [
  {
    id: "add",
    title: "Add a component",
    group: "Add",
    keys: ["a", "Insert"],
    isForCanvas: true,
    isEnabled: canEdit,
    perform: (state) => {
      const middle = middleOfCanvas();
      const at = state.menu ?? { x: middle.x - 170, y: middle.y - 140 };
      state.setAdding({ at, place: state.menu === null ? middlePlace() : placeAt(at), fitting: [], text: "" });
    },
  },
  {
    id: "insert",
    title: "Insert a component",
    group: "Add",
    isForLinks: true,
    isEnabled: (state) => canEdit(state) && endsOfLink(state) !== null,
    perform: (state) => {
      const at = state.menu ?? middleOfCanvas();
      state.setAdding({ at, place: placeAt(at), fitting: endsOfLink(state) ?? [], text: "" });
    },
  },
  {
    id: "undo",
    title: "Undo",
    group: "Edit",
    keys: ["Mod+z"],
    isEnabled: (state) => (state.path === null ? state.lastRemoved !== null : state.document?.undo != null),
    perform: (state) =>
      state.path === null && state.lastRemoved !== null
        ? state.bringBack(state.lastRemoved.id, state.lastRemoved.path)
        : state.undo(),
  },
  {
    id: "redo",
    title: "Redo",
    group: "Edit",
    keys: ["Mod+Shift+z", "Mod+y"],
    isEnabled: (state) => state.document?.redo != null,
    perform: (state) => state.redo(),
  },
  {
    id: "rename",
    title: "Rename",
    group: "Edit",
    keys: ["F2"],
    isForNodes: true,
    isEnabled: (state) => hasNodes(state) && selectedNodes(state).length === 1,
    perform: (state) => {
      state.openSidePanel("details");
      requestAnimationFrame(() => document.querySelector<HTMLInputElement>("#node-name")?.select());
    },
  },
  {
    id: "connect",
    title: "Connect",
    group: "Edit",
    keys: ["c"],
    isForNodes: true,
    isEnabled: (state) =>
      canEdit(state) && (state.selected.length > 0 || currentCard() !== undefined || endsOfLink(state) !== null),
    perform: (state) => (endsOfLink(state) === null ? focusFirstPort(currentCard() ?? "") : moveEnd(state)),
  },
  {
    id: "move-end",
    title: "Take its end to another input",
    group: "Edit",
    isForLinks: true,
    isEnabled: (state) => canEdit(state) && endsOfLink(state) !== null,
    perform: moveEnd,
  },
  {
    id: "disable",
    title: "Disable or enable",
    group: "Edit",
    keys: ["d"],
    isForNodes: true,
    isEnabled: hasNodes,
    perform: disableSelected,
  },
  {
    id: "duplicate",
    title: "Duplicate",
    group: "Edit",
    keys: ["Mod+d"],
    isForNodes: true,
    isEnabled: hasNodes,
    perform: async (state) => {
      const names = selectedNodes(state);
      await selectingNew(state.edit(`Duplicate ${listed(names)}`, [{ op: "duplicate_nodes", names, offset: OFFSET }]));
    },
  },
  { id: "copy", title: "Copy", group: "Edit", keys: ["Mod+c"], isForNodes: true, isEnabled: hasNodes, perform: copy },
  {
    id: "cut",
    title: "Cut",
    group: "Edit",
    keys: ["Mod+x"],
    isEnabled: hasNodes,
    perform: async (state) => {
      await copy(state);
      deleteSelected(state);
    },
  },
  {
    id: "paste",
    title: "Paste",
    group: "Edit",
    keys: ["Mod+v"],
    isLeftToBrowser: true, // whose event brings the text without asking for permission
    isForCanvas: true,
    isEnabled: canEdit,
    perform: async ({ menu }) => pasteText(await navigator.clipboard.readText(), menu === null ? undefined : placeAt(menu)),
  },
  {
    id: "select-all",
    title: "Select all",
    group: "Edit",
    keys: ["Mod+a"],
    isForCanvas: true,
    isEnabled: hasDocument,
    perform: (state) => state.select(state.document?.nodes.map(({ name }) => name) ?? []),
  },
  {
    id: "delete",
    title: "Delete",
    group: "Edit",
    keys: ["Delete", "Backspace"],
    isForNodes: true,
    isForLinks: true,
    isEnabled: (state) => canEdit(state) && state.selected.length + state.selectedLinks.length > 0,
    perform: deleteSelected,
  },
  {
    id: "arrange",
    title: "Arrange all cards",
    group: "Edit",
    keys: ["Shift+l"],
    isForCanvas: true,
    isEnabled: canEdit,
    perform: arrangeAll,
  },
  {
    id: "name-version",
    title: "Keep this version",
    group: "Document",
    keys: ["Mod+s"],
    isForTyping: true,
    isEnabled: hasDocument,
    problem: earlierRun,
    perform: (state) => state.openDialog("versions"),
  },
  {
    id: "new",
    title: "New pipeline",
    group: "Document",
    perform: (state) => state.openDialog("new-document"),
  },
  {
    id: "copy-document",
    title: "Copy of this pipeline",
    group: "Document",
    isEnabled: hasDocument,
    problem: earlierRun,
    perform: (state) => state.openDialog("copy-document"),
  },
  {
    id: "rename-document",
    title: "Rename this pipeline",
    group: "Document",
    isEnabled: hasDocument,
    problem: earlierRun,
    perform: (state) => state.openDialog("rename-document"),
  },
  {
    id: "delete-document",
    title: "Delete this pipeline",
    group: "Document",
    isEnabled: hasDocument,
    problem: (state) => earlierRun(state) || (state.run?.state === "running" ? "It is running: cancel the run first." : ""),
    perform: (state) => state.openDialog("delete-document"),
  },
];

function earlierRun(state: State): string {
  return state.past === null ? "" : "An earlier run is shown: go back to now first.";
}

/** The output and the input of the one link that is selected. */
function endsOfLink({ document, selected, selectedLinks: [id, ...others] }: State): PortEnd[] | null {
  if (document === null || id === undefined || selected.length + others.length > 0) return null;
  const input = linkInput(id);
  const output = boundTo(nodeNamed(document, input.node)?.inputs[input.port]);
  return output === null ? null : [output, input];
}

/** Begin to move the end of the link that is selected; arrow keys and Enter, or a click, choose where to. */
function moveEnd(state: State): void {
  const [output, input] = endsOfLink(state) ?? [];
  if (output === undefined || input === undefined) return;
  startLink(output, false, input);
  focusFitting(output, 0);
}

/** Disable what is selected; where all of it is disabled, enable it. */
function disableSelected(state: State): void {
  const names = selectedNodes(state);
  const isDisabled = (name: string): boolean => nodeNamed(state.document!, name)?.left_out === DISABLED;
  const disabled = !names.every(isDisabled);
  const word = disabled ? "Disable" : "Enable";
  void state.edit(`${word} ${listed(names)}`, [{ op: "set_disabled", names, disabled }]);
  state.announce(`${word}d ${listed(names)}.`);
}

/** Let the layout decide again about every card. */
export function arrangeAll(state: State): void {
  const { nodes = [], inputs = [] } = state.document ?? {};
  const moved = [
    ...nodes.filter(({ position }) => position !== null).map(({ name }) => name),
    ...inputs.filter(({ position }) => position !== null).map(({ name }) => inputNodeId(name)),
  ];
  state.arrange();
  if (moved.length > 0) {
    const positions = Object.fromEntries(moved.map((id) => [id, null]));
    void state.edit("Arrange all", [{ op: "move_nodes", positions }]);
  }
  requestAnimationFrame(() => fitAll());
}

function deleteSelected(state: State): void {
  const nodes = selectedNodes(state);
  const inputs = state.selected.flatMap((id) => inputName(id) ?? []);
  const links = state.selectedLinks.map(linkInput).filter(({ node }) => !nodes.includes(node));
  const edits: Edit[] = [
    ...links.map(({ node, port }): Edit => ({ op: "disconnect", node, port })),
    ...(nodes.length === 0 ? [] : [{ op: "remove_nodes", names: nodes } satisfies Edit]),
    ...inputs.map((name): Edit => ({ op: "remove_input", name })),
  ];
  if (edits.length === 0) return;
  const names = [...nodes, ...inputs, ...links.map(({ node, port }) => `${node}.${port}`)];
  state.select([]);
  state.selectLinks([]);
  void state.edit(`Delete ${listed(names)}`, edits);
  state.announce(`Deleted ${listed(names)}.`);
  document.querySelector<HTMLElement>(".react-flow")?.focus();
}

async function copy(state: State): Promise<void> {
  const { path } = state;
  if (path === null) return;
  const names = selectedNodes(state);
  try {
    await navigator.clipboard.writeText(await api.nodesText(path, names));
    state.announce(`Copied ${listed(names)}.`);
  } catch (error) {
    state.report(error);
  }
}

/** Add the nodes of a text at a place, or else in the middle of the canvas. */
export async function pasteText(yaml: string, place?: Point): Promise<void> {
  const state = useStore.getState();
  if (!canEdit(state)) return;
  if (!looksLikeNodes(yaml)) {
    state.notify("The clipboard holds no nodes. Copy some first, here or as YAML of their names.");
    return;
  }
  if (state.document === null) return;
  // The names of what is pasted are not known yet; a card of usual size stands for it.
  const sizes = sizesOf(state.document).set("", { width: CARD_WIDTH, height: PASTED_HEIGHT });
  const position = free(place ?? middlePlace(), "", placesNow(), sizes);
  await selectingNew(state.edit("Paste", [{ op: "paste_nodes", yaml, position }]));
}

/** Select what an edit has added, the names of which the server has chosen. */
async function selectingNew(edit: Promise<boolean>): Promise<void> {
  const before = new Set(useStore.getState().document?.nodes.map(({ name }) => name));
  if (!(await edit)) return;
  const added = useStore.getState().document?.nodes.map(({ name }) => name).filter((name) => !before.has(name)) ?? [];
  useStore.getState().select(added);
  if (added[0] !== undefined) focusCard(added[0]);
}
